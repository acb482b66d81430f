"""boards/unix/_wire: what the controller sends reaches the car's ECUs, and their answers come among the rest by their time."""

import asyncio
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import can
import pytest
from on_device import run

from host_tools.paths import ROOT
from host_tools.sim.car import VirtualCar
from host_tools.sim.ecus import Ecus
from host_tools.sim.ecus.file import load
from host_tools.sim.wire import Answer, Wire

PRELUDE = """
import os, vfs
from utime import sleep_ms
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import _can
us = [1000]  # the time that the controller sees
_can.ticks_us = lambda: us[0] & 0x3FFFFFFF
can = _can.CAN(0, 500000, mode=_can.CAN.MODE_NORMAL)
can.set_filters(None)
def passes(ms):
    us[0] += 1000 * ms
def pull():
    got = []
    while True:
        frame = can.recv()
        if frame is None:
            return got
        got.append((frame[0], bytes(frame[1])))
def ids():
    sleep_ms(200)  # for what comes through the sockets
    return [hex(frame[0]) for frame in pull()]
def ails(what, offs=0):
    with open("/run/wire", "r+b") as file:
        file.write(bytes([what, offs]))
def health():
    counters = can.get_counters()
    return can.state(), counters[0], counters[5]
"""
REQUEST = bytes.fromhex("0322f190cccccccc")


def feed() -> Iterator[can.Message]:
    """A frame every 10 ms."""
    for n in range(1000):
        yield can.Message(n / 100, 0x100, False, data=n.to_bytes(2, "big"))


class Served:
    """The car and its wire in a thread of their own."""

    def __init__(self, answer: Answer | None) -> None:
        self.car = VirtualCar(feed(), frozenset(), 1.0)
        self.wire = Wire(self.car, answer)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(20)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self.ports = self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._stop())
        self._loop.close()

    async def _start(self) -> tuple[int, int]:
        return await self.car.start(), await self.wire.start()

    async def _stop(self) -> None:
        await self.wire.stop()
        await self.car.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def close(self) -> None:
        """Ends it; the device is gone by then, and all that it sent is there."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.1), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator:
    """drive(script, answer, mode): what the script says on a board whose ECUs answer so; the controller starts in that mode."""
    served: list[Served] = []

    def start(script: str, answer: Answer | None = None, mode: str = "MODE_NORMAL") -> list[str]:
        served.append(Served(answer))
        can_port, wire_port = served[-1].ports
        whole = PRELUDE.replace("MODE_NORMAL", mode) + script
        said = run(["-c", whole], RUN=tmp_path, PIGTAIL_CAN=can_port, PIGTAIL_WIRE=wire_port)
        served[-1].close()
        assert served[-1].wire.failure is None
        return said.strip().splitlines()

    start.served = served  # type: ignore[attr-defined]
    yield start
    for each in served:
        each.close()


def answers(*after_ms: float) -> Answer:
    """An ECU that answers each request by so many frames at these times after it, of ids 0x700 + n."""

    def answer(frame: can.Message) -> Sequence[can.Message]:
        return [
            can.Message(frame.timestamp + ms / 1000, 0x700 + n, False, data=b"\x03\x7f\x22\x31") for n, ms in enumerate(after_ms)
        ]

    return answer


def test_frame_reaches_the_ecu_with_its_time_and_its_bytes(drive) -> None:
    said = drive(
        f"passes(25); print(can.send(0x7E4, {REQUEST!r}), can.send(0x18DA10F1, b'', can.FLAG_EXT_ID)); print(ids())"
    )
    wire = drive.served[0].wire
    assert said == ["0 1", str(["0x100"] * 3)]
    assert [(f.arbitration_id, f.is_extended_id, bytes(f.data)) for f in wire.log] == [
        (0x7E4, False, REQUEST),
        (0x18DA10F1, True, b""),
    ]
    assert dict(wire.sent) == {"7E4": 1, "18DA10F1": 1}
    assert [round(f.timestamp, 4) for f in wire.log] == [0.0253, 0.0256]  # 131 bits at 500 kbit/s each
    assert wire.acknowledging_from == 0.0


def test_answers_come_in_order_of_time_among_what_the_car_sends(drive) -> None:
    script = f"""
passes(5); can.send(0x7E4, {REQUEST!r}); print(ids()); passes(50); print(ids())
can.send(0x7E4, {REQUEST!r}); passes(10); print(ids()); passes(30); print(ids())
"""
    said = drive(script, answers(39, 1, 12, 2))
    assert said == [
        str(["0x100"]),
        str(["0x701", "0x703", "0x100", "0x702", "0x100", "0x100", "0x100", "0x700", "0x100"]),
        str(["0x701", "0x703", "0x100"]),
        str(["0x702", "0x100", "0x100", "0x100", "0x700"]),
    ]


def test_answer_that_comes_after_its_time_arrives_at_once(drive) -> None:
    def slowly(frame: can.Message) -> Sequence[can.Message]:
        time.sleep(0.5)
        return answers(1)(frame)

    script = f"can.send(0x7E4, {REQUEST!r}); passes(35); print(len(pull())); sleep_ms(900); passes(1); print(ids())"
    assert drive(script, slowly) == ["4", str(["0x700"])]


def test_answers_are_counted_apart(drive, tmp_path: Path) -> None:
    drive(f"can.send(0x7E4, {REQUEST!r}); sleep_ms(200); passes(5); pull()", answers(1, 2, 3))
    row = memoryview((tmp_path / "meter.bin").read_bytes()).cast("I")
    assert (row[0], row[7]) == (4, 3)


def test_fourth_frame_in_a_row_finds_the_queue_full(drive) -> None:
    script = f"""
print([can.send(0x7E4, {REQUEST!r}) for _ in range(4)], health())
passes(1); print(health(), can.send(0x7E4, {REQUEST!r}))
"""
    assert drive(script) == ["[0, 1, 2, None] (1, 0, 3)", "(1, 0, 0) 0"]
    assert drive.served[0].wire.sent.total() == 4


def test_frames_that_no_controller_takes_are_refused(drive) -> None:
    script = """
for identity, size, flags in ((0x800, 0, 0), (0x20000000, 0, can.FLAG_EXT_ID), (1, 9, 0)):
    try:
        print(can.send(identity, bytes(size), flags))
    except ValueError:
        print("refused")
"""
    assert drive(script) == ["refused"] * 3


def test_controller_acknowledges_and_sends_from_when_it_leaves_the_silent_mode(drive) -> None:
    script = f"""
def sends():
    try:
        return can.send(0x7E4, {REQUEST!r})
    except OSError:
        return "silent"
def starts(mode):
    can.deinit(); can.init(500000, mode); can.set_filters(None)
passes(5); print(sends()); starts(can.MODE_NORMAL); print(sends()); passes(5); starts(can.MODE_SILENT); print(sends())
passes(5); starts(can.MODE_NORMAL); print(sends())
"""
    assert drive(script, mode="MODE_SILENT") == ["silent", "0", "silent", "0"]
    wire = drive.served[0].wire
    assert [round(frame.timestamp, 4) for frame in wire.log] == [0.0053, 0.0153]
    assert wire.acknowledging_from == 0.005


def test_controller_that_stays_silent_makes_no_wire(drive, tmp_path: Path) -> None:
    drive("passes(50); pull(); can.deinit(); can.init(500000, can.MODE_SILENT); can.set_filters(None)", mode="MODE_SILENT")
    assert drive.served[0].wire.acknowledging_from is None and not drive.served[0].wire.log
    assert (tmp_path / "wire").exists() and not (tmp_path / "answers.bin").exists()


def test_answers_of_two_requests_come_in_order_of_time(drive) -> None:
    def answer(frame: can.Message) -> Sequence[can.Message]:
        after_ms = 50 if frame.arbitration_id == 0x7E4 else 5
        return [can.Message(frame.timestamp + after_ms / 1000, frame.arbitration_id + 8, False)]

    script = f"""
passes(1); pull(); can.send(0x7E4, {REQUEST!r}); sleep_ms(200); passes(1); can.send(0x7E2, {REQUEST!r}); print(ids())
passes(70); print([identity for identity in ids() if identity != "0x100"])
"""
    assert drive(script, answer)[1] == str(["0x7ea", "0x7ec"])


def test_times_of_a_later_life_count_from_its_own_beginning() -> None:
    car = SimpleNamespace(hearings=[SimpleNamespace(began=0.0), SimpleNamespace(began=100.0)])
    wire = Wire(cast(Any, car), answers(2))
    said = wire.take(struct.pack("<III8s", 50_000, 0x7E4, 8, REQUEST))
    assert struct.unpack("<III8s", said) == (50_020, 0x700, 4, b"\x03\x7f\x22\x31\0\0\0\0")
    assert [frame.timestamp for frame in wire.log] == [105.0] and wire.failure is None


def test_frame_that_nobody_acknowledges_makes_the_controller_passive_and_goes_out_later(drive) -> None:
    script = f"""
print(health()); ails(1); print(health()); can.send(0x7E4, {REQUEST!r}); passes(20); print(health())
ails(0); passes(20); print(ids()[:1], health()); passes(1); print(health())
"""
    assert drive(script) == ["(1, 0, 0)", "(1, 0, 0)", "(3, 128, 1)", "['0x100'] (1, 0, 1)", "(1, 0, 0)"]
    assert [round(frame.timestamp, 4) for frame in drive.served[0].wire.log] == [0.0403]


def test_bus_off_lasts_until_the_controller_is_started_anew(drive) -> None:
    script = f"""
ails(0, 1); print(health())
try:
    can.send(0x7E4, {REQUEST!r})
except OSError:
    print("refused")
can.deinit(); can.init(500000, can.MODE_SILENT); can.set_filters(None); print(health()); ails(0, 2); print(health())
can.deinit(); can.init(500000, can.MODE_NORMAL); can.set_filters(None); print(health(), can.send(0x7E4, {REQUEST!r}))
"""
    assert drive(script) == ["(4, 255, 0)", "refused", "(1, 0, 0)", "(1, 0, 0)", "(1, 0, 0) 0"]


def test_error_passive_controller_still_sends(drive) -> None:
    assert drive(f"ails(2); print(health(), can.send(0x7E4, {REQUEST!r}))") == ["(3, 128, 0) 0"]


def test_sending_allocates_nothing(drive) -> None:
    script = f"""
import micropython
frame = bytearray({REQUEST!r})
can.recv(); can.send(0x7E4, frame); passes(5)
micropython.heap_lock()
can.send(0x7E4, frame); passes(5); can.send(0x7E4, frame)
micropython.heap_unlock()
print("no memory")
"""
    assert drive(script, answers(1)) == ["no memory"]


STACK = """
import asyncio, os, vfs
from binascii import hexlify
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
from machine import CAN
from pigtail.can.bus import Bus
from pigtail.can.tx_guard import DEFAULT, Ecu, TxGuard
from pigtail.diag import isotp, uds
can = CAN(0, 500000, mode=CAN.MODE_SILENT)
bus = Bus(can, 500000)
bus.open()
battery = uds.Server(Ecu(0x7E4), 0x7EC)
motor = uds.Server(Ecu(0x7E2), 0x7EA)
everyone = Ecu(0x7DF, False, None, b"", (), True)  # by position: private names are short on the device
guard = TxGuard([battery.ecu, motor.ecu, everyone], DEFAULT, lambda: "awake", None)
bus.let_send(guard)
stack = isotp.Isotp(guard, (battery, motor))
bus.taps.append(stack.take)
client = uds.Client(guard, stack)
async def read():
    while True:
        if not bus.drain():
            stack.take(bus.slots, 0)
        guard.beat()
        await asyncio.sleep_ms(1)
async def main():
    asyncio.create_task(read())
    print(bytes((await client.ask(battery, b"\\x22\\xf1\\x90"))[3:]).decode())
    print(len(await client.ask(battery, b"\\x22\\x01\\x05")))
    try:
        await client.ask(battery, b"\\x22\\xf1\\xff")
    except isotp.Failure as failure:
        print(failure)
    print([hexlify(answer) for answer in await client.ask_all(everyone, (battery, motor), b"\\x19\\x02\\xff")])
    print(guard.sent, sum(stack.counts.values()))
asyncio.run(main())
"""


def test_device_asks_two_ecus_beside_what_the_car_sends(tmp_path: Path) -> None:
    ecus = Ecus(load(ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"))
    served = Served(ecus.answer)
    try:
        said = run(["-c", STACK], RUN=tmp_path, PIGTAIL_CAN=served.ports[0], PIGTAIL_WIRE=served.ports[1])
    finally:
        served.close()
    assert said.split("\n")[:-1] == [
        "PIGTAIL0DEMO00001",
        "27",
        "negative 31",
        "[b'5902ff', b'5902ff0420002f']",
        "6 0",
    ]
    assert served.wire.sent == {"7E4": 5, "7DF": 1}
    counts = [{k: n for k, n in ecu.counts.items() if n} for ecu in ecus.ecus]
    assert counts == [{"asked": 4, "answered": 4}, {"asked": 1, "answered": 1}]
