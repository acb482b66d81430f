"""Faults of the network between device and broker: silence, resets, a slow reader, narrow and long ways."""

import random
from collections.abc import Callable

import pytest

from tests.mosquitto.broker import Mosquitto
from tests.mosquitto.drives import Scene, assert_all_came, drive
from tests.mosquitto.faulty import Reset, Tamper

Make = Callable[..., Mosquitto]
SPEED = 4.0  # of the drives here: a proxy's seconds are real ones


def test_fault_21_half_open_for_15_s_heals(mosquitto: Make) -> None:
    acts = {8.0: lambda scene: scene.device.hold(), 23.0: lambda scene: scene.device.release()}
    report, _ = drive(mosquitto(), 40.0, at=acts)
    assert_all_came(report)


def test_fault_21_half_open_for_good_is_noticed_and_left(mosquitto: Make) -> None:
    report, scene = drive(mosquitto(), 60.0, at={8.0: lambda scene: scene.device.abandon()}, speed=6.0)
    assert_all_came(report)
    assert scene.device.connections == 2 and "ETIMEDOUT" in str(scene.simulation.status["link"])


def test_fault_21_broker_that_says_nothing_leaves_its_place_to_the_next_of_the_list_and_takes_it_back(mosquitto: Make) -> None:
    def back(scene: Scene) -> None:
        assert scene.moved and scene.moved.connections == 1
        scene.device.open()
        scene.moved.reset()

    acts = {8.0: lambda scene: scene.device.shut(), 45.0: back}
    report, scene = drive(mosquitto(), 70.0, at=acts, speed=6.0, moved_to="127.0.0.2", config={"mqtt.brokers": ["127.0.0.2"]})
    assert_all_came(report)
    status = scene.simulation.status["broker"]
    assert scene.moved and scene.moved.connections == 1 and scene.device.connections >= 2
    assert isinstance(status, dict) and status["host"] != "127.0.0.2"


class ResetAt(Tamper):
    """Resets the connection behind the n-th byte of what the device sends, or of what the broker does."""

    def __init__(self, up: int = 0, down: int = 0) -> None:
        self._up, self._down = up, down

    def up(self, data: bytes) -> bytes:
        self._up = self._counted(data, self._up)
        return data

    def down(self, data: bytes) -> bytes:
        self._down = self._counted(data, self._down)
        return data

    def _counted(self, data: bytes, left: int) -> int:
        if 0 < left <= len(data):
            raise Reset(data[:left])
        return left - len(data) if left else 0


def resetting(*places: ResetAt) -> Callable[[Scene], None]:
    """The first connections end at these places, one after the other."""
    left = list(places)

    def prepare(scene: Scene) -> None:
        scene.device.tamper = lambda: left.pop(0) if left else Tamper()

    return prepare


@pytest.mark.parametrize("way", ["up", "down"])
def test_fault_22_reset_in_mid_packet(mosquitto: Make, way: str) -> None:
    """In the CONNECT, in the CONNACK, and in PUBLISHes and PUBACKs soon and late."""
    places = [ResetAt(**{way: n}) for n in ((1, 20, 700, 3001, 5500) if way == "up" else (1, 3, 6, 15, 42))]
    report, scene = drive(mosquitto(), 40.0, prepare=resetting(*places))
    assert_all_came(report)
    assert scene.device.resets == len(places) < scene.device.connections


def test_fault_22_resets_at_random(mosquitto: Make) -> None:
    source = random.Random(22)

    def prepare(scene: Scene) -> None:
        scene.device.tamper = lambda: ResetAt(up=source.randrange(1, 9000), down=source.randrange(5, 200))

    report, scene = drive(mosquitto(), 60.0, prepare=prepare, at={50.0: resetting()}, speed=6.0)
    assert_all_came(report)
    assert scene.device.resets >= 4


def test_fault_23_slow_reader_that_reads_no_more_meets_a_deadline_and_sampling_goes_on(mosquitto: Make) -> None:
    acts = {5.0: lambda scene: scene.device.stall(), 45.0: lambda scene: scene.device.read_on()}
    report, scene = drive(mosquitto(), 70.0, at=acts, speed=6.0, narrow=True, config={"batch_ms": 5000})
    assert_all_came(report)
    assert scene.device.connections >= 2 and "ETIMEDOUT" in str(scene.simulation.status["link"])


def test_fault_23_slow_reader_at_two_kilobytes_a_second(mosquitto: Make) -> None:
    """What an outage left goes out as fast as the acknowledgements come."""
    report, scene = drive(
        mosquitto(), 60.0, prepare=lambda scene: setattr(scene.device, "rate", 2048 * SPEED), narrow=True, outages=((5.0, 35.0),),
        config={"batch_ms": 100},
    )  # fmt: skip
    assert_all_came(report)
    assert scene.device.connections == 2


def test_fault_23_slow_network_of_800_ms_round_trip(mosquitto: Make) -> None:
    report, scene = drive(mosquitto(), prepare=lambda scene: setattr(scene.device, "latency_s", 0.4 / SPEED))
    assert_all_came(report)
    assert scene.device.connections == 1


def test_fault_22_one_byte_at_a_time(mosquitto: Make) -> None:
    report, scene = drive(mosquitto(), prepare=lambda scene: setattr(scene.device, "piece", 1))
    assert_all_came(report)
    assert scene.device.connections == 1
