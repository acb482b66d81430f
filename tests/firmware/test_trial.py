"""config/trial: a change that came over the air stays only when a broker is reached with it, however the boot ends otherwise."""

import asyncio
import json
import os
from configured import forget
from fakes import Time
from packed import get, put
from pair import Pair
from pigtail.config import store, trial
from pigtail.config.schema import check
from pigtail.outbox import keeper
from runner import raises

BEFORE = {"mqtt.port": 1884, "batch_ms": 5000, "version": 3, "periods": {"Speed": 100}}
TAKEN_BACK = "the change was taken back: no broker could be reached with it"


def _fresh(config=BEFORE):
    forget()
    if config is not None:
        put("/config.json", json.dumps(config))
    store.load()


def _with(**changes):
    return check(dict(BEFORE, **changes))


def _trials():
    return [name for name in os.listdir("/") if name.startswith("config.tr")]


class Scene:
    """A boot with a change on trial, at a broker or not."""

    def __init__(self, state="no_link", granted=False):
        self.state = state
        self.granted = granted
        self.asked = []
        self.reset = lambda: self.asked.append("reset")
        self.hold = lambda now: self.asked.append("hold")
        self.time = Time(1000).into(trial)
        keeper.machine = self

    async def passes(self, ms, version=4):
        task = asyncio.create_task(trial.watch(version, self, self, lambda: keeper.restart(self)))
        await self.time.passes(ms, 500)
        for _ in range(3):
            await asyncio.sleep_ms(0)
        task.cancel()


async def test_change_on_a_device_without_commands_stays_once_it_is_online():
    from pigtail.uplink.mqtt import Client

    _fresh()
    trial.propose({"batch_ms": 900})
    config, _ = store.load()
    scene = Scene("online")
    task = asyncio.create_task(trial.watch(config["version"], scene, Client("d", "h"), scene.reset))
    await scene.time.passes(10_000, 500)
    await task
    assert scene.asked == [] and _trials() == []
    assert json.loads(get("/config.json"))["batch_ms"] == 900


def test_change_is_in_force_from_the_next_start_and_is_not_kept_yet():
    _fresh()
    assert trial.propose({"batch_ms": 900, "wifi.ssid": "new"}) == 4
    assert json.loads(get("/config.json")) == BEFORE
    assert store.load() == (_with(**{"batch_ms": 900, "wifi.ssid": "new", "version": 4}), None)
    assert json.loads(get("/config.json")) == json.loads(Pair("/config").read()) == BEFORE


def test_key_with_nothing_is_at_its_default_again():
    _fresh()
    trial.propose({"batch_ms": None, "periods": None})
    config, _ = store.load()
    assert (config["batch_ms"], config["periods"], config["mqtt.port"]) == (10000, {}, 1884)


def test_key_with_nothing_that_was_not_set_is_as_well():
    _fresh()
    trial.propose({"wifi.ssid": None})
    assert store.load() == (_with(version=4), None)


async def test_change_with_which_a_broker_is_reached_is_kept():
    _fresh()
    trial.propose({"batch_ms": 900})
    store.load()
    scene = Scene("online", True)
    await scene.passes(1000)
    assert _trials() == [] and scene.asked == []
    assert Pair("/config").read() == get("/config.json")
    assert store.load() == (_with(batch_ms=900, version=4), None)


async def test_fault_46_change_with_which_no_broker_is_reached_is_taken_back():
    for state, granted in ("no_link", True), ("untrusted", True), ("online", False):
        _fresh()
        trial.propose({"batch_ms": 900})
        store.load()
        scene = Scene(state, granted)
        await scene.passes(299_000)
        assert scene.asked == [] and _trials()
        scene = Scene(state, granted)
        await scene.passes(302_000)
        assert scene.asked == ["hold", "reset"]
        assert store.load() == (_with(version=5), TAKEN_BACK)
        assert store.load() == (_with(version=5), None) and _trials() == []


async def test_change_is_kept_when_the_broker_comes_late():
    _fresh()
    trial.propose({"batch_ms": 900})
    store.load()
    scene = Scene()
    task = asyncio.create_task(trial.watch(4, scene, scene, None))
    await scene.time.passes(250_000, 500)
    scene.state, scene.granted = "online", True
    await scene.time.passes(2000, 500)
    assert task.done() and _trials() == []
    assert store.load() == (_with(batch_ms=900, version=4), None)


def test_fault_46_boot_that_ends_in_any_other_way_takes_the_change_back():
    _fresh()
    trial.propose({"batch_ms": 900})
    store.load()
    assert store.load() == (_with(version=5), TAKEN_BACK)
    assert trial.propose({"batch_ms": 800}) == 6  # no two configurations have one version


def test_fault_46_change_with_a_bad_value_never_comes_into_force():
    for changes, why in ({"batch_ms": 1}, "batch_ms: 1 is not in 100 to 60000"), ({"nope": 1}, "unknown key 'nope'"):
        _fresh()
        trial.propose(changes)
        assert store.load() == (_with(), "the change was refused: " + why)
        assert _trials() == [] and store.load() == (_with(), None)


def test_fault_46_damaged_change_never_comes_into_force():
    for text in b"", b"{", b"\xff\xff", b"[1]":
        _fresh()
        put("/config.try", text)
        config, error = store.load()
        assert config == _with() and error.startswith("the change was refused: ")
        put("/config.tried", text)
        assert store.load() == (_with(), TAKEN_BACK) and _trials() == []


def test_what_the_device_is_found_by_is_not_changed_over_the_air():
    _fresh()
    for key in "device", "command.key", "version", "schema":
        with raises(ValueError) as caught:
            trial.propose({"batch_ms": 900, key: "x"})
        assert str(caught.error) == key + ": not over the air"
    assert _trials() == []


def test_second_change_while_one_is_on_trial_is_refused():
    _fresh()
    trial.propose({"batch_ms": 900})
    store.load()
    with raises(ValueError) as caught:
        trial.propose({"batch_ms": 800})
    assert str(caught.error) == "a change is on trial"


def test_change_is_refused_where_the_file_is_not_the_one_in_force():
    _fresh()
    put("/config.json", b"{")
    with raises(ValueError):
        trial.propose({"batch_ms": 900})


def test_first_change_of_a_device_without_a_file_is_tried_and_taken_back():
    _fresh(None)
    assert trial.propose({"batch_ms": 900}) == 1
    assert store.load() == (check({"batch_ms": 900, "version": 1}), None)
    assert store.load() == (check({"version": 2}), TAKEN_BACK)


async def test_what_a_boot_did_not_try_is_never_kept_by_it():
    _fresh()
    put("/config.tried", json.dumps(dict(BEFORE, batch_ms=900, version=4)))
    scene = Scene("online", True)
    await scene.passes(1000, version=5)
    assert json.loads(get("/config.json")) == BEFORE


async def test_flash_that_refuses_to_keep_the_change_has_it_taken_back():
    _fresh()
    trial.propose({"batch_ms": 900})
    store.load()

    class Refusing:
        listdir, remove = os.listdir, os.remove

        def rename(self, *names):
            raise OSError(5)

    scene = Scene("online", True)
    trial.os, kept = Refusing(), trial.os
    try:
        await scene.passes(1000)
    finally:
        trial.os = kept
    assert scene.asked == ["hold", "reset"]
    assert store.load() == (_with(version=5), TAKEN_BACK)
