"""The model of a profile: which signals a device samples, where their bits lie, and what they mean.

Names and their meanings are those of firmware/SPEC.md, section 1. Building a `Profile` checks all that does
not depend on bytes: ranges of ids and bits, unique names and ids, at most eight periods.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd, isfinite
from typing import Literal

from host_tools.errors import InputError

ByteOrder = Literal["little_endian", "big_endian"]

MAX_PERIODS = 8
_IDLE_GRID_MS = 1000  # the grid where every signal is on change
_MAX_U16, _MAX_U32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Signal:
    """`length` (1 to 32) bits of a frame of up to eight bytes.

    `start` is the bit number (0-63) of the least significant bit in the frame's data, zero-padded to eight
    bytes and read as one integer, little-endian or big-endian as `byte_order` says. `scale` and `offset` lead
    to the physical value in `unit`; `minimum` and `maximum` are physical, `labels` go by raw value.
    `period_ms` 0 means sampled on change. Raises InputError where the numbers make no signal.
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
    period_ms: int = 0

    def __post_init__(self) -> None:
        if self.start < 0 or not 1 <= self.length <= 32 or self.start + self.length > 64:
            raise InputError(f"signal {self.name}: {self.length} bits from bit {self.start} do not fit")
        if not all(map(isfinite, (self.scale, self.offset, self.minimum or 0, self.maximum or 0))):
            raise InputError(f"signal {self.name}: scale, offset, minimum and maximum must be finite numbers")
        if not 0 <= self.period_ms <= _MAX_U32:
            raise InputError(f"signal {self.name}: a period of {self.period_ms} ms is out of range")

    @property
    def size(self) -> int:
        """Bytes of data that a frame must have for the signal to be in it."""
        if self.byte_order == "big_endian":
            return 8 - self.start // 8
        return (self.start + self.length + 7) // 8

    def physical(self, raw: int) -> float:
        """The value in `unit` of `raw`, the device's signed 32-bit integer."""
        return self.number(raw) * self.scale + self.offset

    def number(self, raw: int) -> int:
        """`raw` as the signal means it (an unsigned one is never negative): the key into `labels`."""
        return raw if self.is_signed else raw & _MAX_U32


@dataclass(frozen=True)
class Message:
    """The signals of one arbitration id. The name is for people; the packed profile does not carry it."""

    arbitration_id: int
    is_extended_id: bool
    name: str = field(compare=False)
    signals: tuple[Signal, ...]

    def __post_init__(self) -> None:
        bits = 29 if self.is_extended_id else 11
        if not 0 <= self.arbitration_id < 1 << bits:
            raise InputError(
                f"message {self.name}: {self.arbitration_id:X} is no arbitration id of {bits} bits"
            )
        if not self.signals:
            raise InputError(f"message {self.name}: no signals")

    @property
    def key(self) -> int:
        """The id with bit 29 set where it has 29 bits: unique on a bus and the order of the packed rows."""
        return self.arbitration_id | self.is_extended_id << 29

    @property
    def size(self) -> int:
        """Least data length in bytes that holds all signals."""
        return max(signal.size for signal in self.signals)


@dataclass(frozen=True)
class Profile:
    """A vehicle's messages, in any order when built, from then on in SPEC's."""

    name: str
    version: str
    vehicle: str
    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(sorted(self.messages, key=lambda message: message.key)))
        names = [signal.name for signal in self.signals]
        for twice in _repeated([f"{message.key:X}" for message in self.messages]) or _repeated(names):
            raise InputError(f"profile {self.name}: {twice} is in it twice")
        if not 0 < len(names) <= _MAX_U16:
            raise InputError(f"profile {self.name}: {len(names)} signals; it must have 1 to {_MAX_U16}")
        if len(self.classes) > MAX_PERIODS:
            periods = ", ".join(map(str, self.classes))
            raise InputError(f"profile {self.name}: more than {MAX_PERIODS} periods: {periods} ms; use fewer")
        if self.grid_ms > _MAX_U16:
            raise InputError(f"profile {self.name}: the shortest period must be at most {_MAX_U16} ms")

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """All signals in the order of the packed descriptors, by which a batch counts them."""
        return tuple(signal for message in self.messages for signal in message.signals)

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """The periods in use, in ms, ascending."""
        return tuple(sorted({signal.period_ms for signal in self.signals} - {0}))

    @cached_property
    def grid_ms(self) -> int:
        """The sampling grid: greatest common divisor of the periods in use."""
        return gcd(*self.classes) or _IDLE_GRID_MS


def _repeated(texts: list[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]
