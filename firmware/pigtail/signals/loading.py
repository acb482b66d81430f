"""Loading a profile: reads the tables of SPEC section 1 and checks every bound, once, so that the decoder need not.

Needed only while the device starts; see `once`.
"""

import struct
from array import array
from binascii import crc32
from micropython import const
from pigtail.signals.profile import BRANCHES, CLASS_MASK, HEADER_SIZE, LAST, LOW_HALF, ON_CHANGE, UNSAMPLED, ProfileError

_HEADER = "<4sBBHHHI"
_ROW = const(12)
_LIMIT = const(16)
_RULE = const(12)
_QUANTUM = const(4)
_MOST_MESSAGES = const(255)  # a row's number fits a byte of the table's index
_WIDEST = const(64)  # signals of one row
_MOST_STREAM = const(63)
_MOST_RULE = const(8)
_MOST_QUANTUM = const(0x7FFF)
_ID_MASK = const(0x3FFFFFFF)
_RESIDUE = 0x2144DF1C  # CRC-32 of anything followed by its own CRC-32


def load(p) -> None:
    """Fills the profile `p` from its file. Raises ProfileError, or OSError where there is no file."""
    with open(p.path, "rb") as f:
        head = f.read(HEADER_SIZE)
        if len(head) < HEADER_SIZE or head[:4] != b"PTPF":
            raise ProfileError("not a profile")
        _, version, _, p.messages, p.signals, p.grid_ms, p.text_size = struct.unpack_from(_HEADER, head)
        if version != 2:
            raise ProfileError("format version %d" % version)
        if p.messages > _MOST_MESSAGES:
            raise ProfileError("%d messages, 255 at most" % p.messages)
        branches, conditions, limits, rules = struct.unpack_from("<4H", head, 48)
        quanta = struct.unpack_from("<H", head, 64)[0]
        p.streams = _streams(head)
        p.row_count = p.messages + branches
        classes_size = (p.signals + 3) & ~3
        sizes = (
            _ROW * p.row_count, 4 * p.signals, classes_size, 8 * conditions, _LIMIT * limits, _RULE * rules,
            _QUANTUM * quanta,
        )  # fmt: skip
        p.text_at = HEADER_SIZE + sum(sizes)
        size = f.seek(0, 2)
        if size != p.size:  # before any table is made: a damaged count could ask for more than there is of memory
            raise ProfileError("%d bytes, not %d" % (size, p.size))
        f.seek(HEADER_SIZE)
        p.periods = array("I", struct.unpack_from("<8I", head, 16))
        try:
            p.rows, p.descriptors, p.classes, p.conditions, p.limits, p.rules, p.quanta = [_table(f, n) for n in sizes]
        except MemoryError as error:
            raise ProfileError("%d signals are more than there is room for" % p.signals) from error
    stored = _checked_crc(p)
    p.widest = 0  # most signals in one row
    _check_rows(p)
    _check_branches(p)
    _check_signals(p)
    _check_limits(p)
    _check_rules(p)
    _check_quanta(p)
    p.identity = stored


def _checked_crc(p):
    crc = 0
    for chunk in p.chunks():
        crc = crc32(chunk, crc)
    if crc != _RESIDUE:
        raise ProfileError("damaged")
    with open(p.path, "rb") as f:
        f.seek(p.size - 4)
        return struct.unpack("<I", f.read(4))[0]


def _check_rows(p):
    first = 0
    last_id = -1
    for m in range(p.row_count):
        ident, start, count, size, _, _ = struct.unpack_from("<IHHBBH", p.rows, _ROW * m)
        if start != first or not 0 < count <= _WIDEST or not 0 < size <= 8:
            raise ProfileError("message row %d" % m)
        if m < p.messages:
            if ident > _ID_MASK or ident <= last_id:
                raise ProfileError("message row %d" % m)
            last_id = ident
            p.windows += p.is_window(m)
        first += count
        p.widest = max(p.widest, count)
    if first != p.signals:
        raise ProfileError("signals without a message")


def _check_branches(p):
    """A message's branch rows follow those of the message before; each names a parent before it, and its conditions."""
    row = p.messages
    for m in range(p.messages):
        if not p.flags(m) & BRANCHES:
            continue
        if p.link(m) != row or row >= p.row_count:
            raise ProfileError("branches of row %d" % m)
        begin, last = row, False
        while not last:
            if row >= p.row_count or p.link(row) != m and not begin <= p.link(row) < row:
                raise ProfileError("branch row %d" % row)
            selector, condition = struct.unpack_from("<HH", p.rows, _ROW * row)
            if selector >= p.signals or condition > p.condition_end(row):
                raise ProfileError("branch row %d" % row)
            last = p.flags(row) & LAST
            row += 1
    if row != p.row_count:
        raise ProfileError("branches without a message")


def _check_signals(p):
    known = 1 << ON_CHANGE | 1 << UNSAMPLED
    for c in range(8):
        known |= (1 if p.periods[c] else 0) << c
    for row in range(p.row_count):
        first, end = p.first(row), p.first(row) + p.count(row)
        wrong = _wrong_class(p.classes, first, end, known, len(p.streams))
        if wrong >= 0:
            raise ProfileError("period or stream of signal %d" % wrong)
        wrong = _wrong_descriptor(p.descriptors, first, end)
        if wrong >= 0:
            raise ProfileError("bits of signal %d" % wrong)
    for period in p.periods:
        if not p.grid_ms or period % p.grid_ms:
            raise ProfileError("grid")


def _check_limits(p):
    for at in range(0, len(p.limits), _LIMIT):
        if struct.unpack_from("<H", p.limits, at)[0] >= p.signals:
            raise ProfileError("limit %d" % (at // _LIMIT))


def _check_rules(p):
    before = -1
    for r in range(len(p.rules) // _RULE):
        m = p.rule(r, 0)
        if not before < m < p.messages:
            raise ProfileError("rule %d" % r)
        before = m
        for field in 1, 4:
            s = p.rule(r, field)
            if s != 0xFFFF and not (p.first(m) <= s < p.first(m) + p.count(m) and _is_in_one_byte(p, s)):
                raise ProfileError("rule %d" % r)
        if p.rule(r, 4) != 0xFFFF and not 1 <= p.rule(r, 5) <= _MOST_RULE:
            raise ProfileError("rule %d" % r)
        if p.rule(r, 1) != 0xFFFF and not 2 <= p.rule(r, 3) <= 256:
            raise ProfileError("rule %d" % r)


def _check_quanta(p):
    before = -1
    for at in range(0, len(p.quanta), _QUANTUM):
        s, most = struct.unpack_from("<HH", p.quanta, at)
        if not before < s < p.signals or not 1 <= most <= _MOST_QUANTUM or not _may_be_near(p, s):
            raise ProfileError("quantum %d" % (at // _QUANTUM))
        before = s


def _may_be_near(p, s):
    """Whether a signal is sampled periodically, whole in one descriptor, and of at most 24 bits."""
    is_half = (p.classes[s] | (p.classes[s - 1] if s else 0)) & LOW_HALF
    return p.classes[s] & CLASS_MASK < ON_CHANGE and not is_half and p.descriptors[4 * s + 1] >= 8


def _is_in_one_byte(p, s):
    right, word, rest = p.descriptors[4 * s + 1], p.descriptors[4 * s + 2], p.descriptors[4 * s + 3]
    at = p.shift_of(s)
    return right >= 24 and word < 16 and not rest & 32 and 0 <= at and at >> 3 == at + 31 - right >> 3


def _wrong_class(classes, first, end, known, streams):
    # The first signal of a row whose class or stream is not known, or that lacks its other half in the row; -1 if there is none.
    half = 0  # class that the next one must have, as a high half, less 16
    while first < end:
        c = classes[first]
        if (known >> (c & 15)) & 1 == 0 or half and half != c + 16:
            return first
        if c >> 5 >= streams and c & 15 != 9 or c > 31 and c & 15 == 9:
            return first
        half = c if c & 16 else 0
        first += 1
    return first if half else -1


def _wrong_descriptor(descriptors, first, end):
    # The first signal of a row that would read beside its frame, or that does not say rightly whether it is the last one.
    while first < end:
        d = first * 4
        word = descriptors[d + 2]
        rest = descriptors[d + 3]
        if descriptors[d] | descriptors[d + 1] > 31 or word & 3 or word < 8 or word > 20:
            return first
        if rest & 32 and word & 4 or (rest >> 7) != (1 if first + 1 == end else 0):
            return first
        first += 1
    return -1


def _streams(head):
    """The stream ids in the header: those in use come first, each once."""
    ids = head[56:64]
    used = len(ids.rstrip(b"\xff"))
    for i in range(used):
        if ids[i] > _MOST_STREAM or ids[i] in ids[:i]:
            raise ProfileError("stream %d" % i)
    return ids[:used]


def _table(f, size):
    table = bytearray(size)
    f.readinto(table)
    return table
