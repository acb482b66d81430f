"""The two sections of a batch (firmware/SPEC.md, section 2): which signal, when, which bits.

They count fields: a signal of more than 32 bits is two, its low half and what is above.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from host_tools.errors import InputError
from host_tools.reader.cursor import Cursor
from host_tools.signals.profile import ON_CHANGE, Profile

QUALITIES = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
SOURCES = ("broadcast", "diagnostic", "oem_cloud", "companion")


@dataclass(frozen=True, slots=True)
class Value:
    """One coded value: its field's index, its time in ms since boot, its bits as a signed 32-bit integer."""

    index: int
    time_ms: int
    bits: int


@dataclass(frozen=True, slots=True)
class Mark:
    """From `time_ms` (ms since boot) on, the signal of this index has this quality and source. (In `Batch.marks` the
    index is that in `Profile.signals`; here it is that of its first field.)"""

    index: int
    time_ms: int
    quality: str
    source: str


def periodic(
    cursor: Cursor, profile: Profile, start: int, first_signal: int, last: dict[int, int]
) -> Iterator[Value]:
    """The samples of the periodic section from grid tick `start` on; absent values are left out.

    `last` holds the bits last seen of each signal and is brought up to date.
    """
    if not len(cursor):
        return
    grid, grid_ms = _Grid(profile), profile.grid_ms
    if first_signal >= len(profile.fields):
        raise InputError(f"batch: begins at signal {first_signal}; its profile has {len(profile.fields)}")
    tick = start
    while True:
        for index in grid.due(tick):
            if tick == start and index < first_signal:
                continue
            if not len(cursor):
                return
            if cursor.data[cursor.position] == 0:
                cursor.position += 1
                continue
            last[index] = _wrap(last.get(index, 0) + cursor.zigzag(bias=1))
            yield Value(index, tick * grid_ms, last[index])
        tick = grid.after(tick)


def events(cursor: Cursor, profile: Profile, start: int, last: dict[int, int]) -> Iterator[Value | Mark]:
    """The records of the event section in their order: samples of change-driven signals, and marks."""
    fields = profile.fields
    time_ms = start * profile.grid_ms
    while len(cursor):
        index, is_mark = divmod(cursor.varint(), 2)
        time_ms += cursor.zigzag()
        if index >= len(fields) or time_ms < 0:
            raise InputError(f"batch: an event of signal {index} at {time_ms} ms; it was forged")
        if is_mark:
            yield _mark(index, time_ms, cursor.uint(1))
        elif fields[index].signal.period_ms != ON_CHANGE:
            raise InputError(f"batch: an event of {fields[index].signal.name!r}, which is not sampled on change")
        else:
            last[index] = _wrap(last.get(index, 0) + cursor.zigzag())
            yield Value(index, time_ms, last[index])


def _mark(index: int, time_ms: int, code: int) -> Mark:
    quality, source = code & 15, code >> 4
    if quality >= len(QUALITIES) or source >= len(SOURCES):
        raise InputError(f"batch: a mark of quality {quality} and source {source}: one of them is not known")
    return Mark(index, time_ms, QUALITIES[quality], SOURCES[source])


def _wrap(number: int) -> int:
    """The signed 32-bit integer with the same low 32 bits."""
    return (number + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class _Grid:
    """Which fields are due at which grid tick, without walking ticks at which none is."""

    def __init__(self, profile: Profile) -> None:
        grid_ms = profile.grid_ms
        # Ticks between two times at which a field is due; 0 where that is never so.
        periods = [max(0, field.signal.period_ms) for field in profile.fields]
        self._steps = [period_ms // math.gcd(period_ms, grid_ms) for period_ms in periods]
        self._periods = sorted({step for step in self._steps if step})
        self._due: dict[tuple[int, ...], list[int]] = {}
        if not self._periods:
            raise InputError("batch: periodic samples, but no signal of its profile has a period")

    def due(self, tick: int) -> list[int]:
        """Indices of the fields due at `tick`, in the order of the profile."""
        periods = tuple(step for step in self._periods if tick % step == 0)
        if periods not in self._due:
            self._due[periods] = [index for index, step in enumerate(self._steps) if step in periods]
        return self._due[periods]

    def after(self, tick: int) -> int:
        """The next tick after `tick` at which a signal is due."""
        return min((tick // step + 1) * step for step in self._periods)
