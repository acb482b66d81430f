"""Commands to a device in a drive: what they do there, and that the restarts they ask for cost nothing."""

import asyncio
import itertools

import pytest

from host_tools.control import send
from host_tools.reader import Reply
from host_tools.reader.connection import parse
from host_tools.sim.run import Simulation
from tests.sim.drives import Act, assert_books_balance, drive

SPEED = 2.0
KEY = {"command.key": "5a" * 32}
WAIT_S = 30.0  # real ones: no machine is as slow
BATTERY = "Vehicle.Powertrain.TractionBattery"
NAMES = ("Vehicle.Speed", f"{BATTERY}.CurrentVoltage", f"{BATTERY}.StateOfCharge.Current", "Vehicle.TraveledDistance")


class Owner:
    """Sends commands in the middle of a drive, and keeps the replies and what the samples were at that time."""

    def __init__(self, key: str = KEY["command.key"]) -> None:
        self._key = bytes.fromhex(key)
        self.replies: list[Reply] = []
        self._tasks: list[asyncio.Task[None]] = []

    def sends(self, name: str, **arguments: object) -> Act:
        def act(simulation: Simulation) -> None:
            self._tasks.append(asyncio.get_running_loop().create_task(self._send(simulation, name, arguments)))

        return act

    async def _send(self, simulation: Simulation, name: str, arguments: dict[str, object]) -> None:
        address, key = parse(simulation.broker_url), self._key
        while True:
            now_ms = int(1000 * simulation._utc())  # of the drive's time, which runs faster than ours
            reply = await send(address, simulation.device, key, name, arguments, WAIT_S * SPEED, now_ms)
            if reply.reason != "clock_unknown":  # it may not have heard from its time server yet
                break
            await asyncio.sleep(0.2)
        self.replies.append(reply)

    def result(self) -> dict[str, object]:
        """That of the only command, which was done."""
        (reply,) = self.replies
        assert reply.ok, reply
        return reply.result


def test_ping_is_answered_and_counted() -> None:
    owner = Owner()
    report, simulation, _ = drive(24.0, at={6.0: owner.sends("ping")}, speed=SPEED, config=KEY)
    assert_books_balance(report)
    uptime_ms = owner.result()["uptime_ms"]
    assert isinstance(uptime_ms, int) and 5000 < uptime_ms < 24_000
    counts = simulation.status["commands"]
    assert isinstance(counts, dict) and counts["granted"] is True
    assert counts["run"] == 1 and counts["refused"].keys() <= {"clock_unknown"}
    assert simulation.status["events_lost"] == 0


def test_command_of_somebody_without_the_key_is_refused_and_counted() -> None:
    owner = Owner("00" * 32)
    report, simulation, _ = drive(24.0, at={6.0: owner.sends("reboot")}, speed=SPEED, config=KEY)
    assert report.restarts == 0 and owner.replies == []
    assert simulation.status["commands"] == {"granted": True, "run": 0, "refused": {"bad_mac": 1}}


def test_device_without_a_key_subscribes_to_nothing() -> None:
    owner = Owner()
    report, simulation, _ = drive(20.0, at={6.0: owner.sends("reboot")}, speed=SPEED, config={})
    assert_books_balance(report)
    assert report.restarts == 0 and owner.replies == [] and simulation.status["commands"] is None


def test_snapshot_is_what_the_reader_decodes() -> None:
    owner = Owner()
    told_at_once = dict.fromkeys(NAMES, 0)
    report, _, samples = drive(
        20.0, at={8.0: owner.sends("snapshot", signals=list(NAMES))}, speed=SPEED, config={"periods": told_at_once, **KEY}
    )
    assert_books_balance(report)
    result = owner.result()
    assert result.keys() == set(NAMES)
    for name, latest in result.items():
        assert isinstance(latest, dict)
        decoded = {round(s.value, 6) for s in samples if s.name == name}  # every value that there was, told at once
        assert round(latest["value"], 6) in decoded, name
        assert (latest["quality"], latest["source"]) == ("valid", "broadcast") and 0 <= latest["age_ms"] < 5000


def test_flush_empties_the_queue() -> None:
    owner, waiting = Owner(), []

    def look(simulation: Simulation) -> None:
        waiting.append(simulation.waiting())

    config: dict[str, object] = {"batch_ms": 60_000, **KEY}
    looks = dict.fromkeys((6.0, 20.0), look)
    drive(21.0, at=looks, speed=SPEED, config=config)
    (least, most), waiting[:] = waiting, []
    assert least > 300 and most > 2 * least, "batches were to stay open"
    report, _, _ = drive(21.0, at=looks | {18.0: owner.sends("flush")}, speed=SPEED, config=config)
    assert_books_balance(report)
    assert owner.result().keys() == {"bytes"}
    assert waiting[1] < most / 2


@pytest.mark.parametrize("flash_size", [256 << 10, 0])
def test_reboot_is_orderly_and_loses_nothing(flash_size: int) -> None:
    owner = Owner()
    report, simulation, _ = drive(24.0, at={8.0: owner.sends("reboot")}, speed=SPEED, flash_size=flash_size, config=KEY)
    assert_books_balance(report)
    assert owner.result() == {}
    assert report.restarts == 1 and report.samples_accounted_lost == 0
    assert [(death.cause, death.samples_lost) for death in report.deaths] == [("reset", 0)]
    assert simulation.status["reset"] == "hard"


def test_period_that_is_set_is_in_force_after_the_restart() -> None:
    owner, name = Owner(), "Vehicle.Powertrain.TractionBattery.CurrentVoltage"
    sets = owner.sends("set_period", signal=name, period_ms=500)
    report, simulation, samples = drive(24.0, at={8.0: sets}, speed=SPEED, config=KEY)
    assert_books_balance(report)
    assert owner.result() == {"version": 1} and simulation.status["config"] == 1
    assert report.restarts == 1 and report.samples_accounted_lost == 0
    times = [s.time_ms for s in samples if s.name == name]
    steps = [b - a for a, b in itertools.pairwise(times)]
    assert steps[:4] == [100] * 4
    assert {step % 500 for step in steps[-8:]} == {0} and 500 in steps[-8:]
