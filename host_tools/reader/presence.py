"""Which signal each value of many batches of one stream is of, and when (firmware/SPEC.md, section 2): the walk along the grid,
and the section P, which says what is absent. A lane is a batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from host_tools.reader.windows import RUN_BITS, Bools, Ints, Windows, rice_parameter

_FIRST_RUN = 32
_MOST_RUNS = 4096  # a lane with more changes is better read by itself


class Grid(NamedTuple):
    """A stream's periodic fields in their order: the row of each, and which of `steps` (its periods in grid ticks) it has."""

    row: Ints
    period: Ints
    steps: Sequence[int]


class Extent(NamedTuple):
    """What of the grid each lane covers: the header's start and first row, and its last part's ticks and rows."""

    start: Ints
    first_row: Ints
    ticks: Ints
    rows: Ints


class Walk(NamedTuple):
    """The values of all lanes, one lane after the other: whose each is (its place in the Grid), and its tick. `counts` is
    how many each lane has; `sound`, which lanes could be read."""

    place: Ints
    tick: Ints
    counts: Ints
    sound: Bools


def walk(grid: Grid, extent: Extent, sections: Sequence[bytes]) -> Walk:
    """The values of each lane; `sections` are their sections P."""
    instants = _Instants(grid, extent)
    symbols, values = instants.symbols(), instants.values()
    absent, sound = _absent(instants, symbols, sections)
    kept = values.kept
    if absent is not None:
        kept &= ~absent[symbols.base[values.instant] + instants.ordinal[values.item]]
    instant, item = values.instant[kept], values.item[kept]
    counts = np.bincount(instants.lane[instant], minlength=len(sections))
    return Walk(instants.place[item], instants.tick[instant], counts, sound)


class _Items(NamedTuple):
    """What is due at all instants: the instant of each, which of the items in the tables it is, and whether the rows that its
    batch covers are about it; by instant, where its items begin."""

    instant: Ints
    item: Ints
    kept: Bools
    base: Ints


class _Instants:
    """The ticks of all lanes at which something is due. What is due depends on the periods due alone: it is written down
    once for every set of periods that occurs, `place` and `ordinal` (which symbol of the tick counts) of values, `group`
    and `opening` of presence symbols."""

    def __init__(self, grid: Grid, extent: Extent) -> None:
        self._row = grid.row
        self.lane, self.tick = _ticks(extent)
        due = np.zeros(len(self.tick), np.int64)
        for number, step in enumerate(grid.steps):
            due |= (self.tick % step == 0).astype(np.int64) << number
        some = np.flatnonzero(due)
        self.lane, self.tick, due = self.lane[some], self.tick[some], due[some]
        self._bounds(extent, grid)
        self.groups = int(grid.row.max(initial=0) + 1) * len(grid.steps)
        self._tables(grid, due)

    def _bounds(self, extent: Extent, grid: Grid) -> None:
        is_first = self.tick == extent.start[self.lane]
        is_last = self.tick == (extent.start + extent.ticks)[self.lane]
        self._first_row = np.where(is_first, extent.first_row[self.lane], 0)
        self._end_row = np.where(is_last, extent.rows[self.lane], grid.row.max(initial=0) + 1)
        self._is_cut = (self._first_row > 0) | is_last

    def _tables(self, grid: Grid, due: Ints) -> None:
        sets, self._set = np.unique(due, return_inverse=True)
        groups = grid.row * len(grid.steps) + grid.period
        places, ordinals, openings = [], [], []
        for periods in sets:
            place = np.flatnonzero(int(periods) >> grid.period & 1)
            opening = np.sort(np.unique(groups[place], return_index=True)[1])
            order = np.argsort(groups[place][opening])
            places.append(place)
            openings.append(place[opening])
            ordinals.append(order[np.searchsorted(groups[place][opening], groups[place], sorter=order)])
        none = np.zeros(0, np.int64)
        self.place = np.concatenate([none, *places])
        self.ordinal = np.concatenate([none, *ordinals])
        self.opening = np.concatenate([none, *openings])
        self.group = groups[self.opening]
        self._value_counts = np.array([len(place) for place in places], np.int64)
        self._symbol_counts = np.array([len(opening) for opening in openings], np.int64)

    def values(self) -> _Items:
        """All values that are due, present or not."""
        return self._items(self._value_counts, self.place)

    def symbols(self) -> _Items:
        """All presence symbols."""
        return self._items(self._symbol_counts, self.opening)

    def _items(self, counts: Ints, places: Ints) -> _Items:
        many = counts[self._set]
        base = np.cumsum(many) - many
        instant = np.repeat(np.arange(len(many)), many)
        firsts = (np.cumsum(counts) - counts)[self._set]
        item = np.arange(len(instant)) + np.repeat(firsts - base, many)
        kept = np.ones(len(item), np.bool_)
        cut = np.flatnonzero(self._is_cut[instant])
        row = self._row[places[item[cut]]]
        kept[cut] = (row >= self._first_row[instant[cut]]) & (row < self._end_row[instant[cut]])
        return _Items(instant, item, kept, base)


def _ticks(extent: Extent) -> tuple[Ints, Ints]:
    """The lane and the number of every tick."""
    many = extent.ticks + 1
    lane = np.repeat(np.arange(len(many)), many)
    return lane, np.arange(len(lane)) + np.repeat(extent.start - np.cumsum(many) + many, many)


def _absent(instants: _Instants, symbols: _Items, sections: Sequence[bytes]) -> tuple[Bools | None, Bools]:
    """Whether what each presence symbol is about is absent (None: nothing is), and which lanes could be read."""
    at = np.flatnonzero(symbols.kept)
    lane = instants.lane[symbols.instant[at]]
    counts = np.bincount(lane, minlength=len(sections))
    changes, sound = _changes(counts, sections)
    if not len(changes):
        return None, sound
    key = lane * instants.groups + instants.group[symbols.item[at]]
    changed = np.zeros(len(at), np.bool_)
    changed[changes] = True
    ever = np.zeros(len(sections) * instants.groups, np.bool_)
    ever[key[changes]] = True
    some = np.flatnonzero(ever[key])
    some = some[np.argsort(key[some], kind="stable")]
    toggles = np.cumsum(changed[some])
    begins = np.flatnonzero(np.diff(key[some], prepend=-1))
    before: Ints = np.repeat(toggles[begins] - changed[some][begins], np.diff(begins, append=len(some)))
    absent = np.zeros(len(symbols.item), np.bool_)
    absent[at[some]] = (toggles - before) % 2 == 1
    return absent, sound


def _changes(counts: Ints, sections: Sequence[bytes]) -> tuple[Ints, Bools]:
    """Which of all lanes' presence symbols, of which each lane has so many, are ones; and which lanes could be read."""
    bits = Windows(sections)
    run = np.full(len(counts), _FIRST_RUN, np.int64)
    begins = np.cumsum(counts) - counts
    read = np.zeros(len(counts), np.int64)
    found = [np.zeros(0, np.int64)]
    for _ in range(_MOST_RUNS):
        lanes = np.flatnonzero(read < counts)
        if not len(lanes):
            break
        zeros = bits.rice(lanes, rice_parameter(run[lanes]), RUN_BITS).astype(np.int64)
        run[lanes] += (zeros << 3) - run[lanes] >> 2
        one = read[lanes] + zeros
        found.append((begins[lanes] + one)[one < counts[lanes]])
        read[lanes] = np.where(one == counts[lanes], one, one + 1)  # a run may end with the batch
    return np.sort(np.concatenate(found)), (read == counts) & bits.ended()
