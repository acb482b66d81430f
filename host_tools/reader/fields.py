"""A profile's fields as arrays: where they stand in the grid, what their bits may be, and which numbers these are."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from host_tools.reader.header import Coded, Header
from host_tools.reader.presence import Grid
from host_tools.reader.windows import Ints
from host_tools.signals.profile import Profile
from host_tools.signals.signal import SOURCES, WORD_BITS, Signal

Floats = NDArray[np.float64]
_MOST_ABSENT = 4  # how many times as many samples could be there as are; beyond, the walk is not worth while
_LEAST_TICKS = 1024
_FLOATS: dict[int, Callable[[Ints], Floats]] = {
    16: lambda raw: raw.astype(np.uint16).view(np.float16).astype(np.float64),
    32: lambda raw: raw.astype(np.uint32).view(np.float32).astype(np.float64),
    64: lambda raw: raw.view(np.float64),
}


class Fields:
    """By index of the field, and, for those that a stream samples periodically, by place in its `grid`."""

    def __init__(self, profile: Profile, stream: int) -> None:
        all_fields = profile.fields
        signals = [field.signal for field in all_fields]
        self.profile = profile
        self.number = np.array([field.number for field in all_fields])
        self.is_high = np.array([field.is_high for field in all_fields])
        self.is_low = np.array([field.signal.is_wide for field in all_fields]) & ~self.is_high
        self.is_unsigned = np.array([not field.bits.is_signed and not field.signal.quantum for field in all_fields])
        self.source = np.array([SOURCES.index(field.signal.source) for field in all_fields], np.uint8)
        quantum = np.array([signal.quantum for signal in signals], np.int64)
        self.least, self.greatest = np.array([_range(signal) for signal in signals], np.int64).T
        self.lowest, self.highest = self.least - quantum, self.greatest + quantum  # what a sound batch may come to
        self.is_exact = not quantum.any()
        row_of = [number for number, row in enumerate(profile.rows) for _ in row.fields]
        own = [
            (row, index)
            for index, row in enumerate(row_of)
            if signals[index].period_ms > 0 and profile.stream(signals[index]) == stream
        ]
        steps = [signals[index].period_ms // profile.grid_ms for _, index in own]
        self._steps = sorted(set(steps))
        periods = np.array([self._steps.index(step) for step in steps], np.int64)
        self.grid = Grid(np.array([row for row, _ in own], np.int64), periods, self._steps)
        self.index = np.array([index for _, index in own], np.int64)
        self.is_signed = np.array([all_fields[index].bits.is_signed for _, index in own], np.bool_)
        self.step = np.array([2 * signals[index].quantum + 1 for _, index in own], np.int32)

    def is_walkable(self, header: Header, coded: Coded) -> bool:
        """Whether the walk along the grid is as long as its samples are worth, and within the profile."""
        last = header.start + coded.ticks
        due = [last // step - (header.start - 1) // step for step in self._steps]
        many = int(np.dot(np.bincount(self.grid.period, minlength=len(due)), due)) if due else 0
        most = _MOST_ABSENT * (header.count + len(self.step))
        return many <= most and coded.ticks <= most + _LEAST_TICKS and max(header.first_row, coded.rows) <= len(self.profile.rows)

    def values(self, number: Ints, raw: Ints) -> Floats:
        """The physical values of the raw values of signals, given by their numbers in the profile."""
        signals = self.profile.signals
        scale, offset = np.array([(signal.scale, signal.offset) for signal in signals]).T
        value = raw.astype(np.float64)
        for odd, signal in enumerate(signals):
            if signal.is_float or (signal.length == 2 * WORD_BITS and not signal.is_signed):
                at = np.flatnonzero(number == odd)
                value[at] = _FLOATS[signal.length](raw[at]) if signal.is_float else raw[at].view(np.uint64).astype(np.float64)
        with np.errstate(all="ignore"):
            physical: Floats = value * scale[number] + offset[number]
        return physical


def _range(signal: Signal) -> tuple[int, int]:
    """Least and greatest raw value, as 64 bits that are signed."""
    if signal.is_signed and not signal.is_float:
        return -(1 << signal.length - 1), (1 << signal.length - 1) - 1
    if signal.length == 2 * WORD_BITS:
        return -(1 << 63), (1 << 63) - 1
    return 0, (1 << signal.length) - 1
