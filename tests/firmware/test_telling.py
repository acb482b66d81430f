"""config/telling: the configuration in force as it may be told, in parts that fit, and never a secret."""
# heap: 256k
# The longest configurations, with what the test makes of them, need more than the device's.

import json
import os
import random
from configured import forget
from packed import put
from pair import Pair
from pigtail.config import secrets, store, telling, trial
from pigtail.config.schema import KEYS, check
from runner import raises

ROOM = 1408  # bytes of a message, with the reply's own
OWN = 160  # of those, more than a reply of this kind ever takes
KEY = "c0ffee" * 10 + "c0ff"
WORD = "hunter22"


def _set(config):
    forget()
    if config is not None:
        put("/config.json", json.dumps(config))
        assert store.load()[1] is None


def _parts(most=100):
    found, skip = [], 0
    while skip is not None:
        found.append(telling.read(skip))
        skip = found[-1]["next"]
        assert len(found) <= most
    return found


def _whole(parts):
    whole = {}
    for part in parts:
        for key in part["config"]:
            value = part["config"][key]
            if key not in whole:
                whole[key] = value
            elif isinstance(value, list):
                whole[key] = whole[key] + value
            else:
                whole[key] = dict(whole[key], **value)
    return whole


def _value(key, rng):
    """One that the key takes, of some length."""
    kind, _, least, most = KEYS[key]
    if key in ("wifi.password", "mqtt.password"):
        return (WORD + "x" * rng(54))[: rng(63) + 1] if rng(4) else ""
    if key == "command.key":
        return KEY if rng(4) else ""
    if key == "wifi.networks":
        return [["n%d" % i, rng(2) * (WORD + "y" * rng(50))] for i in range(rng(9))]
    if key == "mqtt.brokers":
        return ["b%d.example" % i for i in range(rng(5))]
    if kind is dict:
        return {"Vehicle.Signal%d%s" % (i, "ü" * rng(30)): 100 + i for i in range(rng(65))}
    if kind is int:
        return KEYS[key][1]
    return "t" * (least + rng(most - least + 1))


def _random(seed):
    random.seed(seed)
    rng = random.randrange
    free = [key for key in KEYS if key not in ("mqtt.tls", "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file", "mqtt.pin")]
    free.remove("mqtt.server_name")
    config = {key: _value(key, rng) for key in free if key not in ("schema", "version") and rng(3)}
    config["mqtt.insecure"] = 1
    config["version"], config["schema"] = rng(65536), 2
    check(config)
    return config


def test_whole_configuration_comes_in_one_part_where_it_fits():
    _set({"batch_ms": 900, "periods": {"B": 1, "A": 2}, "state": {}, "wifi.networks": [], "version": 4})
    told = {"batch_ms": 900, "periods": {"A": 2, "B": 1}, "state": {}, "wifi.networks": [], "version": 4, "schema": 2}
    assert telling.read(0) == {"version": 4, "config": told, "next": None}


def test_secrets_are_told_as_set_or_not_set():
    given = {"wifi.password": WORD, "mqtt.password": "", "command.key": KEY, "wifi.networks": [["a", WORD], ["b", ""]]}
    _set(given)
    told = {"wifi.password": "set", "mqtt.password": "not set", "command.key": "set", "schema": 2}
    told["wifi.networks"] = [["a", "set"], ["b", "not set"]]
    assert telling.read(0)["config"] == told
    assert secrets.shown("wifi.networks", [WORD, [WORD]]) == ["?", "?"]


def test_no_secret_is_in_any_part_and_all_else_is_and_each_part_fits():
    longest = 0
    for seed in range(40):
        config = _random(seed)
        _set(config)
        parts = _parts()
        texts = [json.dumps(part) for part in parts]
        assert not [text for text in texts if WORD in text or KEY in text], seed
        assert max([len(text.encode()) for text in texts]) <= ROOM - OWN, seed
        whole = _whole(parts)
        assert {key: whole[key] for key in whole if key not in secrets.SECRET} == {
            key: config[key] for key in config if key not in secrets.SECRET
        }
        for key in secrets.SECRET:
            if key in config:
                assert whole[key] == secrets.shown(key, config[key])
        assert [part["version"] for part in parts] == [config["version"]] * len(parts)
        longest = max(longest, len(parts))
    assert longest >= 3


def test_entry_that_is_longer_than_the_room_stands_alone():
    name = "Vehicle." + "x" * 1100
    _set({"batch_ms": 900, "periods": {"A": 1, name: 2, "z": 3}})
    first, second, third = [part["config"] for part in _parts()]
    assert first == {"batch_ms": 900, "periods": {"A": 1}} and second == {"periods": {name: 2}}
    assert third == {"periods": {"z": 3}, "schema": 2}


def test_nothing_set_and_a_skip_that_is_too_far_tell_nothing():
    _set(None)
    assert telling.read(0) == {"version": 0, "config": {"schema": 2}, "next": None}
    _set({"batch_ms": 900})
    assert telling.read(2) == telling.read(1000) == {"version": 0, "config": {}, "next": None}
    with raises(ValueError):
        telling.read(-1)


def test_what_is_told_is_in_force_and_not_what_somebody_wrote():
    _set({"batch_ms": 900, "version": 1})
    put("/config.json", '{"batch_ms": 5}')
    assert telling.read(0)["config"]["batch_ms"] == 900
    _set({"batch_ms": 900, "version": 1})
    trial.propose({"batch_ms": 700})
    assert telling.read(0)["config"] == {"batch_ms": 900, "version": 1, "schema": 2}
    store.load()
    assert telling.read(0) == {"version": 2, "config": {"batch_ms": 700, "version": 2, "schema": 2}, "next": None}
    os.remove("/config.tried")


def test_older_file_is_told_by_todays_names():
    _set({"mqtt.tls": 1, "mqtt.ca": "/ca.pem"})
    assert telling.read(0)["config"] == {"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem", "schema": 2}
    assert Pair("/config").read()
