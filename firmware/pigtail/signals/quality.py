"""Quality: is a value within its range, did its frame's counter and checksum hold? And deadbands: did it change enough?

Loaded only for profiles that say so. A value is flagged, never clamped and never dropped; `values.quality[s]` is what holds for
signal s: 0 valid, 1 out_of_range, 3 bad_counter, 4 bad_checksum. Tables: SPEC section 1.
"""

from array import array
from micropython import const
from pigtail import once

_LIMIT = const(16)  # bytes of a limit


@micropython.viper
def _judge_frames(slots: ptr32, n: int, marked: ptr16, guard_of: ptr8, guards: ptr32, ticks: ptr32, verdicts: ptr8):
    # The verdict on each frame set aside: quality, and bit 7 where it is the first, or the first after a silence.
    i = 0
    while i < n:
        m = int(marked[i * 2 + 1])
        verdicts[i] = 0
        if guard_of[m]:
            g = ptr32(int(guards) + ((int(guard_of[m]) - 1) << 6))
            slot = ptr32(int(slots) + (int(marked[i * 2]) << 4))
            data = ptr8(int(slot) + 8)
            size = int(uint(slot[1]) >> 28)
            t = int(uint(ticks[m]) >> 28)
            ticks[m] = slot[1]
            verdict = 128 if t == 0 or t == 15 else 0
            if g[10]:
                c = (int(data[g[11]]) >> g[12]) & g[13]
                wanted = g[15] + g[14]
                while wanted >= g[10]:
                    wanted -= g[10]
                if not verdict and c != wanted:
                    verdict = 3
                g[15] = c
            if g[0]:
                at = g[1]
                k = 0
                x = g[4]
                if g[0] == 1:
                    while k < size:
                        if k != at:
                            x ^= int(data[k])
                            bit = 8
                            while bit:
                                bit -= 1
                                x <<= 1
                                if x & 0x100:
                                    x ^= 0x11D
                        k += 1
                    x ^= g[5]
                else:
                    x += size * g[9]
                    xor = 0
                    while k < size:
                        b = int(data[k])
                        if k == at:
                            b &= -1 ^ (g[3] << g[2])
                        xor ^= b
                        x += b * g[7] + ((b & 15) + (b >> 4)) * g[8]
                        k += 1
                    x += xor * g[6]
                if (int(data[at]) >> g[2]) & g[3] != x & g[3]:
                    verdict = verdict & 128 | 4
            verdicts[i] = verdict
        i += 1


@micropython.viper
def _judge_limits(limits: ptr32, n: int, raw: ptr32, quality: ptr8):
    while n:
        n -= 1
        s = limits[0] & 0xFFFF
        kind = limits[0] >> 16
        key = raw[s]
        if kind == 1:  # unsigned
            bit = 1
            key ^= bit << 31
        elif kind == 2:  # an IEEE float: its bits in the order of its values
            key ^= int(uint(key >> 31) >> 1)
        if int(quality[s]) < 2:
            quality[s] = 1 if key < limits[1] or key > limits[2] else 0
        limits = ptr32(int(limits) + 16)


@micropython.viper
def _judge_events(limits: ptr32, n: int, told: ptr32, events: ptr32, count: int) -> int:
    # Judges the events by their limits and takes those within their deadband out; returns how many are left.
    left = 0
    e = 0
    while e < count:
        event = ptr32(int(events) + (e << 4))
        keep = 1
        k = 0
        while k < n:
            limit = ptr32(int(limits) + (k << 4))
            if limit[0] & 0xFFFF == event[0]:
                key = event[2]
                if limit[0] >> 16 == 1:
                    bit = 1
                    key ^= bit << 31
                elif limit[0] >> 16 == 2:
                    key ^= int(uint(key >> 31) >> 1)
                if event[3] & 7 == 0 and (key < limit[1] or key > limit[2]):
                    event[3] |= 1
                if limit[3]:
                    apart = uint(key - told[k]) if key > told[k] else uint(told[k] - key)
                    if event[3] & 256 or apart > uint(limit[3]):
                        told[k] = key
                    else:
                        keep = 0
                k = n
            k += 1
        if keep:
            kept = ptr32(int(events) + (left << 4))
            kept[0] = event[0]
            kept[1] = event[1]
            kept[2] = event[2]
            kept[3] = event[3]
            left += 1
        e += 1
    return left


class Judge:
    """Judges by the tables of `profile` what is in `values`."""

    def __init__(self, profile, values):
        self._profile = profile
        self._values = values
        self._limits = len(profile.limits) // _LIMIT
        self._told = array("i", bytes(4 * self._limits))
        self._guard_of, self._guards = once.call("pigtail.signals.guards", "make", profile)

    def limits(self) -> None:
        """Judges all signals that have a range by their present values."""
        _judge_limits(self._profile.limits, self._limits, self._values.raw, self._values.quality)

    def events(self, events, count: int) -> int:
        """Judges changes by their range and takes those within their deadband out; returns how many are left."""
        return _judge_events(self._profile.limits, self._limits, self._told, events, count)

    def frames(self, slots, n: int, marked, verdicts) -> None:
        """The verdict on each of the `n` frames set aside, by counter and checksum."""
        _judge_frames(slots, n, marked, self._guard_of, self._guards, self._values.ticks, verdicts)
