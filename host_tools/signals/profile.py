"""The model of a profile: which signals a device samples, where their bits lie, and what they mean.

Names and their meanings are those of firmware/SPEC.md, section 1. Building a `Profile` checks all that does
not depend on bytes: ranges of ids and bits, unique names and ids, at most eight periods.
"""

from collections import Counter as _Tally
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from host_tools.errors import InputError
from host_tools.signals import layout
from host_tools.signals.message import CHECKSUM_RULES, Checksum, Counter, Message
from host_tools.signals.signal import ON_CHANGE, UNSAMPLED, ByteOrder, Selection, Signal

__all__ = [
    "CHECKSUM_RULES",
    "MAX_PERIODS",
    "ON_CHANGE",
    "UNSAMPLED",
    "ByteOrder",
    "Checksum",
    "Counter",
    "Message",
    "Profile",
    "Selection",
    "Signal",
]

MAX_PERIODS = 8
_IDLE_GRID_MS = 1000  # the grid where every signal is on change
_MAX_U16 = 0xFFFF


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
        """All signals in SPEC's order: of all messages those that are always there, then the multiplexed ones."""
        always = [signal for message in self.messages for signal in message.signals if not signal.selection]
        return (*always, *(s for message in self.messages for s in message.signals if s.selection))

    @cached_property
    def rows(self) -> tuple[layout.Row, ...]:
        """The rows of the packed tables: one a message, then those of the multiplexed signals."""
        return layout.rows(self.messages)

    @cached_property
    def fields(self) -> tuple[layout.Field, ...]:
        """What descriptors and samples stand for, in order: signals, or halves of those longer than 32 bits."""
        return tuple(field for row in self.rows for field in row.fields)

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """The periods in use, in ms, ascending."""
        return tuple(sorted({signal.period_ms for signal in self.signals} - {ON_CHANGE, UNSAMPLED}))

    @cached_property
    def grid_ms(self) -> int:
        """The sampling grid: greatest common divisor of the periods in use."""
        return gcd(*self.classes) or _IDLE_GRID_MS


def _repeated(texts: list[str]) -> list[str]:
    return [text for text, count in _Tally(texts).items() if count > 1]
