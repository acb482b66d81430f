"""The wire back: what the device puts on the bus, counted, and what the virtual car's ECUs say to it, each frame with its time.

Its connection is a second one beside the feed's, which runs ahead of the device: answers must not queue behind that. Both sides
send the records of boards/unix/_can.py. The device's own stamp decides when a request was made, not when it is read here.
"""

import asyncio
import struct
from collections import Counter, deque
from collections.abc import Callable, Sequence

import can

from host_tools.sim.car import VirtualCar

Answer = Callable[[can.Message], Sequence[can.Message]]  # time stamps in s since the car started; those of answers in any order

_RECORD = struct.Struct("<III8s")
_UNITS = 10_000  # time stamps per second
_EXTENDED, _REMOTE, _MODE = 256, 512, 1024  # beside the length
_NORMAL = 0
_LOG = 10_000


class Wire:
    """Of a device that hears `car`. `answer` gives what the ECUs say to a frame, and when."""

    def __init__(self, car: VirtualCar, answer: Answer | None = None) -> None:
        self._car = car
        self._answer = answer
        self._server: asyncio.Server | None = None
        self.sent = Counter[str]()  # frames by id, in hexadecimal; a 29-bit one has eight digits
        self.log: deque[can.Message] = deque(maxlen=_LOG)  # the latest of them, with the s since the car started
        self.acknowledging_from: float | None = None  # s since the car started: from then on frames may have been acknowledged
        self.failure: Exception | None = None

    async def start(self) -> int:
        """Listens; returns the port."""
        self._server = await asyncio.get_running_loop().create_server(lambda: _Line(self.take), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Ends the service."""
        if self._server:
            self._server.close()

    def take(self, record: bytes) -> bytes:
        """What is answered to one record of the device, in records."""
        try:
            return self._heard(self._car.hearings[-1].began, record)  # what the device's time counts from
        except Exception as error:
            self.failure = error  # the simulation tells
            return b""

    def _heard(self, began: float, record: bytes) -> bytes:
        at, identity, code, data = _RECORD.unpack(record)
        now = began + at / _UNITS
        if code & _MODE:
            if identity == _NORMAL and self.acknowledging_from is None:
                self.acknowledging_from = now
            return b""
        is_extended, is_remote = bool(code & _EXTENDED), bool(code & _REMOTE)
        frame = can.Message(now, identity, is_extended, is_remote, dlc=code & 15, data=data[: code & 15])
        self.sent[f"{identity:0{8 if is_extended else 3}X}"] += 1
        self.log.append(frame)
        answers = sorted(self._answer(frame) if self._answer else (), key=lambda answer: answer.timestamp)
        return b"".join(_packed(answer, began) for answer in answers)


class _Line(asyncio.Protocol):
    """One life of the device. No stream: that would keep from us what came right before power was cut."""

    def __init__(self, take: Callable[[bytes], bytes]) -> None:
        self._take = take
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= _RECORD.size:
            record, self._rest = self._rest[: _RECORD.size], self._rest[_RECORD.size :]
            self._transport.write(self._take(record))


def _packed(frame: can.Message, began: float) -> bytes:
    at = round((frame.timestamp - began) * _UNITS)
    code = len(frame.data) | (_EXTENDED if frame.is_extended_id else 0)
    return _RECORD.pack(at, frame.arbitration_id, code, bytes(frame.data).ljust(8, b"\0"))
