"""config/schema: every key refuses what it does not take, in one line that names the key."""

import sys
from pigtail.config.schema import KEYS, ConfigError, check
from runner import raises

WRONG = {int: ("1", 1.5, None, True, [], {}), str: (1, None, [], {}, False), dict: ([], "x", 1, None), list: ({}, "x", 1, None)}
PIN = "0123456789abcdefABCDEF0123456789" * 2
TLS = {"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem"}
MUTUAL = {"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem", "mqtt.cert_file": "/cert.pem", "mqtt.key_file": "/key.pem"}
# What a key makes no sense without.
NEEDS = {"mqtt.ca_file": TLS, "mqtt.cert_file": MUTUAL, "mqtt.key_file": MUTUAL, "mqtt.server_name": TLS, "mqtt.pin": TLS}
NEEDS["mqtt.user"] = NEEDS["mqtt.password"] = {"mqtt.insecure": 1}
ITEMS = {"wifi.networks": ["home", "secret"], "mqtt.brokers": "broker.example:1884"}


def _refused(config):
    with raises(ConfigError) as caught:
        check(config)
    text = str(caught.error)
    assert "\n" not in text
    return text


def _sized(key, size):
    """Configuration in which this key has this size, and what it needs."""
    kind = KEYS[key][0]
    if kind is int:
        value = size
    elif kind is list:
        value = [ITEMS[key]] * size
    elif kind is dict:
        value = {"s%d" % i: 1000 for i in range(size)}
    else:
        value = (PIN + "0")[:size] if key in ("mqtt.pin", "command.key") else ("x" if key == "device" else "/") * size
    config = dict(NEEDS.get(key, {}))
    config[key] = value
    return config


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
        if key not in ("mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file"):  # which may be empty, but not where TLS needs them
            check(_sized(key, least))
        if kind is int or least:
            assert _refused(_sized(key, least - 1)).startswith(key + ": ")
        if key != "mqtt.tls":  # which needs others
            check(_sized(key, most))
        assert _refused(_sized(key, most + 1)).startswith(key + ": ")


def test_id_that_can_be_no_level_of_a_topic_is_refused():
    for device in "a/b", "+", "a+", "#", "a#b", "a b", " ", "a\0", "\n", "a\x7f", "$SYS", "$":
        assert _refused({"device": device}) == "device: takes no blank and none of / + #, and no $ in front", device
    for device in "", "kona", "a$", "7c:9e:bd", "K-1_2.3", "\u65e5":
        assert check({"device": device})["device"] == device


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


def test_password_in_plain_text_only_on_explicit_request():
    for key in "mqtt.user", "mqtt.password":
        assert "mqtt.insecure" in _refused({key: "me"})
        check({key: "me", "mqtt.insecure": 1})
        config = dict(TLS)
        config[key] = "me"
        check(config)


def test_what_agrees_with_nothing_else_loads_no_more_code():
    sys.modules.pop("pigtail.config.network", None)
    check({"mqtt.host": "broker", "periods": {"Speed": 100}, "outbox.bytes": 5000})
    assert "pigtail.config.network" not in sys.modules
    check({"mqtt.brokers": ["other"]})
    assert "pigtail.config.network" in sys.modules


def test_broker_without_tls_and_password_needs_no_request():
    check({"mqtt.host": "192.168.4.1"})


def test_tls_that_could_not_know_its_broker_is_refused():
    assert "mqtt.ca_file" in _refused({"mqtt.tls": 1})
    check({"mqtt.tls": 1, "mqtt.pin": PIN})
    assert "clock.host" in _refused({"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem", "clock.host": ""})
    check({"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem", "clock.host": "", "mqtt.pin": PIN})


def test_what_is_for_tls_is_refused_where_there_would_be_none():
    for key in "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file", "mqtt.server_name", "mqtt.pin":
        assert _refused({key: PIN}) == key + ": is for TLS; set mqtt.tls to 1"


def test_client_certificate_without_its_key_is_refused():
    for key in "mqtt.cert_file", "mqtt.key_file":
        config = dict(TLS)
        config[key] = "/own.pem"
        assert _refused(config).startswith("mqtt.cert_file: ")


def test_pin_that_is_no_sha_256_is_refused():
    for pin in PIN[:-1], "0", PIN[:-1] + "g", PIN[:-2] + "0x":
        assert _refused({"mqtt.tls": 1, "mqtt.pin": pin}) == "mqtt.pin: takes 64 hex digits"


def test_network_that_is_no_pair_of_texts_is_refused():
    wrong = ["home", [], ["home"], ["home", "x", "y"], ["home", 1], [None, "x"], {"home": "x"}, ["", "x"], ["x" * 33, ""]]
    for item in wrong + [["home", "x" * 64]]:
        assert _refused({"wifi.networks": [["good", ""], item]}).startswith("wifi.networks: takes pairs"), item
    check({"wifi.networks": [["x" * 32, "x" * 63], ["open", ""]]})


def test_broker_that_is_no_host_or_host_and_port_is_refused():
    check({"mqtt.brokers": ["broker", "192.168.4.1:1884", "x:65535"]})
    for item in "", ":", ":1883", "x:", "x:0", "x:65536", "x:mqtt", "x:1:2", "x" * 254, 1, None, []:
        assert _refused({"mqtt.brokers": ["good", item]}) == "mqtt.brokers: takes host or host:port", item


def test_command_key_that_is_no_256_bits_is_refused():
    check({"command.key": PIN})
    for key in PIN[:-1], "0", PIN[:-1] + "g", PIN[:-2] + "0x":
        assert _refused({"command.key": key}) == "command.key: takes 64 hex digits"
