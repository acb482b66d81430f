"""A dump of the outbox's partition: its records found and joined to batches (firmware/SPEC.md, the outbox on flash).

A record begins at a multiple of four: u16 length of the payload; u8 stream, bit 6: the next record goes on with the same part,
0xFF: a table; u8 number of the record in its batch, bit 7: the last one; u32 boot; u32 first sequence, in the table with which a
segment begins the segment's number; u32 samples; u32 CRC-32 of the segment's number, these 16 bytes and the payload; the payload.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SEGMENT = 4096
_TABLE = 0xFF
_MORE, _LAST = 0x40, 0x80
_HEAD = struct.Struct("<HBBIIII")
_CHECKED = 16
_ERASED = b"\xff" * _HEAD.size


class Kept(NamedTuple):
    """A batch as far as its records are there, and where in the dump it begins."""

    payload: bytes
    offset: int


class _Record(NamedTuple):
    stream: int
    part: int
    boot: int
    start: int
    samples: int
    payload: bytes
    offset: int
    is_more: bool


def is_dump(data: bytes) -> bool:
    """Whether these are whole segments, and one of them begins as one does."""
    return len(data) % SEGMENT == 0 and any(_number(data, at) for at in range(0, len(data), SEGMENT))


def batches(data: bytes) -> Iterator[Kept]:
    """The batches of a dump, stream by stream, in the order in which they were written. Of one that lacks a record, what is
    before it is given. Also those that were acknowledged but are not erased yet."""
    streams: dict[int, list[tuple[int, _Record]]] = {}
    for number, begin in _segments(data):
        for record in _records(data, number, begin):
            if record.stream != _TABLE:
                streams.setdefault(record.stream, []).append((number, record))
    for found in streams.values():
        found.sort(key=lambda pair: (pair[0], pair[1].offset))
        yield from _joined([record for _, record in found])


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Number and place of each segment. Where its table is damaged, its neighbours tell: numbers go up from place to place."""
    places = range(0, len(data), SEGMENT)
    numbers = [_number(data, at) for at in places]
    for place, at in enumerate(places):
        before = numbers[place - 1] + 1 if place and numbers[place - 1] else 0
        after = numbers[place + 1] - 1 if place + 1 < len(numbers) and numbers[place + 1] else 0
        for number in [numbers[place]] if numbers[place] else {before, after} - {0}:
            yield number, at


def _number(data: bytes, at: int) -> int:
    """The number in the table with which the segment at `at` begins; 0 when there is none."""
    (number,) = struct.unpack_from("<I", data, at + 8)
    record = _record(data, number, at, at + SEGMENT)
    return number if record and record.stream == _TABLE else 0


def _records(data: bytes, number: int, begin: int) -> Iterator[_Record]:
    at, end = begin, begin + SEGMENT
    while at + _HEAD.size <= end:
        record = _record(data, number, at, end)
        if record:
            yield record
            at += _HEAD.size + len(record.payload) + 3 & ~3
        else:
            at += 4


def _record(data: bytes, number: int, at: int, end: int) -> _Record | None:
    head = data[at : at + _HEAD.size]
    length, stream, part, boot, start, samples, crc = _HEAD.unpack(head)
    payload_at = at + _HEAD.size
    if head == _ERASED or payload_at + length > end:
        return None
    payload = data[payload_at : payload_at + length]
    if zlib.crc32(payload, zlib.crc32(head[:_CHECKED], number)) != crc:
        return None
    is_more = stream != _TABLE and bool(stream & _MORE)
    return _Record(stream & ~_MORE if is_more else stream, part & ~_LAST, boot, start, samples, payload, at, is_more)


def _joined(records: list[_Record]) -> Iterator[Kept]:
    """The batches that records of one stream, in their order, make."""
    chain: list[_Record] = []
    for record in records:
        last = chain[-1] if chain else None
        follows = last and (record.boot, record.start, record.part) == (last.boot, last.start + last.samples, last.part + 1)
        if not follows:
            yield from _whole(chain)
            chain = []
        if follows or not record.part:
            chain.append(record)
    yield from _whole(chain)


def _whole(chain: list[_Record]) -> Iterator[Kept]:
    """The batch, up to its last part that is whole."""
    while chain and chain[-1].is_more:
        chain = chain[:-1]
    if chain:
        yield Kept(b"".join(record.payload for record in chain), chain[0].offset)
