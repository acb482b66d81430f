"""The model of a profile: which signals a device samples, where their bits lie, and what they mean.

Names and their meanings are those of firmware/SPEC.md, section 1. Building a `Profile` checks all that does
not depend on bytes: ranges of ids and bits, unique names and ids, at most eight periods and eight streams.
"""

from collections import Counter as _Tally
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd

from host_tools.errors import InputError
from host_tools.signals import layout
from host_tools.signals.asking import Asking
from host_tools.signals.message import CHECKSUM_RULES, Checksum, Counter, Message
from host_tools.signals.schedule import Schedule
from host_tools.signals.signal import ON_CHANGE, PRIORITIES, SOURCES, UNSAMPLED, ByteOrder, Selection, Signal

__all__ = [
    "CHECKSUM_RULES",
    "MAX_PERIODS",
    "MAX_PURPOSES",
    "MAX_STREAMS",
    "ON_CHANGE",
    "PRIORITIES",
    "SOURCES",
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
MAX_PURPOSES = 16
MAX_STREAMS = 8
CLASSES = 4  # priority classes that a stream id has room for
_IDLE_GRID_MS = 1000  # the grid where every signal is on change
_MAX_U16 = 0xFFFF


@dataclass(frozen=True)
class Profile:
    """A vehicle's messages, in any order when built, from then on in SPEC's."""

    name: str
    version: str
    vehicle: str
    messages: tuple[Message, ...]
    asking: Asking = field(default_factory=Asking)

    def __post_init__(self) -> None:
        object.__setattr__(self, "messages", tuple(sorted(self.messages, key=lambda message: message.key)))
        names = [signal.name for signal in self.signals]
        asked = [signal.name for message in self.messages if message.is_window for signal in message.signals]
        for name, state in self.asking.states.items():
            if state.signal not in names:
                raise InputError(f"profile {self.name}: the state {name} goes by {state.signal}, which is none of its signals")
            if state.signal in asked:
                raise InputError(f"profile {self.name}: {state.signal} is asked in a known state only: {name} cannot go by it")
        self._check_windows()
        for twice in _repeated([f"{message.key:X}" for message in self.messages]) or _repeated(names):
            raise InputError(f"profile {self.name}: {twice} is in it twice")
        if not 0 < len(names) <= _MAX_U16:
            raise InputError(f"profile {self.name}: {len(names)} signals; it must have 1 to {_MAX_U16}")
        if len(self.classes) > MAX_PERIODS:
            periods = ", ".join(map(str, self.classes))
            raise InputError(f"profile {self.name}: more than {MAX_PERIODS} periods: {periods} ms; use fewer")
        if len(self.purposes) > MAX_PURPOSES:
            raise InputError(f"profile {self.name}: {len(self.purposes)} purposes; at most {MAX_PURPOSES} are possible")
        if len(self.streams) > MAX_STREAMS:
            streams = ", ".join(map(self.stream_name, self.streams))
            raise InputError(f"profile {self.name}: more than {MAX_STREAMS} pairs of purpose and priority: {streams}; use fewer")
        if self.grid_ms > _MAX_U16:
            raise InputError(f"profile {self.name}: the shortest period must be at most {_MAX_U16} ms")

    def _check_windows(self) -> None:
        """Each window is a message, and each such message a window, once."""
        asked = sorted(window.virtual_id for request in self.asking.requests for window in request.windows)
        held = [message.arbitration_id for message in self.messages if message.is_window]
        if asked != held:
            raise InputError(f"profile {self.name}: its requests and the ids from 0x800 on do not fit each other")
        if not all(request.windows for request in self.asking.requests):
            raise InputError(f"profile {self.name}: a request has no signals")

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
    def purposes(self) -> tuple[str, ...]:
        """What samples are for, in the order in which the sampled signals first name it; its place is a purpose's number."""
        return tuple(dict.fromkeys(signal.purpose for signal in self.signals if signal.period_ms != UNSAMPLED))

    @cached_property
    def streams(self) -> tuple[int, ...]:
        """The ids of the streams, one for each pair of purpose and priority, in the order in which signals first name it."""
        return tuple(dict.fromkeys(self.stream(signal) for signal in self.signals if signal.period_ms != UNSAMPLED))

    def stream(self, signal: Signal) -> int:
        """The id of the stream that the samples of one of its sampled signals belong to."""
        return self.purposes.index(signal.purpose) * CLASSES + PRIORITIES.index(signal.priority)

    def stream_name(self, stream: int) -> str:
        """A stream id as `purpose/priority`, or the priority alone where the purpose is empty.

        Raises InputError where the profile has no such purpose or priority.
        """
        purpose, priority = divmod(stream, CLASSES)
        if purpose >= len(self.purposes) or priority >= len(PRIORITIES):
            raise InputError(f"profile {self.name} has no purpose {purpose} with priority class {priority}")
        return "/".join(filter(None, (self.purposes[purpose], PRIORITIES[priority])))

    def schedule(self, stream: int) -> Schedule:
        """When the signals of a stream are sampled, made once."""
        if stream not in self._schedules:
            sampled = [signal for signal in self.signals if signal.period_ms > 0]
            own = frozenset(signal.name for signal in sampled if self.stream(signal) == stream)
            self._schedules[stream] = Schedule(self.rows, self.grid_ms, own)
        return self._schedules[stream]

    @cached_property
    def _schedules(self) -> dict[int, Schedule]:
        return {}

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
