"""The signal table: decodes a batch of slots into values in one viper call, without allocating.

          slot word 2 (lo)                  slot word 3 (hi)
    bit   31 ....... 8 7 ....... 0    bit   63 ...... 40 39 ...... 32
          byte 3   ...   byte 0             byte 7   ...   byte 4

A descriptor names one of these words, or of the byte-swapped ones behind them, and two shifts of it (SPEC section 1), so that
extraction is the same few instructions for every plain signal. Messages that ask for more are set aside and decoded by
`signals.aside`, which is loaded only where the profile has such.
"""

from array import array
from micropython import const
from uctypes import addressof
from pigtail.signals.profile import SET_ASIDE

_UNKNOWN = const(0)  # indices of Table._counts
_SHORT = const(1)
_MARKED = const(2)
_SLOTS = const(64)


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
        if uint(sp) < uint(at[11]):
            m = int(index[sp])
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


class Table:
    """Decodes into `values` by `profile`; counts frames with unknown ids and frames too short for their message. `is_tight`: with
    2 KB less, somewhat slower."""

    START_ONLY = "_addresses", "_build_index"

    def __init__(self, profile, values, is_tight=False):
        self._profile = profile
        self._values = values
        self._index = bytearray(0 if is_tight else 0x800)  # of 11-bit ids; without it, they are hashed like the others
        self._hashed, self._mask = self._build_index(profile)
        self._marked = array("H", bytes(4 * (_SLOTS + 1)))
        self._counts = array("i", bytes(12))
        self._swapped = bytearray(24)
        self._at = self._addresses()
        self.aside = None
        if profile.limits or any(profile.flags(m) & SET_ASIDE for m in range(profile.messages)):
            from pigtail.signals.aside import Aside  # only where it is needed

            self.aside = Aside(profile, values, self._marked, self._counts, self._swapped)

    def _addresses(self):
        """Where the buffers lie that `_decode` needs; none of them is ever replaced."""
        p, v = self._profile, self._values
        before = [addressof(buffer) for buffer in (self._index, self._hashed)]
        after = (p.rows, p.descriptors, v.raw, v.ticks, v.dirty, self._marked, self._counts, self._swapped)
        return array("I", before + [self._mask] + [addressof(buffer) for buffer in after] + [len(self._index)])

    def _build_index(self, profile):
        longer = 0  # beyond the index: ids of 29 bits, and of windows
        for m in range(profile.messages):
            ident = profile.message_id(m)
            if ident >= len(self._index):
                longer += 1
            else:
                self._index[ident] = m + 1
        size = 2
        while size < 2 * longer:
            size *= 2
        hashed = bytearray(size)
        for m in range(profile.messages - longer, profile.messages):
            ident = profile.message_id(m)
            h = (ident ^ ident >> 7 ^ ident >> 15) & size - 1
            while hashed[h]:
                h = h + 1 & size - 1
            hashed[h] = m + 1
        return hashed, size - 1

    @property
    def unknown(self) -> int:
        return self._counts[_UNKNOWN]

    @property
    def short(self) -> int:
        return self._counts[_SHORT]

    def decode(self, slots, n: int) -> int:
        """Decodes `n` slots; returns how many were set aside for `aside.follow`."""
        self._counts[_MARKED] = 0
        _decode(0, 0, 0, slots, n, SET_ASIDE << 8, self._at)
        return self._counts[_MARKED]
