"""When the signals of a stream are sampled, and in which order: the walk of the grid in a batch (firmware/SPEC.md, section 2).

It counts fields: a signal of more than 32 bits is two, its low half and what is above.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from host_tools.signals.layout import Row


class Slot(NamedTuple):
    """A place for a sample: the index of its field, and the number of the group with which it is present or absent."""

    field: int
    group: int


class Turn(NamedTuple):
    """A row at a tick, as far as it is due: the numbers of its groups in the order of their presence symbols, and its slots."""

    row: int
    groups: tuple[int, ...]
    slots: tuple[Slot, ...]


class _Place(NamedTuple):
    row: int
    step: int  # ticks from one time to the next
    slot: Slot


class Schedule:
    """What of one stream is due at which tick. A group is what a row has of one period; there are `groups` of them."""

    def __init__(self, rows: Sequence[Row], grid_ms: int, names: frozenset[str]) -> None:
        """`names`: of the signals of the stream. Only what is sampled periodically is taken."""
        numbers: dict[tuple[int, int], int] = {}
        self._places: list[_Place] = []
        for number, row in enumerate(rows):
            for index, field in enumerate(row.fields, row.first):
                if field.signal.period_ms > 0 and field.signal.name in names:
                    step = field.signal.period_ms // grid_ms
                    slot = Slot(index, numbers.setdefault((number, step), len(numbers)))
                    self._places.append(_Place(number, step, slot))
        self.groups = len(numbers)
        self._steps = sorted({place.step for place in self._places})
        self._turns: dict[tuple[int, ...], tuple[Turn, ...]] = {}

    def due(self, tick: int) -> tuple[Turn, ...]:
        """What is due at a tick, row by row."""
        steps = tuple(step for step in self._steps if tick % step == 0)
        if steps not in self._turns:
            self._turns[steps] = tuple(self._planned(steps))
        return self._turns[steps]

    def walk(self, start: int, first_row: int, ticks: int, rows: int) -> Iterator[tuple[int, Turn]]:
        """(tick, turn) of all rows of `ticks` ticks from `start`, the first of them from `first_row`, and of the rows below
        `rows` of the tick after. Ticks at which nothing is due cost nothing."""
        end = start + ticks
        tick = start if self.due(start) else self._after(start)
        while self._steps and tick <= end:
            for turn in self.due(tick):
                if (tick > start or turn.row >= first_row) and (tick < end or turn.row < rows):
                    yield tick, turn
            tick = self._after(tick)

    def _after(self, tick: int) -> int:
        return min(((tick // step + 1) * step for step in self._steps), default=tick)

    def _planned(self, steps: tuple[int, ...]) -> Iterator[Turn]:
        slots: dict[int, list[Slot]] = {}
        for place in self._places:
            if place.step in steps:
                slots.setdefault(place.row, []).append(place.slot)
        for row, own in slots.items():
            yield Turn(row, tuple(dict.fromkeys(slot.group for slot in own)), tuple(own))
