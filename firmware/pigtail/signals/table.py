"""The signal table: decodes a batch of slots into values in one viper call, without allocating.

          slot word 2 (lo)                  slot word 3 (hi)
    bit   31 ....... 8 7 ....... 0    bit   63 ...... 40 39 ...... 32
          byte 3   ...   byte 0             byte 7   ...   byte 4

A descriptor names two shifts of such a word (SPEC section 1), so that extraction is the same few instructions for every
signal. Messages with signals sampled on change, and multiplexed ones, are set aside and decoded one by one, row by row, in
`changes`, so that no change is missed. A slot whose id has bit 30 set names a row of the profile rather than a message.
"""

from array import array
from micropython import const
from pigtail.signals.profile import BRANCHES, LAST, SET_ASIDE

_UNKNOWN = const(0)  # indices of Table._counts
_SHORT = const(1)
_MARKED = const(2)
_SLOTS = const(64)
_EXTENDED = const(0x20000000)


# The first four arguments are dummies: viper keeps its first locals in registers, and arguments come first.
@micropython.viper
def _decode(
    d: int, v: int, sp: int, op: int, slots: ptr32, n: int, index: ptr8, hashed: ptr8, mask: int, rows: ptr32,
    descriptors: ptr32, raw: ptr32, ticks: ptr32, dirty: ptr8, mark: int, marked: ptr16, counts: ptr32,
):
    p = int(slots)
    end = p + (n << 4)
    while p < end:
        slot = ptr32(p)
        ident = slot[0]
        m = 0
        if ident < 0x800:
            m = int(index[ident])
        elif (ident >> 30) & 1:
            m = (ident & 0xFFFF) + 1
        else:
            h = (ident ^ (ident >> 7) ^ (ident >> 15)) & mask
            while int(hashed[h]):
                if rows[(int(hashed[h]) - 1) * 3] == ident:
                    m = int(hashed[h])
                    break
                h = (h + 1) & mask
        if m == 0:
            counts[0] += 1
        else:
            m -= 1
            row = ptr32(int(rows) + m * 12)
            flags = row[2] >> 8
            if int(uint(slot[1]) >> 28) < (row[2] & 15):
                counts[1] += 1
            elif flags & mark:
                marked[counts[2] * 2] = (p - int(slots)) >> 4
                marked[counts[2] * 2 + 1] = m
                counts[2] += 1
            else:
                ticks[m] = slot[1] & 0xFFFFFFF | 0x10000000
                dirty[m] = 255
                lo = slot[2]
                hi = slot[3]
                bl = 0
                bh = 0
                if flags & 1:
                    x = uint(hi)
                    bl = int((x >> 24) | ((x >> 8) & 0xFF00) | ((x & 0xFF00) << 8) | (x << 24))
                    x = uint(lo)
                    bh = int((x >> 24) | ((x >> 8) & 0xFF00) | ((x & 0xFF00) << 8) | (x << 24))
                sp = row[1] & 0xFFFF
                op = int(raw) + (sp << 2)
                sp = int(descriptors) + (sp << 2)
                last = sp + ((row[1] >> 16) << 2)
                while sp < last:
                    d = ptr32(sp)[0]
                    v = lo
                    if d & 0x2C00:
                        if d & 0x2000:
                            v = bl
                            if d & 0x400:
                                v = bh
                            elif d & 0x800:
                                v = int(uint(bl) >> ((d >> 14) & 31)) | (bh << (32 - ((d >> 14) & 31)))
                        elif d & 0x400:
                            v = hi
                        else:
                            v = int(uint(lo) >> ((d >> 14) & 31)) | (hi << (32 - ((d >> 14) & 31)))
                    v = v << (d & 31)
                    if d & 0x1000:
                        ptr32(op)[0] = v >> ((d >> 5) & 31)
                    else:
                        ptr32(op)[0] = int(uint(v) >> ((d >> 5) & 31))
                    sp += 4
                    op += 4
        p += 16


@micropython.viper
def _aim(slots: ptr32, n: int, row: int, one: ptr32):
    # A copy of slot n that names the row.
    slot = ptr32(int(slots) + (n << 4))
    bit = 1  # 1 << 30 as a literal would be an object
    one[0] = row | bit << 30
    one[1] = slot[1]
    one[2] = slot[2]
    one[3] = slot[3]


@micropython.viper
def _copy(source: ptr32, first: int, count: int, target: ptr32):
    i = 0
    while i < count:
        target[i] = source[first + i]
        i += 1


@micropython.viper
def _compare(
    raw: ptr32, before: ptr32, first: int, count: int, all: int, classes: ptr8, tick: int, events: ptr32, n: int
) -> int:  # fmt: skip
    i = 0
    while i < count:
        c = int(classes[first + i])
        if c & 15 == 8:
            half = c >> 4  # both halves of a signal are told when either changed
            if all or raw[first + i] != before[i] or half and raw[first + i + 1] != before[i + 1]:
                while True:
                    events[n * 3] = first + i
                    events[n * 3 + 1] = tick
                    events[n * 3 + 2] = raw[first + i]
                    n += 1
                    if not half:
                        break
                    half = 0
                    i += 1
            else:
                i += half
        i += 1
    return n


@micropython.viper
def _next_branch(
    rows: ptr32, row: int, message: int, row_count: int, conditions: ptr32, end: int, raw: ptr32, taken: ptr8, length: int,
    counts: ptr32,
) -> int:  # fmt: skip
    # The next branch row, from `row` on, that is in the frame just decoded; -1 where there is none.
    while True:
        branch = ptr32(int(rows) + row * 12)
        parent = branch[2] >> 16 & 0xFFFF
        taken[row] = 0
        if parent == message or taken[parent]:
            value = uint(raw[branch[0] & 0xFFFF])
            c = branch[0] >> 16 & 0xFFFF
            stop = end
            if row + 1 < row_count:
                stop = branch[3] >> 16 & 0xFFFF
            while c < stop:
                if uint(conditions[c * 2]) <= value and value <= uint(conditions[c * 2 + 1]):
                    if length < branch[2] & 15:
                        counts[1] += 1
                        break
                    taken[row] = 1
                    return row
                c += 1
        if branch[2] & 0x1000:
            return -1
        row += 1


@micropython.viper
def _on_change(classes: ptr8, first: int, count: int) -> int:
    n = 0
    while count:
        count -= 1
        if int(classes[first + count]) & 15 == 8:
            n += 1
    return n


class Table:
    """Decodes into `values` by `profile`; counts frames with unknown ids and frames too short for their message."""

    def __init__(self, profile, values):
        self._profile = profile
        self._values = values
        self._index = bytearray(2048)
        self._hashed, self._mask = self._build_index(profile)
        self._marked = array("H", bytes(4 * _SLOTS))
        self._counts = array("i", bytes(12))
        self._one = bytearray(16)
        self._before = array("i", bytes(4 * profile.widest))
        self._taken = bytearray(profile.row_count if profile.conditions else 0)
        self.events = array("i", bytes(12 * self._most_changes(profile)))

    def _build_index(self, profile):
        extended = 0
        for m in range(profile.messages):
            ident = profile.message_id(m)
            if ident & _EXTENDED:
                extended += 1
            else:
                self._index[ident] = m + 1
        size = 2
        while size < 2 * extended:
            size *= 2
        hashed = bytearray(size)
        for m in range(profile.messages - extended, profile.messages):
            ident = profile.message_id(m)
            h = (ident ^ ident >> 7 ^ ident >> 15) & size - 1
            while hashed[h]:
                h = h + 1 & size - 1
            hashed[h] = m + 1
        return hashed, size - 1

    def _most_changes(self, profile):
        """How many changes a single frame can bring."""
        most = 0
        for m in range(profile.messages):
            if profile.flags(m) & SET_ASIDE:
                n = _on_change(profile.classes, profile.first(m), profile.count(m))
                row = profile.link(m)
                while profile.flags(m) & BRANCHES:
                    n += _on_change(profile.classes, profile.first(row), profile.count(row))
                    if profile.flags(row) & LAST:
                        break
                    row += 1
                most = max(most, n)
        return most

    @property
    def unknown(self) -> int:
        return self._counts[_UNKNOWN]

    @property
    def short(self) -> int:
        return self._counts[_SHORT]

    def decode(self, slots, n: int) -> int:
        """Decodes `n` slots; returns how many were set aside for `changes`."""
        self._counts[_MARKED] = 0
        self._run(slots, n, 2)
        return self._counts[_MARKED]

    def _run(self, slots, n, mark):
        p, v = self._profile, self._values
        _decode(
            0, 0, 0, 0, slots, n, self._index, self._hashed, self._mask, p.rows, p.descriptors, v.raw, v.ticks, v.dirty,
            mark, self._marked, self._counts,
        )  # fmt: skip

    def changes(self, slots, i: int) -> int:
        """Decodes the i-th slot set aside; returns how many changes are told in `events` as (index, tick, raw)."""
        slot, m = self._marked[2 * i], self._marked[2 * i + 1]
        p = self._profile
        n = self._change(slots, slot, m, 0)
        if p.flags(m) & BRANCHES:
            row = p.link(m)
            length = slots[16 * slot + 7] >> 4
            while True:
                row = _next_branch(
                    p.rows, row, m, p.row_count, p.conditions, len(p.conditions) >> 3, self._values.raw, self._taken, length,
                    self._counts,
                )  # fmt: skip
                if row < 0:
                    break
                n = self._change(slots, slot, row, n)
                if p.flags(row) & LAST:
                    break
                row += 1
        return n

    def _change(self, slots, slot, m, n):
        """Decodes a row from a slot; its changes go to `events` from the n-th on."""
        p, v = self._profile, self._values
        first, count = p.first(m), p.count(m)
        new = not v.ticks[m]
        _copy(v.raw, first, count, self._before)
        _aim(slots, slot, m, self._one)
        self._run(self._one, 1, 0)
        return _compare(v.raw, self._before, first, count, new, p.classes, v.ticks[m] & 0xFFFFFFF, self.events, n)
