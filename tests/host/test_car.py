"""The virtual car drives on while the device is off: what goes by then is gone, and counted. It knows when it was late."""

import asyncio
import itertools
import struct
from collections.abc import Iterator

import can

from host_tools.errors import InputError
from host_tools.sim.car import VirtualCar

SPEED = 100.0
RECORD = 20


def frames(seconds: float) -> Iterator[can.Message]:
    """A frame every 10 ms that carries its number."""
    for number in range(int(100 * seconds)):
        yield can.Message(number / 100, 0x100, False, dlc=8, data=number.to_bytes(8, "little"))


async def heard(port: int, count: int) -> list[tuple[int, int]]:
    """(time in 0.1 ms, number) of the first records of one hearing; then power is lost."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readexactly(RECORD)
    records = [struct.unpack("<III8s", await reader.readexactly(RECORD)) for _ in range(count)]
    writer.transport.abort()
    return [(at, int.from_bytes(data, "little")) for at, _, _, data in records]


async def two_hearings(seconds: float) -> tuple[VirtualCar, list[tuple[int, int]], list[tuple[int, int]]]:
    car = VirtualCar(frames(seconds), frozenset({0x100}), SPEED)
    port = await car.start()
    try:
        before = await heard(port, 50)
        await asyncio.sleep(0.5)
        return car, before, await heard(port, 50)
    finally:
        await car.stop()


def test_device_that_comes_back_hears_what_is_on_the_bus_then() -> None:
    car, before, after = asyncio.run(two_hearings(3600.0))
    assert before == [(100 * n, n) for n in range(50)]
    began = car.hearings[1].began
    assert began > 40
    at, number = after[0]
    assert 0 <= at <= 100 and number == after[49][1] - 49
    assert number / 100 - 0.01 < began + at / 10_000 < number / 100 + 0.01


def test_laps_follow_one_another_whole() -> None:
    async def main() -> tuple[list[tuple[int, int]], int]:
        car = VirtualCar(frames(25.0), frozenset({0x100}), SPEED)  # more than its head start
        port = await car.start()
        try:
            await car.read_ahead(laps=3)
            return await heard(port, 7500), car.offered([])
        finally:
            await car.stop()

    records, offered = asyncio.run(asyncio.wait_for(main(), 60))
    assert [number for _, number in records] == [*range(2500)] * 3 and offered == 7500
    steps = [after - before for (before, _), (after, _) in itertools.pairwise(records)]
    assert {step for step in steps if not 99 <= step <= 101} <= {10, 11}  # from one lap to the next


def test_frames_that_went_by_are_counted() -> None:
    car, _, after = asyncio.run(two_hearings(3600.0))
    assert car.passed_by([50, 0]) + car.offered([50, 0]) >= after[-1][1]
    assert car.passed_by([50, 0]) >= after[0][1] - 50


def test_log_that_ends_while_the_device_is_off_is_over() -> None:
    async def body() -> VirtualCar:
        car = VirtualCar(frames(5.0), frozenset(), SPEED)
        port = await car.start()
        await heard(port, 50)
        await asyncio.sleep(0.2)
        await heard(port, 0)
        await asyncio.sleep(0.2)
        await car.stop()
        return car

    car = asyncio.run(body())
    assert car.hearings[1].finished and not car.hearings[1].known


def test_clock_that_jumps_while_the_device_is_off_is_told() -> None:
    def jumping() -> Iterator[can.Message]:
        yield from frames(100.0)
        yield can.Message(1e9, 0x100, False, dlc=0)

    async def body() -> VirtualCar:
        car = VirtualCar(jumping(), frozenset(), SPEED)
        port = await car.start()
        await heard(port, 50)
        while car.failure is None:
            await asyncio.sleep(0.02)
        await car.stop()
        return car

    assert isinstance(asyncio.run(body()).failure, InputError)


def late(speed: float) -> float:
    """`late` of a car whose 200 s of frames were all taken as soon as they came."""

    async def body() -> float:
        car = VirtualCar(frames(200.0), frozenset(), speed)
        reader, writer = await asyncio.open_connection("127.0.0.1", await car.start())
        await reader.readexactly(RECORD * (20_000 + 1))
        writer.close()
        await car.stop()
        return car.late

    return asyncio.run(asyncio.wait_for(body(), 120))


def test_frames_sent_ahead_of_their_time_are_not_late() -> None:
    assert late(0.1) == 0.0


def test_frames_that_could_not_be_sent_in_time_are_late() -> None:
    assert late(1_000_000) > 10.0
