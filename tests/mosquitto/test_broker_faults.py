"""Faults of the broker: it dies, before and after it has acknowledged, it stops, it refuses, it prefers somebody else."""

import asyncio
from collections.abc import Callable

import aiomqtt
import pytest

from host_tools.reader.inbox import ROOT
from host_tools.reader.intervals import Intervals
from tests.mosquitto.broker import HOST, Mosquitto
from tests.mosquitto.drives import Scene, assert_all_came, assert_only_the_broker_lost, drive, together
from tests.mosquitto.faulty import Tamper

Make = Callable[..., Mosquitto]


class NoPuback(Tamper):
    """The broker has what the device sends, and the device does not get to know it. The CONNACK passes."""

    def __init__(self) -> None:
        self._left = 4

    def down(self, data: bytes) -> bytes:
        passes, self._left = data[: self._left], max(0, self._left - len(data))
        return passes


def unanswered(scene: Scene) -> None:
    """From the next connection on."""
    scene.device.tamper = NoPuback
    scene.device.reset()


def answered(scene: Scene) -> None:
    scene.device.tamper = Tamper


def device_away(scene: Scene) -> None:
    """Until the reader has subscribed again, where the broker has forgotten it."""
    scene.device.shut()


def device_back(scene: Scene) -> None:
    scene.device.open()


def restart(scene: Scene) -> None:
    scene.broker.restart()


def reader_away(scene: Scene) -> None:
    scene.reader.shut()


def reader_back(scene: Scene) -> None:
    scene.reader.open()


def hold(scene: Scene) -> None:
    scene.device.hold()


def release(scene: Scene) -> None:
    scene.device.release()


def test_fault_20_broker_killed_before_its_pubacks_gets_all_again_and_the_reader_keeps_one(mosquitto: Make) -> None:
    acts = {8.0: unanswered, 14.0: together(answered, device_away, restart), 18.0: device_back}
    report, scene = drive(mosquitto(), at=acts)
    assert_all_came(report)
    assert report.duplicates_dropped > 0
    assert scene.device.connections >= 3 and report.reader_reconnects >= 1


@pytest.mark.parametrize("persistence", [True, False])
def test_fault_20_broker_killed_before_it_has_anything_that_was_under_way(mosquitto: Make, persistence: bool) -> None:
    """All of it stays in front of the broker."""
    acts = {8.0: hold, 14.0: together(device_away, release, restart), 18.0: device_back}
    report, scene = drive(mosquitto(persistence=persistence), at=acts)
    assert_all_came(report)
    assert scene.device.connections >= 2


def test_fault_20_broker_killed_after_its_pubacks_with_persistence_loses_nothing(mosquitto: Make) -> None:
    """Of a session kept for a reader that is away; the broker is killed when it has written what it acknowledged."""
    acts = {8.0: reader_away, 16.0: hold, 17.0: together(device_away, release, restart, reader_back), 20.0: device_back}
    report, scene = drive(mosquitto(persistence=True), at=acts)
    assert_all_came(report)
    assert scene.device.connections >= 2 and report.reader_reconnects == 1


@pytest.mark.usefixtures("soon_settled")
def test_fault_20_broker_killed_after_its_pubacks_without_persistence_the_reader_reports_what_is_lost(mosquitto: Make) -> None:
    acts = {8.0: reader_away, 16.0: hold, 17.0: together(device_away, release, restart, reader_back), 20.0: device_back}
    report, scene = drive(mosquitto(), at=acts)
    assert report.lost_after_ack > 500
    assert_only_the_broker_lost(report)
    account, lost = scene.simulation.account, merged(report.lost_after_ack_ranges)
    (trace,) = [life.trace for life in scene.simulation.board.lives]
    taken = {(trace.boot, stream): count for stream, count in trace.taken.items()}
    assert [(*stream, *part) for stream in sorted(taken) for part in account.missing(*stream, 0, taken[stream])] == lost
    told = [(*stream, *part) for stream in account.streams for part in account.missing(*stream)]
    assert told == [(boot, stream, a, b) for boot, stream, a, b in lost if a > 0 and b < taken[boot, stream]]  # between others
    assert sum(b - a for _, _, a, b in told) > 500


def merged(ranges: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The same, with parts that touch as one."""
    parts: dict[tuple[int, int], Intervals] = {}
    for boot, stream, first, stop in ranges:
        parts.setdefault((boot, stream), Intervals()).add(first, stop)
    return [(*stream, *part) for stream, those in sorted(parts.items()) for part in those]


@pytest.mark.usefixtures("soon_settled")
def test_fault_20_broker_killed_again_and_again_while_its_reader_is_there(mosquitto: Make) -> None:
    """It may have acknowledged what it had not yet handed on: that and nothing else is lost, and told."""
    report, scene = drive(mosquitto(), 40.0, at=dict.fromkeys((6.0, 11.0, 17.0, 22.0, 28.0, 33.0), restart))
    assert_only_the_broker_lost(report)
    assert scene.device.connections >= 5


def test_fault_20_broker_stopped_for_a_minute_goes_on(mosquitto: Make) -> None:
    acts = {20.0: lambda scene: scene.broker.stop(), 80.0: lambda scene: scene.broker.go_on()}
    report, scene = drive(mosquitto(), 110.0, at=acts, speed=10.0)
    assert_all_came(report)
    assert scene.device.connections >= 2 and "ETIMEDOUT" in str(scene.simulation.status["link"])


def test_fault_26_wrong_password_is_refused_and_told_and_the_data_kept_until_it_is_right(mosquitto: Make) -> None:
    broker = mosquitto(accounts={"reader": "r", "device": "of yesterday"})
    config = {"mqtt.user": "device", "mqtt.password": "of today", "mqtt.insecure": 1}
    mend = {16.0: lambda scene: scene.broker.allow({"reader": "r", "device": "of today"})}
    report, scene = drive(broker, at=mend, config=config, account="reader:r@")
    assert_all_came(report)
    link = scene.simulation.status["link"]
    assert isinstance(link, dict) and link["last_failure"].endswith("refused, not authorised") and link["failures"] >= 2


def test_fault_26_session_taken_over_by_another_client_with_the_same_id_is_taken_back(mosquitto: Make) -> None:
    taken: list[bool] = []

    def take_over(scene: Scene) -> None:
        async def other() -> None:
            async with aiomqtt.Client(HOST, scene.broker.port, identifier=scene.simulation.device) as client:
                await client.publish(f"{ROOT}/other/status", b"{}", qos=1)
                taken.append(True)

        tasks.append(asyncio.get_running_loop().create_task(other()))

    tasks: list[asyncio.Task[None]] = []
    report, scene = drive(mosquitto(), at=dict.fromkeys((8.0, 12.0, 16.0), take_over))
    assert_all_came(report)
    assert len(taken) == 3 and scene.device.connections >= 4
