"""The periodic samples of a batch (firmware/SPEC.md, section 2, sections V, Q and P): adaptive Golomb-Rice with runs.

It counts fields: a signal of more than 32 bits is two, its low half and what is above.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from host_tools.errors import InputError
from host_tools.reader.bits import Bits, Runs
from host_tools.reader.header import MOST_SYMBOLS, Coded, Header
from host_tools.signals.layout import Field
from host_tools.signals.profile import Profile

QUIET = 6  # a series whose mean residual (in sixteenths) is below lets its zeros extend the common run
_MOST = 1 << 20  # that a residual or an error counts for


@dataclass(frozen=True, slots=True)
class Value:
    """One coded value: its field's index, its time in ms since boot, its bits as a signed 32-bit integer."""

    index: int
    time_ms: int
    bits: int


def periodic(header: Header, coded: Coded, profile: Profile) -> Iterator[Value]:
    """The samples in their order; absent ones are left out. Raises InputError, at the end also for what is left over."""
    if max(header.first_row, coded.rows) > len(profile.rows):
        raise InputError(f"batch: rows {header.first_row} and {coded.rows}; its profile has {len(profile.rows)}")
    values, quiet = Bits(coded.values, "V"), Runs(Bits(coded.quiet, "Q"))
    series: dict[int, Series] = {}
    left = header.count
    for tick, field in present(header, coded, profile):
        if not left:
            raise InputError(f"batch: more than the {header.count} samples announced; it was forged")
        left -= 1
        if field in series:
            bits = series[field].next(values, quiet)
        else:
            series[field] = Series(profile.fields[field], values)
            bits = series[field].x1
        yield Value(field, tick * profile.grid_ms, bits)
    values.close()
    quiet.close()


def present(header: Header, coded: Coded, profile: Profile) -> Iterator[tuple[int, int]]:
    """(tick, index of the field) of every sample: the walk of the grid, without what is absent (section P)."""
    schedule = profile.schedule(header.stream)
    presence = Runs(Bits(coded.presence, "P"))
    is_absent = [False] * schedule.groups
    symbols = 0
    for tick, turn in schedule.walk(header.start, header.first_row, coded.ticks, coded.rows):
        symbols += len(turn.groups)
        if symbols > MOST_SYMBOLS:
            raise InputError(f"batch: {coded.ticks} ticks are more than a batch can have; it was forged")
        for group in turn.groups:
            if not presence.is_zero():
                is_absent[group] = not is_absent[group]
        for slot in turn.slots:
            if not is_absent[slot.group]:
                yield tick, slot.field
    presence.close()


class Series:
    """The values of one field in a batch: predicts each from the two before, and how much it may differ."""

    __slots__ = ("_lead", "_mean", "_step", "_x2", "x1")

    def __init__(self, field: Field, values: Bits) -> None:
        code = values.gamma()
        self.x1 = code >> 1 ^ -(code & 1) if field.bits.is_signed else wrapped(code)
        self._x2 = self.x1
        self._mean = 16
        self._lead = 0  # of the last value over the line through the last two, as a predictor; below 0 the line leads
        self._step = 2 * field.signal.quantum + 1

    def next(self, values: Bits, quiet: Runs) -> int:
        """The next value, a signed 32-bit integer."""
        if self._mean < QUIET:
            residual = 0 if quiet.is_zero() else _deviation(quiet.bits)
        else:
            code = values.rice((self._mean >> 4).bit_length(), 32)
            residual = code >> 1 ^ -(code & 1)
        line = 2 * self.x1 - self._x2
        x = wrapped((line if self._lead < 0 else self.x1) + residual * self._step)
        self._mean += (min(min(abs(residual), _MOST) << 4, 8 * self._mean + 256) - self._mean) >> 2
        self._lead += min(abs(wrapped(x - line)), _MOST) - min(abs(wrapped(x - self.x1)), _MOST) - (self._lead >> 3)
        self._x2, self.x1 = self.x1, x
        return x


def _deviation(bits: Bits) -> int:
    """The residual that ended a quiet run."""
    is_negative = bits.number(1)
    beyond_one = bits.rice(0, 32)
    if beyond_one >> 31:
        raise InputError("batch: a value of the Q section is longer than 32 bits")
    return -1 - beyond_one if is_negative else 1 + beyond_one


def wrapped(number: int) -> int:
    """The signed 32-bit integer with the same low 32 bits."""
    return (number + 0x80000000 & 0xFFFFFFFF) - 0x80000000
