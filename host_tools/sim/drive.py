"""A generated drive: the demo electric car's frames, at their rates and coded by firmware/vehicles/demo-ev.dbc.

Nothing here needs anybody's data. Counters and checksums are as the DBC's comment says. Frames come in order of
time, each time stamp being the frame's end on a bus of 500 kbit/s: no two are closer than the later one takes.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from random import Random

import can
from cantools.database import Message as DbcMessage

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import dbc
from host_tools.signals.profile import Profile, Signal
from host_tools.sim.demo_messages import VALUES
from host_tools.sim.electric_car import ElectricCar

BITRATE = 500_000
CHANNEL = "can0"
_JITTER = 0.02  # of a message's period
_FILLER_IDS = 24
_TESTERS = range(0x7DF, 0x7E8)  # the ids of a tester's requests (ISO 15765-4) do mean something
_FILLER_SIZES = (8, 8, 8, 8, 4, 2)
_FILLED = 0.9  # of the bus, if all frames were fillers: the source's may be longer; many frames are short frames
_CATCH_UP_S = 0.1  # what is owed of the load, or was too much, is made up for within this time or forgotten


def frames(seed: int = 1, start: float = 0.0) -> Iterator[can.Message]:
    """The demo car's frames for ever, from `start` s on, on channel "can0". The same `seed` gives the same frames."""
    rng = Random(seed)
    car = ElectricCar(rng)
    due: list[tuple[float, int, _Sender]] = []
    for number, message in enumerate(_messages()):
        sender = _Sender(message, rng)
        heapq.heappush(due, (sender.next_time(), number, sender))
    bus_free = 0.0
    while True:
        wanted, number, sender = due[0]
        while car.time < wanted:
            car.step()
        bus_free = max(wanted, bus_free + sender.duration)
        yield sender.frame(car, start + bus_free)
        heapq.heapreplace(due, (sender.next_time(), number, sender))


def load(
    source: Iterator[can.Message], frames_per_s: float, profile: Profile | None = None, seed: int = 1
) -> Iterator[can.Message]:
    """`source` with frames of no meaning put in between, so that the bus carries about `frames_per_s` in all.

    Those of `source` keep their time stamps; fillers take the gaps, on ids that neither `profile` nor the demo car has.
    Raises InputError where a bus of 500 kbit/s cannot carry so many.
    """
    sizes = [size for size in range(9) if duration(size, is_extended_id=False) * frames_per_s <= _FILLED]
    if frames_per_s <= 0 or not sizes:
        most = int(_FILLED / duration(0, is_extended_id=False))
        raise InputError(f"a load of {frames_per_s:g} frames/s: a bus of 500 kbit/s carries 1 to {most}")
    longest = duration(sizes[-1], is_extended_id=False)
    return _loaded(source, frames_per_s, longest, _fillers(profile, sizes[-1], Random(seed)))


def duration(size: int, is_extended_id: bool, bitrate: int = BITRATE) -> float:
    """Seconds that a data frame of `size` bytes takes at most: ISO 11898-1 with all stuff bits and the gap of 3."""
    stuffed = (54 if is_extended_id else 34) + 8 * size
    return (stuffed + (stuffed - 1) // 4 + 13) / bitrate


def _loaded(
    source: Iterator[can.Message], frames_per_s: float, longest: float, fillers: Iterator[can.Message]
) -> Iterator[can.Message]:
    first = next(source, None)
    if first is None:
        return
    yield first
    owed = 0.0
    for before, frame in pairwise(chain([first], source)):
        gap = frame.timestamp - before.timestamp
        free = gap - duration(len(frame.data), frame.is_extended_id)
        slack = _CATCH_UP_S * frames_per_s
        owed = max(-slack, min(owed + gap * frames_per_s - 1, max(slack, gap * frames_per_s)))
        number = max(0, min(int(owed), int(free / longest)))
        for index in range(1, number + 1):
            filler = next(fillers)
            filler.timestamp = before.timestamp + free * index / number
            filler.channel = frame.channel
            yield filler
        owed -= number
        yield frame


def _fillers(profile: Profile | None, most: int, rng: Random) -> Iterator[can.Message]:
    taken = {message.arbitration_id for message in profile.messages} if profile else set()
    taken |= {message.frame_id for message in _messages()}
    ids = [ident for ident in rng.sample(sorted(set(range(0x800)) - taken), _FILLER_IDS) if ident not in _TESTERS]
    while True:
        data = rng.randbytes(min(most, rng.choice(_FILLER_SIZES)))
        yield can.Message(arbitration_id=rng.choice(ids), is_extended_id=False, data=data)


def _messages() -> list[DbcMessage]:
    return dbc.load(VEHICLES / "demo-ev.dbc", lambda repair: None).messages


class _Sender:
    """One message of the demo DBC: when it is due, and its frame."""

    def __init__(self, message: DbcMessage, rng: Random):
        self.duration = duration(message.length, message.is_extended_frame)
        self._id, self._is_extended, self._size = message.frame_id, message.is_extended_frame, message.length
        self._values = VALUES[message.name]
        self._counter, self._checksum = f"{message.name}Counter", f"{message.name}Checksum"
        self._fields = [_Field.of(dbc.convert(signal, signal.name, 0)) for signal in message.signals]
        self._has_checksum = self._checksum in message.signal_tree
        self._number = 0
        self._period = (message.cycle_time or 0) / 1000
        self._random = rng.random
        self._next = rng.uniform(0, self._period)

    def next_time(self) -> float:
        """When the next frame is due; each call moves on by one period."""
        nominal = self._next
        self._next += self._period
        return nominal + self._period * _JITTER * self._random()

    def frame(self, car: ElectricCar, timestamp: float) -> can.Message:
        """The next frame, with what `car` shows now."""
        values = self._values(car) | {self._counter: self._number % 16, self._checksum: 0}
        self._number += 1
        little = big = 0
        for field in self._fields:
            if field.is_big:
                big |= field.bits(values[field.name])
            else:
                little |= field.bits(values[field.name])
        both = little | int.from_bytes(big.to_bytes(8, "big"), "little")
        data = bytearray(both.to_bytes(8, "little")[: self._size])
        if self._has_checksum:
            data[-1] = checksum(self._id, bytes(data[:-1]))
        return can.Message(timestamp, self._id, self._is_extended, channel=CHANNEL, dlc=self._size, data=data)


def checksum(arbitration_id: int, others: bytes) -> int:
    """The demo car's checksum, the last byte of a frame, over the other bytes and those of the id."""
    return 255 - (sum(others) + sum(arbitration_id.to_bytes(4, "big"))) % 256


@dataclass(frozen=True)
class _Field:
    """A signal made ready for quick encoding."""

    name: str
    is_big: bool
    start: int
    mask: int
    per_unit: float
    offset: float
    least: int
    most: int

    @classmethod
    def of(cls, signal: Signal) -> "_Field":
        half = 1 << signal.length - 1
        least, most = (-half, half - 1) if signal.is_signed else (0, 2 * half - 1)
        is_big = signal.byte_order == "big_endian"
        mask = (1 << signal.length) - 1
        return cls(signal.name, is_big, signal.start, mask, 1 / signal.scale, signal.offset, least, most)

    def bits(self, physical: float) -> int:
        raw = round((physical - self.offset) * self.per_unit)
        return (min(self.most, max(self.least, raw)) & self.mask) << self.start
