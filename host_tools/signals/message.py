"""One message: the signals of an arbitration id, and how to tell a frame that went wrong."""

from dataclasses import dataclass, field

from host_tools.errors import InputError
from host_tools.signals.signal import Signal

# How a frame's checksum is made: see host_tools/signals/checksum.py.
CHECKSUM_RULES = (
    "xor8",
    "sum8",
    "sum8_id_complement",
    "crc8_j1850",
    "toyota",
    "honda",
    "hyundai_nibbles",
    "hyundai_crc8",
)


FIRST_WINDOW = 1 << 11  # the first id that no message on a bus has


@dataclass(frozen=True)
class Counter:
    """The signal of this name goes up by `step` from frame to frame, modulo `modulo`."""

    signal: str
    modulo: int
    step: int = 1

    def __post_init__(self) -> None:
        if not (2 <= self.modulo <= 256 and 1 <= self.step < self.modulo):
            raise InputError(f"counter {self.signal}: steps of {self.step} modulo {self.modulo} are no counter")


@dataclass(frozen=True)
class Checksum:
    """The signal of this name is a checksum over its frame by one of CHECKSUM_RULES."""

    signal: str
    rule: str

    def __post_init__(self) -> None:
        if self.rule not in CHECKSUM_RULES:
            known = ", ".join(CHECKSUM_RULES)
            raise InputError(f'checksum {self.signal}: there is no rule "{self.rule}"; known are {known}')


@dataclass(frozen=True)
class Message:
    """The signals of one arbitration id. The name is for people; the packed profile does not carry it.

    From then on the signals are in SPEC's order: those that are always there, then group by group those of one
    selection, selectors before what they select. Raises InputError where the parts contradict each other.
    """

    arbitration_id: int
    is_extended_id: bool
    name: str = field(compare=False)
    signals: tuple[Signal, ...]
    counter: Counter | None = None
    checksum: Checksum | None = None

    def __post_init__(self) -> None:
        bits = 29 if self.is_extended_id or self.is_window else 11
        if not 0 <= self.arbitration_id < 1 << bits:
            raise InputError(
                f"message {self.name}: {self.arbitration_id:X} is no arbitration id of {bits} bits"
            )
        if not self.signals:
            raise InputError(f"message {self.name}: no signals")
        object.__setattr__(self, "signals", tuple(s for group in self._grouped() for s in group))
        for rule in (self.counter, self.checksum):
            if rule and not any(s.name == rule.signal and _guards(s) for s in self.signals):
                raise InputError(
                    f"message {self.name}: {rule.signal} must be one of its integers, always there, and within one byte"
                )

    @property
    def key(self) -> int:
        """The id with bit 29 set where it has 29 bits: unique on a bus and the order of the packed rows."""
        return self.arbitration_id | self.is_extended_id << 29

    @property
    def is_window(self) -> bool:
        """Whether its data are a part of an answer (see `requests`): its id has more than 11 bits and is no 29-bit one."""
        return not self.is_extended_id and self.arbitration_id >= FIRST_WINDOW

    @property
    def size(self) -> int:
        """Least data length in bytes that holds the signals that are always there."""
        return max(signal.size for signal in self.signals if not signal.selection)

    @property
    def groups(self) -> list[tuple[Signal, ...]]:
        """The signals by selection, in SPEC's order; the first group is always there."""
        return self._grouped()

    def _grouped(self) -> list[tuple[Signal, ...]]:
        left = list(dict.fromkeys(signal.selection for signal in self.signals if signal.selection))
        groups = [tuple(signal for signal in self.signals if not signal.selection)]
        placed = {signal.name: signal for signal in groups[0]}
        while ready := [selection for selection in left if selection.selector in placed]:
            for selection in ready:
                if not _is_plain(placed[selection.selector]):
                    raise InputError(f"message {self.name}: {selection.selector} selects, but is no integer of 32 bits")
                left.remove(selection)
                groups.append(tuple(signal for signal in self.signals if signal.selection == selection))
                placed |= {signal.name: signal for signal in groups[-1]}
        if left:
            raise InputError(f"message {self.name}: the selector {left[0].selector} is not in it, or selects itself")
        return groups


def _guards(signal: Signal) -> bool:
    """Whether it can be a counter or checksum."""
    in_one_byte = signal.start // 8 == (signal.start + signal.length - 1) // 8
    return in_one_byte and not (signal.is_float or signal.selection)


def _is_plain(signal: Signal) -> bool:
    return not (signal.is_wide or signal.is_float)
