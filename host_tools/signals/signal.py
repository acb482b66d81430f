"""One signal: where its bits lie in a frame, when they count, and what they mean. Names are those of firmware/SPEC.md."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import floor, isfinite
from typing import Literal

from host_tools.errors import InputError

ByteOrder = Literal["little_endian", "big_endian"]

ON_CHANGE = 0  # as `period_ms`: sampled when the value changes
UNSAMPLED = -1  # as `period_ms`: decoded on the device, not sampled: selectors, counters, checksums

SOURCES = ("broadcast", "diagnostic", "oem_cloud", "companion")  # where values come from
PRIORITIES = ("alert", "diagnostic", "telemetry")  # classes 0 to 2, the first goes out first

WORD_BITS = 32  # of the device's integers; a longer signal travels as two
UNITS = 1e-30, 1e30  # a scale or an offset beyond is a mistake, and more digits than the device's heap is for
_MAX_U32 = 0xFFFFFFFF
_MAX_NEAR_LOSSLESS = 24  # bits
_MAX_QUANTUM = 0x7FFF
_FLOATS = {16: "<e", 32: "<f", 64: "<d"}


def is_of_a_unit(number: float) -> bool:
    """Whether it can be a scale or an offset."""
    return not number or UNITS[0] <= abs(number) <= UNITS[1]


@dataclass(frozen=True)
class Selection:
    """A multiplexed signal is in a frame when the signal named `selector` (of the same message) has a raw value in one
    of `ranges`, pairs of the least and the greatest value, unsigned 32-bit and ascending."""

    selector: str
    ranges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        bounds = [bound for pair in self.ranges for bound in pair]
        if not bounds or bounds[0] < 0 or bounds[-1] > _MAX_U32 or bounds != sorted(bounds):
            raise InputError(f"selector {self.selector}: {self.ranges} are no ascending ranges of 32-bit values")


@dataclass(frozen=True)
class Signal:
    """`length` (1 to 64) bits of a frame of up to eight bytes.

    `start` is the bit number (0-63) of the least significant bit in the frame's data, zero-padded to eight
    bytes and read as one integer, little-endian or big-endian as `byte_order` says. `scale` and `offset` lead
    to the physical value in `unit`; `labels` go by raw value. `minimum` and `maximum` (physical) are what the
    source says of the range; `valid` (physical, both ends included) is the range beyond which the device marks
    a value as out_of_range. `period_ms` may be ON_CHANGE or UNSAMPLED. `deadband` (physical): on change, a
    value is told when it differs from the last one told by more. `purpose` is what the owner's consent goes
    by, `priority` (one of PRIORITIES) says what goes out first. `max_error` (physical): how far a value may be from
    the one that was seen, so that it costs less; 0 is exact. `is_float`: the bits are an IEEE 754 number of 16, 32 or
    64 bits. `source` is one of SOURCES. Raises InputError where the numbers make no signal.
    """

    name: str
    start: int
    length: int
    byte_order: ByteOrder = "little_endian"
    is_signed: bool = False
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    labels: Mapping[int, str] = field(default_factory=dict, hash=False)
    period_ms: int = ON_CHANGE
    is_float: bool = False
    selection: Selection | None = None
    valid: tuple[float, float] | None = None
    deadband: float = 0.0
    purpose: str = ""
    priority: str = "telemetry"
    max_error: float = 0.0
    source: str = SOURCES[0]

    def __post_init__(self) -> None:
        if self.start < 0 or not 1 <= self.length <= 64 or self.start + self.length > 64:
            raise InputError(f"signal {self.name}: {self.length} bits from bit {self.start} do not fit")
        limits = self.minimum or 0, self.maximum or 0, *(self.valid or ()), self.deadband, self.max_error
        if not all(map(isfinite, (self.scale, self.offset, *limits))):
            raise InputError(f"signal {self.name}: scale, offset and all limits must be finite numbers")
        if not (is_of_a_unit(self.scale) and is_of_a_unit(self.offset)):
            raise InputError(f"signal {self.name}: its scale or offset is not 0 or from {UNITS[0]:g} to {UNITS[1]:g}")
        if not UNSAMPLED <= self.period_ms <= _MAX_U32:
            raise InputError(f"signal {self.name}: a period of {self.period_ms} ms is out of range")
        if self.is_float and self.length not in _FLOATS:
            raise InputError(f"signal {self.name}: a float has 16, 32 or 64 bits, not {self.length}")
        if self.valid and self.valid[0] > self.valid[1]:
            raise InputError(f"signal {self.name}: its valid range ends before it begins")
        if self.deadband < 0 or (self.deadband and self.period_ms != ON_CHANGE):
            raise InputError(f"signal {self.name}: a deadband is not negative, and for signals sampled on change only")
        if self.priority not in PRIORITIES:
            raise InputError(f"signal {self.name}: {self.priority!r} is no priority; known are {', '.join(PRIORITIES)}")
        self._check_limits()

    def _check_limits(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"signal {self.name}: {self.source!r} is no source; known are {', '.join(SOURCES)}")
        if (self.valid or self.deadband) and (self.is_wide or not self.scale):
            raise InputError(f"signal {self.name}: a valid range or deadband needs up to 32 bits and a scale")
        if self.is_float and (self.deadband or (self.valid and self.length != WORD_BITS)):
            raise InputError(f"signal {self.name}: a float may have a valid range with 32 bits, and no deadband")
        if self.max_error and (
            self.max_error < 0 or self.period_ms <= 0 or self.is_float or self.length > _MAX_NEAR_LOSSLESS or not self.scale
        ):
            raise InputError(
                f"signal {self.name}: a max_error is not negative, and for integers of up to {_MAX_NEAR_LOSSLESS} bits "
                "that are sampled periodically"
            )

    @property
    def size(self) -> int:
        """Bytes of data that a frame must have for the signal to be in it."""
        if self.byte_order == "big_endian":
            return 8 - self.start // 8
        return (self.start + self.length + 7) // 8

    @property
    def is_wide(self) -> bool:
        """Whether it travels as two integers."""
        return self.length > WORD_BITS

    @cached_property
    def quantum(self) -> int:
        """`max_error` in raw units: 0 is exact."""
        if not self.max_error:
            return 0
        return min(_MAX_QUANTUM, floor(Fraction(repr(self.max_error)) / abs(Fraction(repr(self.scale)))))

    def physical(self, raw: int) -> float:
        """The value in `unit` of `raw`: the device's signed integer, or the bits of a float."""
        number = self.number(raw)
        if self.is_float:
            (value,) = struct.unpack(_FLOATS[self.length], number.to_bytes(self.length // 8, "little"))
            return float(value) * self.scale + self.offset
        return number * self.scale + self.offset

    def number(self, raw: int) -> int:
        """`raw` as the signal means it: the key into `labels`; unsigned, and the bits of a float, are never negative."""
        if self.is_signed and not self.is_float:
            return raw
        return raw & (1 << (64 if self.is_wide else 32)) - 1
