"""Masks and filters for the MCP2515: every wanted id passes, and as few others as can be found. Pure; needed for a moment only.

A key is a 29-bit id with bit 29 set, or an 11-bit id shifted to where the chip compares it, bits 18 to 28: bits below would be
compared with the frame's first two data bytes. What counts of a key is what its mask has; no mask for it compares more.
"""

from array import array
from micropython import const

EXTENDED = const(0x20000000)
_ALL = const(0x1FFFFFFF)
_STANDARD = const(0x7FF)
_SHIFT = const(18)
_FILTERS = (2, 4)  # of mask 0, of mask 1
_CUTS = const(24)  # places tried at which the sorted ids may be divided
_ROUNDS = const(3)


@micropython.viper
def _classes(keys: ptr32, side: ptr8, n: int, group: int, mask: int, seen: ptr32, most: int) -> int:
    """How many values `key & mask` has in a group; `most` + 1 when there are more than `most`."""
    count = 0
    i = 0
    while i < n:
        if int(side[i]) == group:
            value = keys[i] & mask
            k = 0
            while k < count and seen[k] != value:
                k += 1
            if k == count:
                if count == most:
                    return most + 1
                seen[count] = value
                count += 1
        i += 1
    return count


class _Search:
    def __init__(self, keys, masks):
        self._keys = keys
        self._masks = masks
        self._n = len(keys)
        self._seen = array("I", bytes(16))
        self._side = bytearray(self._n)
        self.best = None
        self.cost = -1

    def _count(self, group, mask):
        return _classes(self._keys, self._side, self._n, group, mask | EXTENDED, self._seen, _FILTERS[group])

    def _allowed(self, group):
        """Bits that a group's mask may compare."""
        allowed = _ALL
        for i in range(self._n):
            if self._side[i] == group:
                allowed &= self._masks[i]
        return allowed

    def _grown(self, group, mask, allowed):
        """The mask with every bit added that its filters can bear, what costs fewest of them first."""
        count = self._count(group, mask)
        while True:
            least, bit_of_least, bit = _FILTERS[group] + 1, 0, 1 << 28
            while bit:
                if bit & allowed & ~mask:
                    more = self._count(group, mask | bit)
                    if more == count:
                        mask |= bit
                    elif more < least:
                        least, bit_of_least = more, bit
                bit >>= 1
            if not bit_of_least:
                return mask, count
            mask |= bit_of_least
            count = least

    def _fit(self, group, thorough):
        """(mask, ids that it admits) of a group; an 11-bit id counts as many 29-bit ones as have its bits."""
        allowed = self._allowed(group)
        mask, count = self._grown(group, 0, allowed)
        cost = count << _zeros(mask)
        bit = 1 << 28
        while thorough and bit:
            if bit & allowed and self._count(group, bit) <= _FILTERS[group]:
                other, count = self._grown(group, bit, allowed)
                if count << _zeros(other) < cost:
                    mask, cost = other, count << _zeros(other)
            bit >>= 1
        return mask, cost

    def judge(self, thorough=False):
        """Keeps the present division if it is better than the best; whether it is."""
        mask0, cost = self._fit(0, thorough)
        if self.best and cost >= self.cost:
            return False
        mask1, more = self._fit(1, thorough)
        if self.best and cost + more >= self.cost:
            return False
        self.cost = cost + more
        self.best = mask0, mask1, bytes(self._side)
        return True

    def divide(self, cut, bit):
        """Judges the division of the sorted ids before place `cut`, or by a bit, and its reverse."""
        for reverse in 0, 1:
            for i in range(self._n):
                beyond = self._keys[i] & bit if bit else i >= cut
                self._side[i] = 1 ^ reverse if beyond else reverse
            self.judge()

    def polish(self):
        """Moves single ids to the other side for as long as that helps."""
        self._side[:] = self.best[2]
        self.judge(True)
        for _ in range(_ROUNDS):
            helped = False
            for i in range(0, self._n, 1 + self._n // 64):
                self._side[i] ^= 1
                if self.judge():
                    helped = True
                else:
                    self._side[i] ^= 1
            if not (helped or self.judge(True)):
                return

    def registers(self):
        """mask 0, filters 0 and 1, mask 1, filters 2 to 5, as keys. A filter that is not needed repeats another."""
        mask0, mask1, side = self.best
        self._side[:] = side
        groups = []
        for group, mask in (0, mask0), (1, mask1):
            groups.append((mask, [self._seen[k] for k in range(self._count(group, mask))]))
        for group in 0, 1:
            if not groups[group][1]:
                groups[group] = groups[1 - group][0], groups[1 - group][1][: _FILTERS[group]]
        found = array("I")
        for group in 0, 1:
            mask, filters = groups[group]
            found.append(mask)
            for k in range(_FILTERS[group]):
                found.append(filters[k] if k < len(filters) else filters[0])
        return found


def _zeros(mask):
    """Bits that a mask leaves open."""
    count = 0
    bit = 1
    while bit <= _ALL:
        if not mask & bit:
            count += 1
        bit <<= 1
    return count


def wanted(profile, also, flag):
    """(identifier, mask, flags) for each message of a profile and of `also`: ids, in which bit 29 says that it has 29 bits, each
    with the bits of it that count behind it."""
    ids = [(profile.message_id(m), _ALL) for m in range(profile.messages) if not profile.is_window(m)]
    for ident, mask in ids + [(also[i], also[i + 1]) for i in range(0, len(also), 2)]:
        yield (ident & _ALL, mask & _ALL, flag) if ident & EXTENDED else (ident, mask & _STANDARD, 0)


def solve(ids):
    """The eight values for the chip's registers; `ids`: (id, mask, whether it has 29 bits), at least one of them."""
    found = sorted({(ident | EXTENDED, mask) if wide else (ident << _SHIFT, mask << _SHIFT) for ident, mask, wide in ids})
    keys = array("I", [key for key, _ in found])
    search = _Search(keys, array("I", [mask for _, mask in found]))
    step = 1 + len(keys) // _CUTS
    for cut in range(0, len(keys), step):
        search.divide(cut, 0)
    bit = 1 << 29
    while bit:
        if len({key & bit for key in keys}) > 1:
            search.divide(0, bit)
        bit >>= 1
    search.polish()
    return search.registers()
