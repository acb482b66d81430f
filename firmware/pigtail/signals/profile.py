"""The packed profile: which signals there are, where their bits lie and when they are sampled. Bytes: SPEC section 1.

The tables are loaded into flat buffers; the text that gives them meaning stays in the file. Every bound is checked here, once,
so that the decoder need not.
"""

import deflate
import json
import struct
from array import array
from binascii import crc32
from micropython import const

ON_CHANGE = const(8)  # classes: 0-7 a period; bit 4: the signal goes on in the next descriptor, its high half
UNSAMPLED = const(9)
CLASS_MASK = const(15)
LOW_HALF = const(16)
SET_ASIDE = const(2)  # a row's flags
BRANCHES = const(4)
RULE = const(8)
LAST = const(16)
_HEADER = "<4sBBHHHI"
_LIMIT = const(16)
_RULE = const(12)
_MOST_RULE = const(8)
_HEADER_SIZE = const(56)
_ROW = const(12)
_MOST_MESSAGES = const(255)  # a row's number fits a byte of the table's index
_CHUNK = const(512)
_ID_MASK = const(0x3FFFFFFF)
_EXTENDED = const(0x20000000)
_RESIDUE = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32


class ProfileError(Exception):
    """The file is no profile that can be used; the text says why."""


class Profile:
    """`path` of a packed profile. Raises ProfileError, or OSError where there is no file."""

    def __init__(self, path: str):
        self.path = path
        with open(path, "rb") as f:
            head = f.read(_HEADER_SIZE)
            if len(head) < _HEADER_SIZE or head[:4] != b"PTPF":
                raise ProfileError("not a profile")
            _, version, _, self.messages, self.signals, self.grid_ms, self.text_size = struct.unpack_from(_HEADER, head)
            if version != 1:
                raise ProfileError("format version %d" % version)
            if self.messages > _MOST_MESSAGES:
                raise ProfileError("%d messages, 255 at most" % self.messages)
            branches, conditions, limits, rules = struct.unpack_from("<4H", head, 48)
            self.row_count = self.messages + branches
            classes_size = (self.signals + 3) & ~3
            sizes = _ROW * self.row_count, 4 * self.signals, classes_size, 8 * conditions, _LIMIT * limits, _RULE * rules
            self.text_at = _HEADER_SIZE + sum(sizes)
            size = f.seek(0, 2)
            if size != self.size:  # before any table is made: a damaged count could ask for more than there is of memory
                raise ProfileError("%d bytes, not %d" % (size, self.size))
            f.seek(_HEADER_SIZE)
            self.periods = array("I", struct.unpack_from("<8I", head, 16))
            try:
                tables = [_table(f, n) for n in sizes]
            except MemoryError as error:
                raise ProfileError("%d signals are more than there is room for" % self.signals) from error
            self.rows, self.descriptors, self.classes, self.conditions, self.limits, self.rules = tables
        stored = self._checked_crc()
        self.widest = 0  # most signals in one row
        self._check_rows()
        self._check_branches()
        self._check_signals()
        self._check_limits()
        self.identity = stored

    def _checked_crc(self):
        crc = 0
        for chunk in self.chunks():
            crc = crc32(chunk, crc)
        if crc != _RESIDUE:
            raise ProfileError("damaged")
        with open(self.path, "rb") as f:
            f.seek(self.size - 4)
            return struct.unpack("<I", f.read(4))[0]

    def _check_rows(self):
        first = 0
        last_id = -1
        for m in range(self.row_count):
            ident, start, count, size, _, _ = struct.unpack_from("<IHHBBH", self.rows, _ROW * m)
            if start != first or not count or not 0 < size <= 8:
                raise ProfileError("message row %d" % m)
            if m < self.messages:
                if ident > _ID_MASK or 0x7FF < ident < _EXTENDED or ident <= last_id:
                    raise ProfileError("message row %d" % m)
                last_id = ident
            first += count
            self.widest = max(self.widest, count)
        if first != self.signals:
            raise ProfileError("signals without a message")

    def _check_branches(self):
        """A message's branch rows follow those of the message before; each names a parent before it, and its conditions."""
        row = self.messages
        for m in range(self.messages):
            if not self.flags(m) & BRANCHES:
                continue
            if self.link(m) != row or row >= self.row_count:
                raise ProfileError("branches of row %d" % m)
            begin, last = row, False
            while not last:
                if row >= self.row_count or self.link(row) != m and not begin <= self.link(row) < row:
                    raise ProfileError("branch row %d" % row)
                selector, condition = struct.unpack_from("<HH", self.rows, _ROW * row)
                if selector >= self.signals or condition > self.condition_end(row):
                    raise ProfileError("branch row %d" % row)
                last = self.flags(row) & LAST
                row += 1
        if row != self.row_count:
            raise ProfileError("branches without a message")

    def _check_signals(self):
        known = 1 << ON_CHANGE | 1 << UNSAMPLED
        for c in range(8):
            known |= (1 if self.periods[c] else 0) << c
        for row in range(self.row_count):
            first, end = self.first(row), self.first(row) + self.count(row)
            wrong = _wrong_class(self.classes, first, end, known)
            if wrong >= 0:
                raise ProfileError("period of signal %d" % wrong)
            wrong = _wrong_descriptor(self.descriptors, first, end)
            if wrong >= 0:
                raise ProfileError("bits of signal %d" % wrong)
        for period in self.periods:
            if not self.grid_ms or period % self.grid_ms:
                raise ProfileError("grid")

    def _check_limits(self):
        for at in range(0, len(self.limits), _LIMIT):
            if struct.unpack_from("<H", self.limits, at)[0] >= self.signals:
                raise ProfileError("limit %d" % (at // _LIMIT))
        before = -1
        for r in range(len(self.rules) // _RULE):
            m = self.rule(r, 0)
            if not before < m < self.messages:
                raise ProfileError("rule %d" % r)
            before = m
            for field in 1, 4:
                s = self.rule(r, field)
                if s != 0xFFFF and not (self.first(m) <= s < self.first(m) + self.count(m) and self._is_in_one_byte(s)):
                    raise ProfileError("rule %d" % r)
            if self.rule(r, 4) != 0xFFFF and not 1 <= self.rule(r, 5) <= _MOST_RULE:
                raise ProfileError("rule %d" % r)
            if self.rule(r, 1) != 0xFFFF and not 2 <= self.rule(r, 3) <= 256:
                raise ProfileError("rule %d" % r)

    def rule(self, r: int, field: int) -> int:
        """Of rule r: 0 message, 1 counter's index, 2 step, 3 modulo, 4 checksum's index, 5 kind."""
        at = _RULE * r + 2 * field
        return self.rules[at] | self.rules[at + 1] << 8

    def mask_of(self, s: int) -> int:
        """The bits of a signal that lies within one byte, as a mask from bit 0."""
        return (1 << 32 - self.descriptors[4 * s + 1]) - 1

    def shift_of(self, s: int) -> int:
        """The first bit, counted through the frame, of a signal that lies within one byte."""
        left, right, word = self.descriptors[4 * s], self.descriptors[4 * s + 1], self.descriptors[4 * s + 2]
        return right - left + (32 if word & 4 else 0)

    def _is_in_one_byte(self, s):
        right, word, rest = self.descriptors[4 * s + 1], self.descriptors[4 * s + 2], self.descriptors[4 * s + 3]
        at = self.shift_of(s)
        return right >= 24 and word < 16 and not rest & 32 and 0 <= at and at >> 3 == at + 31 - right >> 3

    def message_id(self, m: int) -> int:
        row = 12 * m
        return self.rows[row] | self.rows[row + 1] << 8 | self.rows[row + 2] << 16 | self.rows[row + 3] << 24

    def first(self, m: int) -> int:
        return self.rows[_ROW * m + 4] | self.rows[_ROW * m + 5] << 8

    def count(self, m: int) -> int:
        return self.rows[_ROW * m + 6] | self.rows[_ROW * m + 7] << 8

    def flags(self, m: int) -> int:
        return self.rows[_ROW * m + 9]

    def link(self, m: int) -> int:
        """Of a message's row its first branch row, of a branch row the row that holds its selector."""
        return self.rows[_ROW * m + 10] | self.rows[_ROW * m + 11] << 8

    def condition_end(self, row: int) -> int:
        """One past the last condition of a branch row."""
        if row + 1 == self.row_count:
            return len(self.conditions) // 8
        return self.rows[_ROW * row + 14] | self.rows[_ROW * row + 15] << 8

    def names(self):
        """For each descriptor in order the name of its signal, read from the text; None for a high half. Raises ProfileError."""
        with open(self.path, "rb") as f:
            f.seek(self.text_at)
            with deflate.DeflateIO(f, deflate.ZLIB) as text:
                _line(text)
                for i in range(self.signals):
                    is_high = i and self.classes[i - 1] & LOW_HALF
                    yield None if is_high else _line(text)

    def chunks(self, start: int = 0):
        """The file from byte `start` on, in pieces."""
        with open(self.path, "rb") as f:
            f.seek(start)
            while True:
                piece = f.read(_CHUNK)
                if not piece:
                    return
                yield piece

    @property
    def size(self) -> int:
        return self.text_at + self.text_size + 4


@micropython.viper
def _wrong_class(classes: ptr8, first: int, end: int, known: int) -> int:
    # The first signal of a row whose class is not known, or that lacks its other half in the row; -1 where there is none.
    half = 0  # class that the next one must have, as a high half, less 16
    while first < end:
        c = classes[first]
        if c > 31 or (known >> (c & 15)) & 1 == 0 or half and half != c + 16:
            return first
        half = c if c & 16 else 0
        first += 1
    return first if half else -1


@micropython.viper
def _wrong_descriptor(descriptors: ptr8, first: int, end: int) -> int:
    # The first signal of a row that would read beside its frame, or that does not say rightly whether it is the last one.
    while first < end:
        d = first * 4
        word = int(descriptors[d + 2])
        rest = int(descriptors[d + 3])
        if descriptors[d] | descriptors[d + 1] > 31 or word & 3 or word < 8 or word > 20:
            return first
        if rest & 32 and word & 4 or (rest >> 7) != (1 if first + 1 == end else 0):
            return first
        first += 1
    return -1


def _line(text):
    """The name in the next line of the text."""
    try:
        return json.loads(text.readline())["name"]
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise ProfileError("text") from error


def _table(f, size):
    table = bytearray(size)
    f.readinto(table)
    return table
