"""config/migrations: every earlier version of a configuration comes into force as today's; a newer one does not."""

import json
from configured import forget
from packed import get, put
from pair import Pair
from pigtail.config import change, store
from pigtail.config.migrations import RENAMED, migrate
from pigtail.config.schema import KEYS, check


def _of_version(n):
    with open("/data/config-v%d.json" % n, "rb") as f:
        return f.read()


def test_newest_schema_is_the_one_that_the_migrations_lead_to():
    assert KEYS["schema"][1:] == (len(RENAMED) + 1,) * 3


def test_every_new_name_is_a_key_and_no_old_one_is():
    for names in RENAMED:
        for old in names:
            assert old not in KEYS and names[old] in KEYS


def test_file_of_every_earlier_version_comes_into_force_and_stays_as_it_was_written():
    for version in range(1, len(RENAMED) + 1):
        forget()
        written = _of_version(version)
        put("/config.json", written)
        config, error = store.load()
        assert error is None, error
        given = json.loads(written)
        for names in RENAMED[version - 1 :]:
            for old in names:
                assert config[names[old]] == given.pop(old) != ""
        assert given.pop("schema", 1) == version
        assert {key: config[key] for key in given} == given
        assert get("/config.json") == written == Pair("/config").read()


def test_last_good_one_of_an_earlier_version_stands_in_for_a_damaged_file():
    for version in range(1, len(RENAMED) + 1):
        forget()
        put("/config.json", _of_version(version))
        good, _ = store.load()
        put("/config.json", b"{")
        assert store.load() == (good, "config.json is not JSON")


def test_file_without_a_schema_may_have_todays_names():
    given = {"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem"}
    assert check(migrate(given)) == check(migrate({"mqtt.tls": 1, "mqtt.ca": "/ca.pem"}))
    assert given == {"mqtt.tls": 1, "mqtt.ca_file": "/ca.pem"}


def test_old_and_new_name_together_are_refused():
    forget()
    put("/config.json", b'{"mqtt.tls": 1, "mqtt.ca": "/a", "mqtt.ca_file": "/b"}')
    assert store.load() == (check({}), "config.json: unknown key 'mqtt.ca'")


def test_fault_7_file_of_a_newer_schema_keeps_the_last_good_one_and_says_so_first():
    forget()
    put("/config.json", b'{"mqtt.port": 1884}')
    store.load()
    put("/config.json", b'{"wifi.mesh": 1, "schema": %d, "mqtt.port": 1885}' % (KEYS["schema"][1] + 1))
    assert store.load() == (check({"mqtt.port": 1884}), "config.json: schema: 3 is newer than 2, which this firmware knows")


def test_schema_that_never_was_is_refused():
    for schema in "0", "-1", '"2"', "true", "null", "1.0", "[]":
        forget()
        put("/config.json", '{"schema": %s}' % schema)
        config, error = store.load()
        assert config == check({}) and error.startswith("config.json: schema: "), error


def test_change_by_the_device_writes_todays_schema():
    forget()
    put("/config.json", _of_version(1))
    before, _ = store.load()
    assert change.set_key("batch_ms", 500) == 8
    config, error = store.load()
    assert error is None
    before.update({"batch_ms": 500, "version": 8})
    assert config == before and json.loads(get("/config.json"))["schema"] == 2
