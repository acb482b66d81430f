"""The virtual car: feeds frames to the virtual controller, ahead of their time and each with its time.

Records are those of boards/unix/_can.py. The device's own clock decides when a frame arrives; the socket's back-pressure
decides how far ahead this side runs. After a power cut the car has driven on: what went by meanwhile is gone.
"""

import asyncio
import contextlib
import itertools
import math
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import can

from host_tools.errors import InputError

_RECORD = 20  # bytes
_UNITS = 10_000  # time stamps per second
_DISORDER_S = 1.0  # that frames of several buses may be out of order; such a frame counts as simultaneous
_PAUSE_S = 3600.0  # longest silence in a log; more is a clock that was set
_BASE_BITS, _EXTENDED_BITS = 47, 20  # of a data frame with an 11-bit id and no data, interframe space included; more for 29
_BATCH = 200  # records handed to the socket at once
_HEAD_START = 10  # such batches sent before the device's time begins
_BUFFER = 1 << 18  # bytes of socket buffer on either side; Linux doubles it
_DARK_TURN_S = 0.02  # real seconds between two looks at what went by a device that is off
_BETWEEN_LAPS_S = 0.001
_BACKLOG = 1 << 16  # records kept for a device that comes back: more than can be under way


@dataclass
class Hearing:
    """What was sent to one life of the device."""

    began: float  # s since the car started
    at: float  # monotonic, s
    known: bytearray = field(default_factory=bytearray)  # for each frame sent, whether the profile knows its id
    recent: deque[tuple[float, bytes, bool]] = field(default_factory=lambda: deque(maxlen=_BACKLOG))
    finished: bool = False
    last: int = 0  # time stamp of the last record, 0.1 ms since the device opened the bus


class VirtualCar:
    """`frames` in order of time (s, from 0 on), those left out at whose time the car is not `awake`; `known` are the ids of the
    profile, with bit 29 for a 29-bit id."""

    def __init__(
        self, frames: Iterator[can.Message], known: frozenset[int], speed: float, awake: Callable[[float], bool] = lambda at: True
    ) -> None:
        self._awake = awake
        self._frames = self._encoded(frames)
        self._known = known
        self._speed = speed
        self._started: float | None = None
        self._server: asyncio.Server | None = None
        self._sender: asyncio.Task[None] | None = None
        self._pending: deque[tuple[float, bytes, bool]] = deque()
        self._read = 0  # frames taken from `frames`
        self._bits = 0
        self.fd_frames = 0
        self.late = 0.0  # device seconds by which a frame was sent after its time, at most: above 0, this side did not keep up
        self.hearings: list[Hearing] = []
        self.attached = asyncio.Event()
        self.failure: Exception | None = None

    @property
    def now(self) -> float:
        """Device seconds since the car started; 0 before the device first opened its bus."""
        return self.at(time.monotonic())

    @property
    def bits_per_frame(self) -> float:
        """Mean length of the frames so far on the wire, without stuff bits (ISO 11898-1, 10.4)."""
        return self._bits / self._read if self._read else 0.0

    def at(self, monotonic: float) -> float:
        """Device seconds since the car started at a time of the host's monotonic clock."""
        return 0.0 if self._started is None else (monotonic - self._started) * self._speed

    @property
    def overdue(self) -> float:
        """Device seconds since the last frame of the log was due; 0 while frames are still to come."""
        hearing = self.hearings[-1]
        return max(0.0, self.now - hearing.began - hearing.last / _UNITS) if hearing.finished else 0.0

    def offered(self, arrived: Sequence[int]) -> int:
        """Frames that this side put on the bus of a device that was on: all that it sent in the last hearing, and of
        those before, which a power cut ended with frames under way, what had `arrived`."""
        return sum(arrived[:-1]) + len(self.hearings[-1].known)

    def unknown(self, arrived: Sequence[int]) -> int:
        """Frames offered whose id the profile does not know."""
        before = sum(hearing.known[:n].count(0) for hearing, n in zip(self.hearings[:-1], arrived, strict=False))
        return before + self.hearings[-1].known.count(0)

    def passed_by(self, arrived: Sequence[int]) -> int:
        """Frames that went by while the device was off, when `arrived` reached it in each hearing."""
        return self._read - self.offered(arrived)

    def next_at(self, since: float) -> float:
        """Device seconds at which the first frame from `since` on comes, to whom it may; infinite: there is none."""
        sent = self.hearings[-1].recent if self.hearings else ()
        found = next((at for at, _, _ in itertools.chain(sent, self._pending) if at >= since), None)
        while found is None and (entry := self._fresh()):
            self._pending.append(entry)
            found = entry[0] if entry[0] >= since else None
        return math.inf if found is None else found

    async def start(self) -> int:
        """Makes the head start ready and listens; returns the port. Raises InputError where the frames make no sense."""
        head_start = [entry for _ in range(_HEAD_START * _BATCH) if (entry := self._entry())]
        self._pending.extend(head_start)
        self._server = await asyncio.start_server(self._attach, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def read_ahead(self, laps: int = 1) -> None:
        """Makes all frames now: beyond some speed they cannot be made as fast as they are due. They are sent `laps` times."""
        made = []
        for entry in self._frames:
            made.append(entry)
            if len(made) % _BATCH == 0:
                await asyncio.sleep(0)
        whole = [*self._pending, *made]
        self._frames = itertools.chain(made, _repeated(whole, laps))

    async def stop(self) -> None:
        """Ends all connections."""
        if self._server:
            self._server.close()
        await self._hush()

    async def _hush(self) -> None:
        if self._sender:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
            self._sender = None

    async def _attach(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._hush()
        if self._started is None:
            self._started = time.monotonic()
        hearing = Hearing(self.now if self.hearings else 0.0, time.monotonic())
        self._put_back()
        self.hearings.append(hearing)
        self._sender = asyncio.create_task(self._feed(writer, hearing))
        self.attached.set()

    def _put_back(self) -> None:
        """Puts back what the last life was sent: it may not yet have reached it."""
        if self.hearings:
            self._pending.extendleft(reversed(self.hearings[-1].recent))
            self.hearings[-1].recent.clear()

    async def _feed(self, writer: asyncio.StreamWriter, hearing: Hearing) -> None:
        try:
            try:
                await self._send(writer, hearing)
            except ConnectionError:  # the device lost power; it will be back
                self._put_back()
                while True:
                    await self._skip(self.now)
                    await asyncio.sleep(_DARK_TURN_S)
        except Exception as error:
            self.failure = error  # a log that cannot be read on: the simulation tells
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, hearing: Hearing) -> None:
        writer.transport.set_write_buffer_limits(high=_BATCH * _RECORD)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        await self._skip(hearing.began)
        head_start = [record for _ in range(_HEAD_START) for record in self._next(hearing)]
        writer.write(bytes(_RECORD) + b"".join(head_start))
        opened = time.monotonic()
        while batch := self._next(hearing):
            due = int.from_bytes(batch[0][:4], "little") / _UNITS
            self.late = max(self.late, (time.monotonic() - opened) * self._speed - due)
            writer.write(b"".join(batch))
            await writer.drain()
            await asyncio.sleep(0)  # drain alone lets nobody else in while there is room
        hearing.finished = True
        await asyncio.Event().wait()  # the bus stays, silent

    async def _skip(self, until: float) -> None:
        """Lets go by what was on the bus before `until`."""
        skipped = 0
        while entry := self._entry():
            if entry[0] >= until:
                self._pending.appendleft(entry)
                return
            skipped += 1
            if skipped % _BATCH == 0:
                await asyncio.sleep(0)

    def _entry(self) -> tuple[float, bytes, bool] | None:
        """The next frame, None after the last."""
        if self._pending:
            return self._pending.popleft()
        return self._fresh()

    def _fresh(self) -> tuple[float, bytes, bool] | None:
        """The next frame that nobody has looked at."""
        if fresh := next(self._frames, None):
            self._read += 1
            self._bits += _BASE_BITS + 8 * (fresh[1][4] & 15) + (_EXTENDED_BITS if fresh[1][5] & 1 else 0)
        return fresh

    def _next(self, hearing: Hearing) -> list[bytes]:
        batch: list[bytes] = []
        while len(batch) < _BATCH and (entry := self._entry()):
            at, record, known = entry
            hearing.last = int((at - hearing.began) * _UNITS)
            batch.append(struct.pack("<I", hearing.last) + record)
            hearing.recent.append(entry)
            hearing.known.append(known)
        return batch

    def _encoded(self, frames: Iterator[can.Message]) -> Iterator[tuple[float, bytes, bool]]:
        """(s, record without its time, known) of each frame; times count from the first frame."""
        origin: float | None = None
        before = 0.0
        for frame in frames:
            origin = frame.timestamp if origin is None else origin
            at = frame.timestamp - origin
            if not before - _DISORDER_S <= at <= before + _PAUSE_S:
                raise InputError(f"the log's clock jumps by {at - before:+.1f} s at {before:.1f} s: split it there")
            before = at = max(before, at)
            if not self._awake(at):
                continue
            if frame.is_fd or len(frame.data) > 8:
                self.fd_frames += 1  # a classic controller does not take part in them
                continue
            identity = frame.arbitration_id | (1 << 29 if frame.is_extended_id else 0)
            code = len(frame.data) | (256 if frame.is_extended_id else 0)
            data = bytes(frame.data).ljust(8, b"\0")
            yield at, struct.pack("<II8s", frame.arbitration_id, code, data), identity in self._known


def _repeated(entries: Sequence[tuple[float, bytes, bool]], laps: int) -> Iterator[tuple[float, bytes, bool]]:
    """The laps from the second one on, each after the one before."""
    length = entries[-1][0] + _BETWEEN_LAPS_S if entries else 0.0
    for lap in range(1, laps):
        for at, record, known in entries:
            yield at + lap * length, record, known
