"""Frames set aside: messages with signals on change, multiplexed ones, those with a counter or checksum.

They are decoded in their order, each against the values before it, so that no change is missed even when several frames of a
message came in one drain. As in `signals.table`, one viper call takes as many as it can; a multiplexed frame takes one for each
of its rows. What changed stands in `events`, four words each: index, tick, raw, quality (with 256 added in the first frame
ever, or after a silence).
"""

from array import array
from micropython import const
from pigtail.signals.profile import BRANCHES, LAST, SET_ASIDE
from uctypes import addressof

_SHORT = const(1)  # indices of the table's counts
_ENOUGH = const(32)  # changes in one call: room for them costs little, and more of them cost fewer calls


# The innermost loop is `signals.table._decode`'s, with what a signal's class and the value before ask for.
@micropython.viper
def _follow(sp: int, words: int, out: int, slots: ptr32, i: int, n: int, e: int, through: int, at: ptr32) -> int:
    # Decodes the i-th to (n - 1)th frame set aside and appends changes from the e-th event on. Stops before a multiplexed frame
    # unless `through`, and when there might be no room; returns the frame to go on with, at[1] being where the events end.
    out = at[5] - at[4]
    events = ptr32(at[12])
    while i < n:
        m = int(ptr16(at[8])[i * 2 + 1])
        row = ptr32(at[3] + m * 12)
        if row[2] & 0x400 and not through or e and e + int(uint(row[1]) >> 16) > at[0]:
            break
        words = int(slots) + (int(ptr16(at[8])[i * 2]) << 4)
        verdict = int(ptr8(at[9])[i])
        t = int(uint(ptr32(at[6])[m]) >> 28)
        new = verdict & 128 or t == 0 or t == 15
        ptr32(at[6])[m] = ptr32(words)[1]
        ptr8(at[7])[m] = 255
        t = ptr32(words)[1] & 0xFFFFFFF
        if row[2] & 0x100:
            sp = words
            words = at[10]
            ptr32(words)[2] = ptr32(sp)[2]
            ptr32(words)[3] = ptr32(sp)[3]
            h = 8
            while h < 16:
                ptr8(words)[h + 8] = ptr8(sp)[23 - h]
                h += 1
        s = row[1] & 0xFFFF
        sp = at[4] + (s << 2)
        half = 0  # 1 after a low half, 2 when it has changed
        while True:
            v = ptr32(words + ptr8(sp)[2])[0]
            if ptr8(sp)[3] & 32:
                h = int(ptr8(sp)[3]) & 31
                v = int(uint(v) >> h) | (ptr32(words + ptr8(sp)[2])[1] << (32 - h))
            v = v << ptr8(sp)[0]
            if ptr8(sp)[3] & 64:
                v = v >> ptr8(sp)[1]
            else:
                v = int(uint(v) >> ptr8(sp)[1])
            changed = new or v != ptr32(sp + out)[0]
            ptr32(sp + out)[0] = v
            ptr8(at[11])[s] = 0 if half else verdict & 7
            c = int(ptr8(at[2])[s]) & 31
            if c == 24:
                half = 2 if changed else 1
            else:
                if c == 8 and (changed or half == 2):  # both halves are told when either changed
                    h = s - 1 if half else s
                    while h <= s:
                        events[e * 4] = h
                        events[e * 4 + 1] = t
                        events[e * 4 + 2] = ptr32(at[5])[h]
                        events[e * 4 + 3] = (256 if new else 0) | (verdict & 7 if h == s - (1 if half else 0) else 0)
                        e += 1
                        h += 1
                half = c >> 4
            if ptr8(sp)[3] & 128:
                break
            sp += 4
            s += 1
        i += 1
    at[1] = e
    return i


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


class Aside:
    """Decodes what `signals.table` has set aside in `marked`, pairs of slot and row with room for one more at the end."""

    START_ONLY = "_addresses", "_most_changes"

    def __init__(self, profile, values, marked, counts, swapped):
        self._profile = profile
        self._values = values
        self._marked = marked
        self._counts = counts
        self._swapped = swapped
        self._spare = len(marked) // 2 - 1
        self._verdicts = bytearray(len(marked) // 2)
        self._taken = bytearray(profile.row_count if profile.conditions else 0)
        self._room = max(_ENOUGH, self._most_changes(profile))
        self.events = array("i", bytes(16 * self._room))
        self.changed = 0
        self._judge = None
        if profile.limits or profile.rules:
            from pigtail.signals.quality import Judge  # only where it is needed

            self._judge = values.judge = Judge(profile, values)
        self._at = self._addresses()

    def _addresses(self):
        """Where the buffers lie that `_follow` needs; none of them is ever replaced."""
        p, v = self._profile, self._values
        buffers = (
            p.classes, p.rows, p.descriptors, v.raw, v.ticks, v.dirty, self._marked, self._verdicts, self._swapped, v.quality,
            self.events,
        )  # fmt: skip
        return array("I", [self._room, 0] + [addressof(buffer) for buffer in buffers])

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

    def follow(self, slots, i: int, n: int) -> int:
        """Decodes from the i-th of `n` slots set aside on, as many as it can; returns where to go on. Changes are in `events`."""
        judge, at = self._judge, self._at
        if judge and not i:
            judge.frames(slots, n, self._marked, self._verdicts)
        after = _follow(0, 0, 0, slots, i, n, 0, 0, at)
        if after == i:
            self._multiplexed(slots, i)
            after += 1
        self.changed = judge.events(self.events, at[1]) if judge else at[1]
        return after

    def _multiplexed(self, slots, i):
        """Decodes a frame row by row."""
        p, marked = self._profile, self._marked
        slot, m = marked[2 * i], marked[2 * i + 1]
        self._verdicts[self._spare] = self._verdicts[i]
        self._row(slots, slot, m, 0)
        length = slots[16 * slot + 7] >> 4
        row = p.link(m)
        while True:
            row = _next_branch(
                p.rows, row, m, p.row_count, p.conditions, len(p.conditions) >> 3, self._values.raw, self._taken, length,
                self._counts,
            )  # fmt: skip
            if row < 0:
                return
            self._row(slots, slot, row, self._at[1])
            if p.flags(row) & LAST:
                return
            row += 1

    def _row(self, slots, slot, row, events):
        spare = self._spare
        self._marked[2 * spare] = slot
        self._marked[2 * spare + 1] = row
        _follow(0, 0, 0, slots, spare, spare + 1, events, 1, self._at)
        self._verdicts[spare] &= 127  # what is new in the message's row need not be so in a branch
