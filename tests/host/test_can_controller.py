"""boards/unix/_can: a controller with a finite queue loses exactly what its frames' time stamps say, and counts it."""

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_device import run

RTR, EXT = 512, 256
QUEUE = 64
GREETING = bytes(20)
GONE = b""  # as the last piece: the car closes the connection
PRELUDE = """
import json, os, vfs
from utime import sleep_ms, ticks_diff, ticks_ms
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import _can
us = [1000]  # the time that the controller sees, until the script gives it back the real one
real, _can.ticks_us = _can.ticks_us, lambda: us[0] & 0x3FFFFFFF
can = _can.CAN(0, 500000, mode=_can.CAN.MODE_SILENT)
def pull():
    got = []
    while True:
        frame = can.recv([0, None, 0, 0])
        if frame is None:
            return got
        got.append((frame[0], bytes(frame[1]), frame[2], frame[3]))
def passes(ms):
    us[0] += 1000 * ms
def numbers(frames):
    return [int.from_bytes(frame[1], "little") for frame in frames]
def attach(filters=None):
    can.set_filters(filters)
    sleep_ms(200)  # for the records to come through the socket
def counters():
    return can.get_counters()[6:]
"""


def record(at_ms: float, identity: int, data: bytes, code: int = 0) -> bytes:
    return struct.pack("<III8s", int(at_ms * 10), identity, len(data) | code, data)


def numbered(count: int, per_ms: int = 1) -> bytes:
    """Frames that carry their number, from 0 ms on, so many in a millisecond."""
    return b"".join(record(n / per_ms, 0x100, n.to_bytes(4, "little")) for n in range(count))


class Car:
    """Serves these bytes to whoever comes, some seconds late, with a pause between the pieces."""

    def __init__(self, *pieces: bytes, late_s: float = 0.0) -> None:
        self._pieces = pieces
        self._late_s = late_s
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.visitors = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._server.accept()
            except OSError:
                return
            self.visitors += 1
            self._open.append(visitor)
            try:
                time.sleep(self._late_s)
                visitor.sendall(GREETING + b"".join(self._pieces[:1]))  # at once: with time begun, the first are there
                for piece in self._pieces[1:]:
                    time.sleep(0.1)
                    visitor.sendall(piece)
                if self._pieces[-1:] == (GONE,):
                    visitor.close()
            except OSError:
                continue

    def close(self) -> None:
        for open_socket in (self._server, *self._open):
            open_socket.close()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator:
    """drive(stream or pieces of it, script): what a script says on a board that hears these records."""
    cars: list[Car] = []

    def start(
        stream: bytes | tuple[bytes, ...], script: str, speed: float = 1.0, late_s: float = 0.0, bitrate: int = 0
    ) -> str:
        cars.append(Car(*([stream] if isinstance(stream, bytes) else stream), late_s=late_s))
        said = run(
            ["-c", PRELUDE + script],
            speed=speed,
            RUN=tmp_path,
            PIGTAIL_CAN=cars[-1].port,
            PIGTAIL_RX_QUEUE=QUEUE,
            PIGTAIL_CAN_BITRATE=bitrate,
        )
        return said.strip()

    start.cars = cars  # type: ignore[attr-defined]
    yield start
    for car in cars:
        car.close()


def test_stall_loses_exactly_the_frames_that_found_the_queue_full(drive) -> None:
    script = """
attach()
passes(49); print(numbers(pull()) == list(range(50)), counters())
passes(100); kept = numbers(pull())
print(kept == list(range(50, 50 + 64)), counters())
passes(30); print(numbers(pull()) == list(range(150, 180)), counters())
"""
    said = drive(numbered(500), script)
    assert said.splitlines() == ["True [0, 0]", f"True [0, {100 - QUEUE}]", f"True [0, {100 - QUEUE}]"]


def test_car_that_is_late_is_waited_for_by_the_watchdog(drive) -> None:
    script = "import machine; w = machine.WDT(timeout=100); attach(); w.feed(); passes(10); print(len(pull()))"
    assert drive(numbered(10), script, late_s=3.0) == "10"


def test_queue_that_is_just_full_loses_nothing(drive) -> None:
    script = (
        "attach(); passes(63); print(len(pull()), counters()); passes(65); print(len(pull()), counters())"
    )
    assert drive(numbered(200), script).splitlines() == ["64 [0, 0]", "64 [0, 1]"]


def test_overrun_is_told_with_the_frame_after_it(drive) -> None:
    script = """
attach(); passes(99)
print([frame[3] for frame in pull()] == [can.RECV_ERR_OVERRUN] + [0] * 63)
passes(10); print([frame[3] for frame in pull()] == [0] * 10)
"""
    assert drive(numbered(200), script).split() == ["True", "True"]


@pytest.mark.parametrize("speed", [1, 4])
def test_stall_in_real_time_loses_what_came_meanwhile(drive, speed: float) -> None:
    script = """
_can.ticks_us = real
attach(); pull(); sleep_ms(10)
last = numbers(pull())[-1]
before = counters()[1]
began = ticks_ms()
while ticks_diff(ticks_ms(), began) <= 100:
    pass
kept = numbers(pull())
lost = -1
while lost != counters()[1]:  # until a frame has come after the last that was lost
    lost = counters()[1]
    sleep_ms(10)
    kept += numbers(pull())
print(json.dumps([last, kept, lost - before]))
"""
    last, kept, lost = json.loads(drive(numbered(60_000, per_ms=4), script, speed))
    assert kept[:QUEUE] == list(range(last + 1, last + 1 + QUEUE))
    assert kept[-1] - last - len(kept) == lost
    assert kept == sorted(set(kept))
    assert lost + QUEUE >= 400  # four frames a millisecond


def test_frame_arrives_at_its_time_and_not_before(drive) -> None:
    script = """
attach()
us[0] += 49_900; print(len(pull()))
us[0] += 100; print(len(pull()))
"""
    assert drive(record(50, 1, b"x"), script).split() == ["0", "1"]


def test_nothing_is_heard_before_the_filters_are_set(drive) -> None:
    said = drive(numbered(10), "passes(100); print(pull(), counters(), can.recv())")
    assert said == "[] [0, 0] None"
    assert drive.cars[0].visitors == 0


def test_time_counts_from_the_first_filter(drive) -> None:
    said = drive(numbered(100), "passes(50); attach(); passes(9); print(numbers(pull()))")
    assert said == str(list(range(10)))


FOUR = (
    record(0, 0x100, b"\1"),
    record(0, 0x7FF, b"\2"),
    record(0, 0x100, b"\3", EXT),
    record(0, 0x1FFFFFFF, b"\4", EXT),
)


@pytest.mark.parametrize(
    ("filters", "heard"),
    [
        ("None", [1, 2, 3, 4]),
        ("[]", []),
        ("[(0x100, 0x7FF, 0)]", [1]),
        ("[(0x100, 0x1FFFFFFF, can.FLAG_EXT_ID)]", [3]),
        ("[(0, 0, 0)]", [1, 2]),
        ("[(0, 0, can.FLAG_EXT_ID)]", [3, 4]),
        ("[(0x100, 0x7FF, 0), (0x1FFFFFFF, 0x1FFFFFFF, can.FLAG_EXT_ID)]", [1, 4]),
    ],
)
def test_filters_choose_by_id_mask_and_width(drive, filters: str, heard: list[int]) -> None:
    assert drive(b"".join(FOUR), f"attach({filters}); passes(1); print(numbers(pull()))") == str(heard)


def test_filters_that_no_controller_takes_are_refused(drive) -> None:
    script = """
for filters in ([(0, 0, 0)] * 17, [(0x800, 0, 0)], [(0, 0x800, 0)], [(0x20000000, 0, can.FLAG_EXT_ID)]):
    try:
        can.set_filters(filters)
        print("taken")
    except ValueError:
        print("refused")
"""
    assert drive(b"", script).split() == ["refused"] * 4


def test_filtered_frames_take_no_room_in_the_queue(drive) -> None:
    stream = b"".join(record(n / 10, 0x200, bytes(8)) for n in range(500)) + record(50, 0x100, b"\7")
    script = "attach([(0x100, 0x7FF, 0)]); passes(60); print(numbers(pull()), counters())"
    assert drive(stream, script) == "[7] [0, 0]"


def test_29_bit_and_remote_frames_carry_their_flags(drive) -> None:
    stream = (
        record(0, 0x1ABCDEF0, b"\1\2", EXT)
        + record(0, 0x123, b"", RTR)
        + record(0, 5, b"12345678", EXT | RTR)
    )
    said = drive(stream, "attach(); passes(1); print([(hex(f[0]), len(f[1]), f[2]) for f in pull()])")
    assert said == "[('0x1abcdef0', 2, 2), ('0x123', 0, 1), ('0x5', 8, 3)]"


def test_records_beyond_the_inbox_keep_their_order(drive) -> None:
    script = """
attach(); seen = []
for _ in range(400):
    passes(5); seen += numbers(pull())
print(seen == list(range(2000)), counters())
"""
    assert drive(numbered(2000), script) == "True [0, 0]"


def test_record_cut_in_the_stream_is_put_together(drive) -> None:
    script = """
can.set_filters(None); seen = []
for _ in range(3000):
    sleep_ms(10); passes(5); seen += numbers(pull())
    if len(seen) >= 100:
        break
print(seen == list(range(100)), counters())
"""
    stream = numbered(100)
    assert drive((stream[:33], stream[33:1021], stream[1021:]), script) == "True [0, 0]"


def test_car_that_goes_in_the_middle_of_a_record_leaves_a_silent_bus(drive) -> None:
    script = "attach(); passes(10); print(numbers(pull())); sleep_ms(200); passes(10); print(pull())"
    assert drive((record(0, 1, b"\7") + bytes(7), GONE), script).splitlines()[-1] == "[]"


def test_sending_raises_in_a_silent_mode(drive) -> None:
    script = """
try:
    can.send(1, b"")
    print("sent")
except OSError as error:
    print(error)
"""
    assert drive(b"", script) == "this controller does not transmit now"


def test_controller_tells_its_state_and_waiting_frames(drive) -> None:
    script = """
print(can.state() == can.STATE_ACTIVE); attach(); passes(9); can.recv(); print(counters())
can.deinit(); print(can.state() == can.STATE_STOPPED)
"""
    assert drive(numbered(20), script).splitlines() == ["True", "[9, 0]", "True"]


def test_what_comes_while_the_controller_is_stopped_goes_by(drive) -> None:
    script = """
attach(); passes(9); can.recv(); can.deinit(); print(can.recv(), can.get_counters()[6:])
passes(20); can.init(500000, can.MODE_SILENT); print(can.recv())
can.set_filters(None); passes(10); print(numbers(pull()))
"""
    assert drive(numbered(100), script).splitlines() == ["None [0, 9]", "None", str(list(range(30, 40)))]
    assert drive.cars[0].visitors == 1


@pytest.mark.parametrize(("asked", "heard"), [(125_000, 10), (126_000, 10), (500_000, 0)])
def test_wrong_bit_rate_hears_errors_only(drive, asked: int, heard: int) -> None:
    script = f"""
can.init({asked}, can.MODE_SILENT)
attach(); passes(9); print(len(pull()), can.get_counters()[1])
"""
    assert drive(numbered(50), script, bitrate=125_000) == f"{heard} {10 - heard}"


def test_handler_is_called_when_frames_have_come(drive) -> None:
    script = """
called = []
can.irq(lambda c: called.append(c is can), can.IRQ_RX)
attach(); print(called); passes(5); can.recv(); sleep_ms(1); print(called)
"""
    assert drive(numbered(20), script).splitlines() == ["[]", "[True]"]


def test_meter_shows_what_the_controller_saw(drive, tmp_path: Path) -> None:
    drive(numbered(100), "attach([(0x100, 0x7FF, 0)]); passes(99); pull()")
    arrived, received, overrun, filtered, looked, *_ = struct.unpack(
        "<8I", (tmp_path / "meter.bin").read_bytes()
    )
    assert (arrived, received, overrun, filtered, looked) == (100, QUEUE, 100 - QUEUE, 0, 990)
