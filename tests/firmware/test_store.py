"""config/store: a configuration that is damaged or wrong never comes into force; the last good one does, and it is said."""

import json
import random
from configured import forget
from packed import get, put
from pair import Pair
from pigtail.config import store
from pigtail.config.migrations import migrate
from pigtail.config.schema import check

GOOD = {"mqtt.host": "broker.example", "periods": {"Speed }": 100, "Gear": 0}, "wifi.ssid": "a \" } \\", "mqtt.port": 1}


def _good():
    forget()
    put("/config.json", json.dumps(GOOD))
    assert store.load() == (check(GOOD), None)


def test_no_file_on_a_new_board_is_the_defaults():
    forget()
    assert store.load() == (check({}), None)


def test_good_file_is_in_force_and_kept():
    _good()
    assert json.loads(Pair("/config").read()) == GOOD


def test_good_file_is_not_written_to_the_pair_twice():
    _good()
    before = get("/config.1")
    store.load()
    assert get("/config.1") == before
    assert Pair("/config").read() == get("/config.json")
    try:
        get("/config.0")
        twice = True
    except OSError:
        twice = False
    assert not twice


def test_fault_7_truncated_at_any_byte_keeps_the_last_good_one():
    _good()
    whole = json.dumps(GOOD).encode()
    for size in range(len(whole)):
        put("/config.json", whole[:size])
        config, error = store.load()
        assert config == check(GOOD), whole[:size]
        assert error == "config.json is not JSON", whole[:size]


def test_fault_7_not_json_keeps_the_last_good_one():
    _good()
    for text in b"\xff\xfe\xff", b"\0" * 100, b"mqtt.port: 1", b"{[1]: 2}", b'{"mqtt.port": 1}}', b'{"device": "\xff"}':
        put("/config.json", text)
        assert store.load() == (check(GOOD), "config.json is not JSON"), text


def test_fault_7_wrong_values_keep_the_last_good_one_and_name_the_key():
    _good()
    for text, key in (b'{"mqtt.port": "1883"}', "mqtt.port"), (b'{"nope": 1}', "nope"), (b'{"batch_ms": 1e9}', "batch_ms"):
        put("/config.json", text)
        config, error = store.load()
        assert config == check(GOOD)
        assert error.startswith("config.json: ") and key in error, error
    put("/config.json", b"[1]")
    assert store.load() == (check(GOOD), "config.json: not a JSON object")


def test_fault_7_file_from_a_newer_version_keeps_the_last_good_one():
    _good()
    newer = dict(GOOD)
    newer["wifi.mesh"] = True
    put("/config.json", json.dumps(newer))
    config, error = store.load()
    assert config == check(GOOD)
    assert error.startswith("config.json: ") and "wifi.mesh" in error, error


def test_fault_5_flipped_bit_in_the_file_keeps_the_last_good_one_or_is_what_somebody_may_have_written():
    """The file has no checksum, since people write it: a letter that became another one stays."""
    _good()
    whole, kept = json.dumps(GOOD).encode(), 0
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        Pair("/config").write(whole)
        put("/config.json", flipped)
        config, error = store.load()
        assert config == (check(GOOD) if error else check(json.loads(flipped))), bytes(flipped)
        kept += error is not None
    assert kept > 2 * len(whole)


def _mutated(whole):
    """As an editor, a bad cable or a bad chip would have it."""
    text = bytearray(whole)
    for _ in range(random.randint(1, 3)):
        at, kind = random.randrange(len(text) + 1), random.randrange(4)
        end = min(len(text), at + random.randint(1, 12))
        if kind == 0:
            text[at:end] = b""
        elif kind == 1:
            text[at:at] = bytes([random.choice(b'{}[]",:\\-0e1.tn\xff\x00 ') for _ in range(random.randint(1, 4))])
        elif kind == 2:
            text[at:at] = text[at // 2 : end]
        else:
            text[at:end] = bytes([random.randrange(256) for _ in range(end - at)])
    return bytes(text)


def test_fault_7_thousands_of_mutations_leave_the_last_good_one_or_what_the_schema_takes():
    _good()
    whole = json.dumps(GOOD).encode()
    random.seed(7)
    kept = 0
    for _ in range(3000):
        text = _mutated(whole)
        Pair("/config").write(whole)
        put("/config.json", text)
        config, error = store.load()
        assert config == (check(GOOD) if error else check(migrate(json.loads(text)))), text
        assert error is None or error.startswith("config.json"), error
        kept += error is not None
    assert 2000 < kept < 3000


def test_fault_5_mutations_of_file_and_both_copies_leave_one_of_them_or_the_defaults_with_a_reason():
    random.seed(8)
    older, newer = dict(GOOD, batch_ms=500), dict(GOOD, batch_ms=600)
    known = [check(older), check(newer), check({})]
    for _ in range(1000):
        forget()
        for config in older, newer:
            put("/config.json", json.dumps(config))
            store.load()
        for name in "/config.0", "/config.1":
            if random.randrange(2):
                put(name, _mutated(get(name)))
        put("/config.json", b"{" + _mutated(get("/config.json")))
        config, error = store.load()
        assert config in known and error.startswith("config.json"), (config, error)


def test_fault_7_file_longer_than_the_heap_keeps_the_last_good_one():
    for text in b" " * 8192, b'{"device": "' + b"x" * 8180:
        _good()
        with open("/config.json", "wb") as f:
            for _ in range(20):
                f.write(text)
        assert store.load() == (check(GOOD), "config.json is too long")


def test_fault_7_deep_or_endless_json_keeps_the_last_good_one():
    for text in b"[" * 3000, b"[" * 3000 + b"]" * 3000, b'{"a":' * 500 + b"1" + b"}" * 500, b'{"mqtt.port": ' + b"9" * 400 + b"}":
        _good()
        put("/config.json", text)
        config, error = store.load()
        why = ": mqtt.port" if b"9" in text else " is not JSON"
        assert config == check(GOOD) and error.startswith("config.json" + why), error


def test_bad_file_without_a_last_good_one_is_the_defaults():
    forget()
    put("/config.json", b"[")
    config, error = store.load()
    assert config == check({})
    assert error == "config.json is not JSON"


def test_missing_file_keeps_the_last_good_one():
    _good()
    forget(("/config.json",))
    assert store.load() == (check(GOOD), "config.json is missing")


def test_last_good_one_that_this_firmware_no_longer_takes_is_the_defaults():
    forget()
    put("/config.json", b"?")
    for payload in b'{"retired.key": 1}', b"\xff", b"":
        Pair("/config").write(payload)
        assert store.load() == (check({}), "config.json is not JSON"), payload


def test_repaired_file_comes_into_force():
    _good()
    put("/config.json", b"{")
    store.load()
    put("/config.json", b'{"mqtt.port": 1884}')
    assert store.load() == (check({"mqtt.port": 1884}), None)


def test_flash_that_refuses_the_copy_is_told_and_the_file_is_in_force():
    forget()
    put("/config.json", b'{"mqtt.port": 1884}')

    class FullPair(Pair):
        def write(self, payload):
            raise OSError(28)

    inner, store.Pair = store.Pair, FullPair
    try:
        config, error = store.load()
    finally:
        store.Pair = inner
    assert config == check({"mqtt.port": 1884})
    assert error == "config.json is in force, but flash keeps no copy"
