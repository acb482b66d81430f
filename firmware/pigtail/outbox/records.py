"""Records in segments: how one is written, checked and found. Bytes: SPEC, "The outbox on flash".

A position is segment number x size + offset. Segment numbers only grow, the segment lies in place number % count, and the CRC of
each record begins with the number: what an older use of the place left behind is no record.
"""

import struct
from binascii import crc32
from micropython import const

TABLE = const(0xFF)  # in place of a stream
HEAD = 20
_FIELDS = "<HBBIIII"
_CHECKED = const(16)  # of the header
_MORE = const(0x40)
_LAST = const(0x80)
_PIECE = const(256)
_piece = bytearray(_PIECE)  # what is read in passing
_piece_view = memoryview(_piece)
_ERASED = b"\xff" * _PIECE
_blank = memoryview(_ERASED)


class Records:
    """The records of `segments`. `find` leaves the fields of what it found in the attributes."""

    def __init__(self, segments):
        self.segments = segments
        self.size = segments.size
        self._header = bytearray(HEAD)
        self._checked = memoryview(self._header)[:_CHECKED]
        self.passed = 0  # places that are neither a record nor blank, counted by `find`
        self.length = self.stream = self.part = self.boot = self.start = self.count = 0
        self.more = self.last = False

    def put(self, at: int, stream: int, payload, boot: int, start: int, count: int, part: int, last: bool, more: bool) -> None:
        """Writes a record at the erased position `at`; it is there for good when this returns."""
        number, offset = divmod(at, self.size)
        header = self._header
        stream |= _MORE if more else 0
        part |= _LAST if last else 0
        struct.pack_into(_FIELDS, header, 0, len(payload), stream, part, boot, start, count, 0)
        struct.pack_into("<I", header, _CHECKED, crc32(payload, crc32(self._checked, number)))
        self.segments.write(number % self.segments.count, offset, header, payload)

    def find(self, at: int, end: int) -> int:
        """Position of the first whole record from `at` on, -1 when there is none before `end`."""
        size = self.size
        while at < end:
            offset = at % size
            if offset + HEAD > size:
                at += size - offset
            elif self.check(at, -1):
                return at
            elif self._is_blank(at):
                self.passed += not offset  # where a segment should begin
                at += size - offset
            else:
                self.passed += 1
                at += 4
        return -1

    def check(self, at, number):
        """Takes the fields of a record; `number` 0: of a segment's first, which tells the number itself."""
        place, offset = divmod(at, self.size)
        if number:
            number = place
        segments, place = self.segments, place % self.segments.count
        segments.read(place, offset, self._header)
        length, stream, part, boot, start, count, crc = struct.unpack(_FIELDS, self._header)
        if length > self.size - offset - HEAD:
            return False
        value = crc32(self._checked, number or start)
        offset += HEAD
        for at in range(0, length, _PIECE):
            piece = _piece_view[: min(_PIECE, length - at)]
            segments.read(place, offset + at, piece)
            value = crc32(piece, value)
        if value != crc:
            return False
        self.length, self.boot, self.start, self.count = length, boot, start, count
        self.stream = stream if stream == TABLE else stream & ~_MORE
        self.more = bool(stream & _MORE)
        self.part = part & ~_LAST
        self.last = bool(part & _LAST)
        return True

    def _is_blank(self, at):
        """Whether the segment is erased from `at` to its end; `_check` has just read there."""
        return self._header == _blank[:HEAD] and self.free(at) <= at

    def free(self, at: int) -> int:
        """The first position from `at` on behind which the segment is erased."""
        number, offset = divmod(at, self.size)
        used = offset
        for piece in range(offset, self.size, _PIECE):
            n = min(_PIECE, self.size - piece)
            self.segments.read(number % self.segments.count, piece, _piece_view[:n])
            if _piece_view[:n] != _blank[:n]:
                while _piece[n - 1] == 0xFF:
                    n -= 1
                used = piece + n
        return number * self.size + (used + 3 & ~3)

    def payload(self, at: int, length: int):
        """The bytes of a record in pieces, each valid until anything else is read."""
        number, offset = divmod(at, self.size)
        for done in range(0, length, _PIECE):
            piece = _piece_view[: min(_PIECE, length - done)]
            self.segments.read(number % self.segments.count, offset + HEAD + done, piece)
            yield piece


def span(length: int) -> int:
    """Bytes that a record of `length` bytes takes."""
    return HEAD + length + 3 & ~3
