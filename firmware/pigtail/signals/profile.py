"""The packed profile: which signals there are, where their bits lie and when they are sampled. Bytes: SPEC section 1.

The tables lie in flat buffers; the text that gives them meaning stays in the file. `loading` reads and checks them.
"""

import deflate
import json
from micropython import const
from pigtail import once

ON_CHANGE = const(8)  # classes: 0-7 a period; bit 4: the signal goes on in the next descriptor, its high half
UNSAMPLED = const(9)
CLASS_MASK = const(15)
LOW_HALF = const(16)
STREAM_SHIFT = const(5)  # of a class byte: the number of the signal's stream
SET_ASIDE = const(2)  # a row's flags
BRANCHES = const(4)
RULE = const(8)
LAST = const(16)
_RULE = const(12)
HEADER_SIZE = const(68)
_ROW = const(12)
_CHUNK = const(128)


class ProfileError(Exception):
    """The file is no profile that can be used; the text says why."""


class Profile:
    """`path` of a packed profile. Raises ProfileError, or OSError where there is no file."""

    START_ONLY = "rule", "mask_of", "shift_of", "condition_end", "names"

    def __init__(self, path: str):
        self.path = path
        self.identity = self.messages = self.signals = self.row_count = self.grid_ms = self.text_at = self.text_size = 0
        self.widest = 0  # most signals in one row
        self.windows = 0  # how many of the messages are on no bus
        self.rows = self.descriptors = self.classes = self.conditions = self.limits = self.rules = self.quanta = b""
        self.periods = self.streams = b""
        once.call("pigtail.signals.loading", "load", self)

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

    def is_window(self, m: int) -> bool:
        """Whether row m is no message on the bus but a part of an answer that this device asks for."""
        return m < self.messages and 0x7FF < self.message_id(m) < 0x20000000

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


def row_of(profile, s: int) -> int:
    """The row that names descriptor `s`: they follow each other in the rows' order."""
    row = 0
    while profile.first(row) + profile.count(row) <= s:
        row += 1
    return row


def _line(text):
    """The name in the next line of the text."""
    try:
        return json.loads(text.readline())["name"]
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        raise ProfileError("text") from error
