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

ON_CHANGE = const(8)
_HEADER = "<4sBBHHHI"
_HEADER_SIZE = const(48)
_MOST_MESSAGES = const(255)  # a row's number fits a byte of the table's index
_CHUNK = const(512)
_ID_MASK = const(0x3FFFFFFF)
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
            classes_size = (self.signals + 3) & ~3
            self.text_at = _HEADER_SIZE + 12 * self.messages + 4 * self.signals + classes_size
            size = f.seek(0, 2)
            if size != self.size:  # before any table is made: a damaged count could ask for more than there is of memory
                raise ProfileError("%d bytes, not %d" % (size, self.size))
            f.seek(_HEADER_SIZE)
            self.periods = array("I", struct.unpack_from("<8I", head, 16))
            self.rows = _table(f, 12 * self.messages)
            self.descriptors = _table(f, 4 * self.signals)
            self.classes = _table(f, classes_size)
        stored = self._checked_crc()
        self.widest = 0  # most signals in one message
        self._check_rows()
        self._check_classes()
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
        for m in range(self.messages):
            ident, start, count, size, flags, _ = struct.unpack_from("<IHHBBH", self.rows, 12 * m)
            if ident > _ID_MASK or ident <= last_id or start != first or not count or size > 8:
                raise ProfileError("message row %d" % m)
            first += count
            last_id = ident
            self.widest = max(self.widest, count)
        if first != self.signals:
            raise ProfileError("signals without a message")

    def _check_classes(self):
        for i in range(self.signals):
            c = self.classes[i]
            if c > ON_CHANGE or c < ON_CHANGE and not self.periods[c]:
                raise ProfileError("period of signal %d" % i)
        for period in self.periods:
            if not self.grid_ms or period % self.grid_ms:
                raise ProfileError("grid")

    def message_id(self, m: int) -> int:
        row = 12 * m
        return self.rows[row] | self.rows[row + 1] << 8 | self.rows[row + 2] << 16 | self.rows[row + 3] << 24

    def first(self, m: int) -> int:
        return self.rows[12 * m + 4] | self.rows[12 * m + 5] << 8

    def count(self, m: int) -> int:
        return self.rows[12 * m + 6] | self.rows[12 * m + 7] << 8

    def names(self):
        """The signals' names in order, read from the text."""
        with open(self.path, "rb") as f:
            f.seek(self.text_at)
            with deflate.DeflateIO(f, deflate.ZLIB) as text:
                text.readline()
                for _ in range(self.signals):
                    yield json.loads(text.readline())["name"]

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


def _table(f, size):
    table = bytearray(size)
    f.readinto(table)
    return table
