"""How a profile's signals become the rows and fields of the packed tables (firmware/SPEC.md, section 1).

A row is a group of signals that come together: those of a message that are always there, or those of one selection. A
field is what a descriptor and a sample stand for: a signal of up to 32 bits, or either half of a longer one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from host_tools.signals.message import Message
from host_tools.signals.signal import WORD_BITS, Selection, Signal


class Field(NamedTuple):
    """`number` is the signal's index in `Profile.signals`; `bits` is the field as a signal of its own."""

    number: int
    signal: Signal
    bits: Signal
    is_high: bool


@dataclass(frozen=True)
class Row:
    """`first` is the index of its first field. A branch row has a selection, and the number of the row that holds its
    selector as `parent`; `is_last` marks the last branch row of its message."""

    message: Message
    fields: tuple[Field, ...]
    first: int
    selection: Selection | None
    parent: int
    is_last: bool

    @property
    def size(self) -> int:
        """Least data length in bytes that holds its signals."""
        return max(field.signal.size for field in self.fields)


def halves(signal: Signal) -> list[Signal]:
    """The fields of a signal: itself, or its low 32 bits and what is above them."""
    if not signal.is_wide:
        return [signal]
    name, start, order = signal.name, signal.start, signal.byte_order
    high = Signal(name, start + WORD_BITS, signal.length - WORD_BITS, order, signal.is_signed)
    return [Signal(name, start, WORD_BITS, order), high]


def rows(messages: Sequence[Message]) -> tuple[Row, ...]:
    """One row a message in their order, then the branch rows of all messages."""
    found: list[Row] = []
    number = first = 0
    for message, group, parent, is_last in (*_base(messages), *_branches(messages)):
        fields = tuple(_fields(group, number))
        found.append(Row(message, fields, first, group[0].selection, parent, is_last))
        number += len(group)
        first += len(fields)
    return tuple(found)


_Plan = tuple[Message, tuple[Signal, ...], int, bool]


def _base(messages: Sequence[Message]) -> Iterator[_Plan]:
    for message in messages:
        yield message, message.groups[0], 0, False


def _branches(messages: Sequence[Message]) -> Iterator[_Plan]:
    number = len(messages)
    for base, message in enumerate(messages):
        always, *groups = message.groups
        holds = {signal.name: base for signal in always}
        for group in groups:
            assert group[0].selection
            yield message, group, holds[group[0].selection.selector], group is groups[-1]
            holds |= {signal.name: number for signal in group}
            number += 1


def _fields(group: Sequence[Signal], number: int) -> Iterator[Field]:
    for offset, signal in enumerate(group):
        for bits in halves(signal):
            yield Field(number + offset, signal, bits, bits.start != signal.start)
