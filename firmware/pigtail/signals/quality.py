"""Quality: is a value within its range, did its frame's counter and checksum hold? And deadbands: did it change enough?

Loaded only for profiles that say so. A value is flagged, never clamped and never dropped; `values.quality[s]` is what holds for
signal s: 0 valid, 1 out_of_range, 3 bad_counter, 4 bad_checksum. Tables: SPEC section 1.
"""

from array import array
from micropython import const

OUT_OF_RANGE = const(1)
STALE = const(2)
BAD_COUNTER = const(3)
BAD_CHECKSUM = const(4)
_NONE = const(0xFFFF)
_RULE = const(12)  # bytes of a rule
_LIMIT = const(16)  # bytes of a limit


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
def _quiet(limits: ptr32, n: int, told: ptr32, events: ptr32, begin: int, end: int, new: int) -> int:
    # Takes the events from `begin` on that are within their deadband out; returns where the events end now.
    e = begin
    while e < end:
        event = ptr32(int(events) + e * 12)
        keep = 1
        k = 0
        while k < n:
            limit = ptr32(int(limits) + (k << 4))
            if limit[0] & 0xFFFF == event[0] and limit[3]:
                a = event[2]
                b = told[k]
                if limit[0] >> 16:
                    bit = 1
                    a ^= bit << 31
                    b ^= bit << 31
                apart = uint(a - b) if a > b else uint(b - a)
                if new or apart > uint(limit[3]):
                    told[k] = event[2]
                else:
                    keep = 0
            k += 1
        if keep:
            kept = ptr32(int(events) + begin * 12)
            kept[0] = event[0]
            kept[1] = event[1]
            kept[2] = event[2]
            begin += 1
        e += 1
    return begin


@micropython.viper
def _fill(quality: ptr8, classes: ptr8, first: int, count: int, value: int):
    # A long signal's quality is that of its low half.
    is_high = 0
    while count:
        count -= 1
        if not is_high:
            quality[first] = value
        is_high = classes[first] & 16
        first += 1


@micropython.viper
def _crc8(data: ptr8, size: int, skip: int, crc: int) -> int:
    i = 0
    while i < size:
        if i != skip:
            crc ^= data[i]
            bit = 8
            while bit:
                bit -= 1
                crc <<= 1
                if crc & 0x100:
                    crc ^= 0x11D
        i += 1
    return crc


@micropython.viper
def _sums(data: ptr8, size: int, ident: int, sums: ptr32):
    # Over data: 0 exclusive or, 1 sum of bytes, 2 sum of nibbles. Over the id: 3 sum of bytes, 4 sum of nibbles.
    i = 0
    while i < 5:
        sums[i] = 0
        i += 1
    i = 0
    while i < size:
        sums[0] ^= data[i]
        sums[1] += data[i]
        sums[2] += (data[i] & 15) + (data[i] >> 4)
        i += 1
    ident = ident & 0x1FFFFFFF
    while ident:
        sums[3] += ident & 255
        sums[4] += (ident & 15) + ((ident >> 4) & 15)
        ident >>= 8


class Judge:
    """Judges by the tables of `profile` what is in `values`."""

    def __init__(self, profile, values):
        self._profile = profile
        self._values = values
        self._limits = len(profile.limits) // _LIMIT
        self._told = array("i", bytes(4 * self._limits))
        self._rule_of = bytearray(profile.messages)
        self._data = bytearray(8)
        self._sums = array("i", bytes(20))
        for r in range(len(profile.rules) // _RULE):
            self._rule_of[profile.rule(r, 0)] = r + 1

    def limits(self) -> None:
        """Judges all signals that have a range by their present values."""
        _judge_limits(self._profile.limits, self._limits, self._values.raw, self._values.quality)

    def quiet(self, events, begin: int, end: int, new: int) -> int:
        """Takes changes within their deadband out of `events`; returns where they end now."""
        return _quiet(self._profile.limits, self._limits, self._told, events, begin, end, new)

    def mark(self, row: int, quality: int) -> None:
        """All signals of a row have this quality."""
        p = self._profile
        _fill(self._values.quality, p.classes, p.first(row), p.count(row), quality)

    def frame(self, m: int, slot, before, new: int) -> int:
        """Quality of message m's frame in `slot`, just decoded; `before` are its values before, `new` when there were none."""
        p, raw = self._profile, self._values.raw
        r = self._rule_of[m] - 1
        if r < 0:
            return 0
        checksum, counter = p.rule(r, 4), p.rule(r, 1)
        if checksum != _NONE and raw[checksum] & p.mask_of(checksum) != self._checksum(m, slot, checksum, p.rule(r, 5)):
            return BAD_CHECKSUM
        if counter != _NONE and not new:
            mask = p.mask_of(counter)
            next = ((before[counter - p.first(m)] & mask) + p.rule(r, 2)) % (p.rule(r, 3) or 0x10000)
            if raw[counter] & mask != next:
                return BAD_COUNTER
        return 0

    def _checksum(self, m, slot, signal, rule):
        """What the checksum of this frame must be. The rules: host_tools/signals/checksum.py."""
        p, data, sums = self._profile, self._data, self._sums
        size = slot[7] >> 4
        at = p.shift_of(signal) >> 3
        for i in range(8):
            data[i] = slot[8 + i]
        if rule == 4:
            return _crc8(data, size, at, 0xFF) ^ 0xFF
        if rule == 8:
            return _crc8(data, size, at, 0xFD) ^ 0xDF
        data[at] &= ~(p.mask_of(signal) << (p.shift_of(signal) & 7))
        ident = p.message_id(m)
        _sums(data, size, ident, sums)
        if rule == 1:
            return sums[0]
        if rule == 2:
            return sums[1] & 255
        if rule == 3:
            return 255 - (sums[1] + sums[3] & 255)
        if rule == 5:
            return sums[1] + sums[3] + size & 255
        if rule == 6:
            return 8 - sums[2] - sums[4] + (3 if ident >> 29 else 0) & 15
        return -sums[2] & 15
