"""config/schema: every key refuses what it does not take, in one line that names the key."""

from pigtail.config.schema import KEYS, ConfigError, check
from runner import raises

WRONG = {int: ("1", 1.5, None, True, [], {}), str: (1, None, [], {}, False), dict: ([], "x", 1, None)}


def _refused(config):
    with raises(ConfigError) as caught:
        check(config)
    text = str(caught.error)
    assert "\n" not in text
    return text


def _sized(kind, size):
    if kind is int:
        return size
    return "x" * size if kind is str else {"s%d" % i: 1000 for i in range(size)}


def test_nothing_given_is_the_defaults():
    assert check({}) == {key: KEYS[key][1] for key in KEYS}


def test_defaults_are_within_their_own_ranges():
    for key in KEYS:
        assert check({key: KEYS[key][1]})[key] == KEYS[key][1]


def test_every_key_refuses_other_types():
    for key in KEYS:
        for value in WRONG[KEYS[key][0]]:
            assert _refused({key: value}).startswith(key + ": takes "), (key, value)


def test_every_key_refuses_what_is_out_of_range():
    for key in KEYS:
        kind, _, least, most = KEYS[key]
        check({key: _sized(kind, least)})
        if kind is int:
            assert _refused({key: least - 1}).startswith(key + ": ")
        elif least:
            assert _refused({key: _sized(kind, least - 1)}).startswith(key + ": ")
        check({key: _sized(kind, most)})
        assert _refused({key: _sized(kind, most + 1)}).startswith(key + ": ")


def test_integer_beyond_32_bits_is_refused():
    assert "mqtt.port" in _refused({"mqtt.port": 1 << 40})


def test_unknown_key_is_named():
    assert "'mqtt.prot'" in _refused({"mqtt.port": 1, "mqtt.prot": 1})


def test_what_is_no_object_is_refused():
    for given in [], "x", 1, None, True:
        assert _refused(given) == "not a JSON object"


def test_period_of_a_wrong_type_or_range_is_refused():
    for period in -1, 3600001, "100", 1.0, None, True:
        assert _refused({"periods": {"Speed": period}}).startswith("periods: Speed takes")


def test_period_of_a_signal_without_a_name_is_refused():
    assert _refused({"periods": {1: 100}}).startswith("periods: ")  # MicroPython's json takes such keys
