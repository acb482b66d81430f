"""The signal table: decodes a batch of slots into values in one viper call, without allocating.

          slot word 2 (lo)                  slot word 3 (hi)
    bit   31 ....... 8 7 ....... 0    bit   63 ...... 40 39 ...... 32
          byte 3   ...   byte 0             byte 7   ...   byte 4

A descriptor names one of these words, or of the byte-swapped ones behind them, and two shifts of it (SPEC section 1), so that
extraction is the same few instructions for every plain signal. Messages with signals sampled on change, and multiplexed
ones, are set aside and decoded one by one, row by row, in `changes`, so that no change is missed. A slot whose id has bit
30 set names a row of the profile rather than a message.
"""

from array import array
from micropython import const
from uctypes import addressof
from pigtail.signals.profile import BRANCHES, LAST, SET_ASIDE

_UNKNOWN = const(0)  # indices of Table._counts
_SHORT = const(1)
_MARKED = const(2)
_SLOTS = const(64)
_EXTENDED = const(0x20000000)


# viper keeps its first locals in registers, and arguments come first: `sp` (a descriptor) and `words` (a slot, or the copy of it
# that has the swapped words, too) are not passed in. Descriptors are walked until the one that is its row's last; `out` leads
# from a descriptor to its raw value. `at` holds the buffers' addresses: seventeen arguments took longer than many a frame.
@micropython.viper
def _decode(sp: int, words: int, out: int, slots: ptr32, n: int, mark: int, at: ptr32):
    index = ptr8(at[0])
    hashed = ptr8(at[1])
    mask = at[2]
    rows = ptr32(at[3])
    descriptors = at[4]
    ticks = ptr32(at[6])
    dirty = ptr8(at[7])
    marked = ptr16(at[8])
    counts = ptr32(at[9])
    out = at[5] - descriptors  # from `raw`
    p = int(slots)
    while n:
        n -= 1
        words = p
        sp = ptr32(words)[0]
        m = 0
        if uint(sp) < uint(0x800):
            m = int(index[sp])
        elif (sp >> 30) & 1:
            m = (sp & 0xFFFF) + 1
        else:
            h = (sp ^ (sp >> 7) ^ (sp >> 15)) & mask
            while int(hashed[h]):
                if rows[(int(hashed[h]) - 1) * 3] == sp:
                    m = int(hashed[h])
                    break
                h = (h + 1) & mask
        if m:
            m -= 1
            sp = int(rows) + m * 12
            flags = ptr32(sp)[2]
            if int(uint(ptr32(words)[1]) >> 28) < (flags & 15):
                counts[1] += 1
            elif flags & mark:
                marked[counts[2] * 2] = (p - int(slots)) >> 4
                marked[counts[2] * 2 + 1] = m
                counts[2] += 1
            else:
                ticks[m] = ptr32(words)[1]
                dirty[m] = 255
                m = ptr16(sp)[2]
                if flags & 0x100:
                    sp = words
                    words = at[10]
                    ptr32(words)[2] = ptr32(sp)[2]
                    ptr32(words)[3] = ptr32(sp)[3]
                    ptr8(words)[16] = ptr8(sp)[15]
                    ptr8(words)[17] = ptr8(sp)[14]
                    ptr8(words)[18] = ptr8(sp)[13]
                    ptr8(words)[19] = ptr8(sp)[12]
                    ptr8(words)[20] = ptr8(sp)[11]
                    ptr8(words)[21] = ptr8(sp)[10]
                    ptr8(words)[22] = ptr8(sp)[9]
                    ptr8(words)[23] = ptr8(sp)[8]
                sp = descriptors + (m << 2)
                while True:
                    if ptr8(sp)[3]:
                        m = ptr32(words + ptr8(sp)[2])[0]
                        if ptr8(sp)[3] & 32:
                            h = int(ptr8(sp)[3]) & 31
                            m = int(uint(m) >> h) | (ptr32(words + ptr8(sp)[2])[1] << (32 - h))
                        m = m << ptr8(sp)[0]
                        if ptr8(sp)[3] & 64:
                            ptr32(sp + out)[0] = m >> ptr8(sp)[1]
                        else:
                            ptr32(sp + out)[0] = int(uint(m) >> ptr8(sp)[1])
                        if ptr8(sp)[3] & 128:
                            break
                    else:
                        ptr32(sp + out)[0] = int(uint(ptr32(words + ptr8(sp)[2])[0] << ptr8(sp)[0]) >> ptr8(sp)[1])
                    sp += 4
        else:
            counts[0] += 1
        p += 16


@micropython.viper
def _begin(slots: ptr32, n: int, m: int, one: ptr32, raw: ptr32, first: int, count: int, before: ptr32, ticks: ptr32) -> int:
    # Makes `one` a copy of slot n that names row m, and keeps the row's values in `before`. Returns 1 when it was never heard, or
    # fell silent.
    slot = ptr32(int(slots) + (n << 4))
    bit = 1  # 1 << 30 as a literal would be an object
    one[0] = m | bit << 30
    one[1] = slot[1]
    one[2] = slot[2]
    one[3] = slot[3]
    i = 0
    while i < count:
        before[i] = raw[first + i]
        i += 1
    return 1 if ticks[m] == 0 or int(uint(ticks[m]) >> 28) == 15 else 0


@micropython.viper
def _compare(
    raw: ptr32, before: ptr32, first: int, count: int, all: int, classes: ptr8, one: ptr32, events: ptr32, n: int
) -> int:  # fmt: skip
    tick = one[1] & 0xFFFFFFF
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
        self._swapped = bytearray(24)
        self._before = array("i", bytes(4 * profile.widest))
        self._taken = bytearray(profile.row_count if profile.conditions else 0)
        self.events = array("i", bytes(12 * self._most_changes(profile)))
        self._at = self._addresses()
        self._judge = None
        self._quality = 0  # of the frame at hand
        if profile.limits or profile.rules:
            from pigtail.signals.quality import Judge  # only where it is needed

            self._judge = values.judge = Judge(profile, values)

    def _addresses(self):
        """Where the buffers lie that `_decode` needs; none of them is ever replaced."""
        p, v = self._profile, self._values
        before = [addressof(buffer) for buffer in (self._index, self._hashed)]
        after = (p.rows, p.descriptors, v.raw, v.ticks, v.dirty, self._marked, self._counts, self._swapped)
        return array("I", before + [self._mask] + [addressof(buffer) for buffer in after])

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
        _decode(0, 0, 0, slots, n, SET_ASIDE << 8, self._at)
        return self._counts[_MARKED]

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
        if self._judge:
            self._judge.limits()
        return n

    def _change(self, slots, slot, m, n):
        """Decodes a row from a slot; its changes go to `events` from the n-th on."""
        p, v, judge = self._profile, self._values, self._judge
        first, count = p.first(m), p.count(m)
        new = _begin(slots, slot, m, self._one, v.raw, first, count, self._before, v.ticks)
        _decode(0, 0, 0, self._one, 1, 0, self._at)
        end = _compare(v.raw, self._before, first, count, new, p.classes, self._one, self.events, n)
        if judge:
            if m < p.messages:
                self._quality = judge.frame(m, self._one, self._before, new)
            judge.mark(m, self._quality)
            end = judge.quiet(self.events, n, end, new)
        return end
