"""Batches of one profile and stream, decoded in lock-step to columns. What is odd in any way is left out: `decode` of the batch
alone says what is wrong with it. A lane is a batch; a row is a value of a field, in the end a sample.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from host_tools.errors import InputError
from host_tools.reader import lockstep, presence
from host_tools.reader.batch import YEAR_10000_MS
from host_tools.reader.columns import Columns
from host_tools.reader.events import QUALITIES, Mark, Told, events
from host_tools.reader.fields import Fields
from host_tools.reader.header import Coded, Header
from host_tools.reader.windows import Bools, Ints
from host_tools.signals.profile import Profile
from host_tools.signals.signal import SOURCES, WORD_BITS, Signal

Lane = tuple[int, Header, Coded]  # with the number that the batch was given by
_MOST_MARKS = 64
_LONGER = 2  # times as long as the others: a lane that would go on when most are done


def decode(lanes: Sequence[Lane], profile: Profile, least_lanes: int) -> tuple[list[int], Columns]:
    """The numbers of the batches that could be decoded, and their samples."""
    fields = Fields(profile, lanes[0][1].stream)
    able, told = [], []
    for lane in _even(lanes, least_lanes):
        _, header, coded = lane
        own = _told(header, coded, profile) if fields.is_walkable(header, coded) else None
        if own and header.purpose < len(profile.purposes):
            able.append(lane)
            told.append(own)
    rows, sound = _periodic(fields, able)
    rows = _with_events(rows, told)
    return _samples(fields, able, rows, sound)


def merged(parts: Sequence[Columns]) -> Columns:
    """All rows, in the order of their batches."""
    joined = [np.concatenate([np.asarray(column) for column in columns]) for columns in zip(*parts, strict=True)]
    if (np.diff(joined[0]) >= 0).all():
        return Columns(*joined)
    order = np.argsort(joined[0], kind="stable")
    return Columns(*(column[order] for column in joined))


def _even(lanes: Sequence[Lane], least_lanes: int) -> list[Lane]:
    """Without those that are so much longer than the others that few would go on by themselves."""
    counts = sorted((header.count for _, header, _ in lanes), reverse=True)
    most = _LONGER * counts[min(least_lanes, len(counts)) - 1]
    return [lane for lane in lanes if lane[1].count <= most]


class _Events(NamedTuple):
    """What the event section of a lane holds: rows (field, time, bits, quality, source), and the marks in order of time."""

    rows: list[tuple[int, ...]]
    marks: list[Mark]


def _told(header: Header, coded: Coded, profile: Profile) -> _Events | None:
    """None where there are records that make no row, or that make no sense."""
    found, current = _Events([], []), dict[int, Mark]()
    try:
        for record in events(header, coded, profile) if coded.events else ():
            if isinstance(record, Mark):
                found.marks.append(record)
                current[record.index] = record
            elif isinstance(record, Told) or len(found.marks) > _MOST_MARKS:
                return None
            else:
                codes = _codes(current.get(record.index), profile.fields[record.index].signal)
                found.rows.append((record.index, record.time_ms, record.bits, *codes))
    except InputError:
        return None
    found.marks.sort(key=lambda mark: mark.time_ms)
    return found


def _codes(mark: Mark | None, signal: Signal) -> tuple[int, int]:
    quality, source = (mark.quality, mark.source) if mark else (QUALITIES[0], signal.source)
    return QUALITIES.index(quality), SOURCES.index(source)


class _Rows(NamedTuple):
    """Values, lane after lane, in each in the order of their numbers."""

    lane: NDArray[Any]
    field: NDArray[Any]
    time_ms: NDArray[Any]
    bits: NDArray[Any]
    quality: NDArray[Any]
    source: NDArray[Any]

    def chosen(self, which: Ints | Bools) -> "_Rows":
        """Some of the rows, or all in another order."""
        return _Rows(*(column[which] for column in self))


def _periodic(fields: Fields, lanes: Sequence[Lane]) -> tuple[_Rows, Bools]:
    """The rows of the periodic sections, and which lanes are sound so far."""
    coded = [coded for _, _, coded in lanes]
    extents = [(header.start, header.first_row, own.ticks, own.rows) for _, header, own in lanes]
    extent = presence.Extent(*np.array(extents, np.int64).reshape(-1, 4).T)
    walk = presence.walk(fields.grid, extent, [own.presence for own in coded])
    v, q = [own.values for own in coded], [own.quiet for own in coded]
    values = lockstep.values(lockstep.Coded(v, q, walk.place, walk.counts, fields.is_signed, fields.step))
    lane = np.repeat(np.arange(len(lanes)), walk.counts)
    index = fields.index[walk.place]
    fresh = np.zeros(len(lane), np.uint8)
    time_ms = walk.tick * fields.profile.grid_ms
    rows = _Rows(lane, index, time_ms, values.raw.astype(np.int64), fresh, fields.source[index])
    return rows, walk.sound & values.sound


def _with_events(rows: _Rows, told: Sequence[_Events]) -> _Rows:
    """The rows, marked, and those of the event sections behind them, lane by lane."""
    for lane, own in enumerate(told):
        for mark in own.marks:
            part = slice(*np.searchsorted(rows.lane, (lane, lane + 1)))
            at = part.start + np.flatnonzero((rows.field[part] == mark.index) & (rows.time_ms[part] >= mark.time_ms))
            rows.quality[at], rows.source[at] = QUALITIES.index(mark.quality), SOURCES.index(mark.source)
    more = [(lane, *row) for lane, own in enumerate(told) for row in own.rows]
    if not more:
        return rows
    added = np.array(more, np.int64).T
    both = _Rows(*(np.concatenate([own, new.astype(own.dtype)]) for own, new in zip(rows, added, strict=True)))
    return both.chosen(np.argsort(both.lane, kind="stable"))


def _samples(fields: Fields, lanes: Sequence[Lane], rows: _Rows, sound: Bools) -> tuple[list[int], Columns]:
    """The numbers of the sound lanes, and their samples: numbered, halves joined, within their range."""
    headers = [header for _, header, _ in lanes]
    counts = np.bincount(rows.lane, minlength=len(lanes))
    sound = sound & (counts == np.array([header.count for header in headers], np.int64))
    firsts = np.array([header.first for header in headers], np.int64) - np.cumsum(counts) + counts
    sequence = np.arange(len(rows.lane)) + np.repeat(firsts, counts)
    latest = np.array([YEAR_10000_MS - (header.boot_utc_ms or 0) for header in headers], np.int64)
    if latest.min(initial=YEAR_10000_MS) <= rows.time_ms.max(initial=0):
        sound[rows.lane[rows.time_ms >= latest[rows.lane]]] = False
    raw = _joined(fields, rows, sound)
    sound[rows.lane[(raw < fields.lowest.take(rows.field)) | (raw > fields.highest.take(rows.field))]] = False
    is_kept = sound[rows.lane] & ~fields.is_high[rows.field]
    if not is_kept.all():
        rows, raw, sequence = rows.chosen(is_kept), raw[is_kept], sequence[is_kept]
    if not fields.is_exact:
        raw = np.clip(raw, fields.least.take(rows.field), fields.greatest.take(rows.field))
    numbers, index = np.array([number for number, _, _ in lanes], np.int64), fields.number.take(rows.field)
    value = fields.values(index, raw)
    columns = Columns(numbers.take(rows.lane), sequence, index, raw, value, rows.time_ms, rows.quality, rows.source)
    return numbers[sound].tolist(), columns


def _joined(fields: Fields, rows: _Rows, sound: Bools) -> Ints:
    """The raw values: unsigned ones as such, in the row of a low half the whole. Lanes with a half alone are not `sound`."""
    raw: Ints = np.where(fields.is_unsigned[rows.field], rows.bits & (1 << WORD_BITS) - 1, rows.bits)
    low, high = np.flatnonzero(fields.is_low[rows.field]), np.flatnonzero(fields.is_high[rows.field])
    if not len(low) and not len(high):
        return raw
    pairs = low[low + 1 < len(raw)]
    fits = (rows.field[pairs + 1] == rows.field[pairs] + 1) & (rows.lane[pairs + 1] == rows.lane[pairs])
    pairs = pairs[fits & (rows.time_ms[pairs + 1] == rows.time_ms[pairs])]
    alone = np.ones(len(raw), np.bool_)
    alone[pairs] = alone[pairs + 1] = False
    for half in low, high:
        sound[rows.lane[half[alone[half]]]] = False
    raw[pairs] |= rows.bits[pairs + 1] << WORD_BITS
    return raw
