"""States: the latest value of one signal at a time, as JSON for whoever reads no batches. Loaded only where the owner wants some.

In RAM is what tells whether a signal is due, in flat buffers; what is needed to say it is read from the file that `uplink.facts`
has written. Nothing is queued: a value that was not said is overtaken by the next one. Topics and fields: SPEC section 4.
"""

import struct
from array import array
from micropython import const
from pigtail import uptime
from time import ticks_add, ticks_diff

PATH = "/states"
TAIL = struct.calcsize("<HII")  # at the file's end: entries, key, CRC-32
HIGH = const(0xFFFF)  # in place of a row: the high half of the signal before
PENDING, UNANNOUNCED = const(128), const(64)  # beside the quality told last: in this session neither it nor its entity was told
_PACE_MS = const(100)  # between two, whatever their signals
_REPEAT_MS = const(300000)  # what is heard but does not change is told again
_STALE = const(2)
QUALITY = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
_TICK = const(0xFFFFFFF)


@micropython.viper
def _next_due(
    k: int, n: int, table: ptr16, told: ptr32, flags: ptr8, when: ptr32, raw: ptr32, ticks: ptr32, quality: ptr8, now: int
) -> int:  # fmt: skip
    # The next entry, from k on and round, that has a value that is to be told; -1 when there is none.
    left = n
    while left:
        left -= 1
        if k >= n:
            k = 0
        row = int(table[n + k])
        if row != 0xFFFF and ticks[row]:
            flag = int(flags[k])
            age = (now - when[k]) & 0x3FFFFFFF
            if flag & 128:
                return k
            if age >= int(table[2 * n + k]) * 100:
                s = int(table[k])
                q = int(quality[s])
                if int(uint(ticks[row]) >> 28) == 15:
                    q = 2
                if q != flag & 63 or told[k] != raw[s] or q != 2 and age >= _REPEAT_MS:
                    return k
                if k + 1 < n and int(table[n + k + 1]) == 0xFFFF and told[k + 1] != raw[s + 1]:
                    return k
        k += 1
    return -1


class States:
    """The speaker for `state/…` below `base`. Raises OSError or ValueError where the file at PATH is not as `facts` wrote it."""

    def __init__(self, values, clock, boot: int, base: str):
        self._values = values
        self._clock = clock
        self._boot = boot
        self._topic = base + "/state/"
        self.file = open(PATH, "rb")
        end = self.file.seek(0, 2) - TAIL
        self.file.seek(end)
        self.count = n = struct.unpack("<H", self.file.read(2))[0]
        self._rows = end - 4 * n
        self.table = array("H", bytes(6 * n))  # of each entry signal, row, least time between two in 100 ms
        self.file.seek(self._rows - 6 * n)
        if self.file.readinto(self.table) != 6 * n:
            raise ValueError("states")
        self._told = array("i", bytes(4 * n))
        self._when = array("I", bytes(4 * n))  # told, uptime
        self._heard = array("q", bytes(8 * n))  # uptime of the frame that brought it
        self.flags = bytearray(n)
        self._next = 0
        self._at = 0
        self.sent = self.failed = 0
        self.rewind()

    def rewind(self) -> None:
        for k in range(self.count):
            self.flags[k] |= PENDING | UNANNOUNCED

    def told(self) -> None:
        pass

    def has_value(self, k: int) -> bool:
        """Whether entry k is a signal that has a value."""
        row = self.table[self.count + k]
        return row != HIGH and self._values.ticks[row] != 0

    def facts(self, k: int):
        """The file, at the facts of entry k."""
        self.file.seek(self._rows + 4 * k)
        self.file.seek(struct.unpack("<I", self.file.read(4))[0])
        return self.file

    def next(self, now: int):
        if -_PACE_MS <= ticks_diff(now, self._at) < 0:
            return None
        self._at = ticks_add(now, _PACE_MS)
        v, ms = self._values, uptime.ms()
        k = _next_due(
            self._next, self.count, self.table, self._told, self.flags, self._when, v.raw, v.ticks, v.quality, ms & 0x3FFFFFFF
        )  # fmt: skip
        if k < 0:
            return None
        self._next = k + 1
        try:
            said = self._said(k, now, ms)
            self.sent += 1
            return said
        except (OSError, ValueError, IndexError):  # of the flash; the others may still be well
            self.failed += 1

    def _said(self, k, now, ms):
        row, s = self.table[self.count + k], self.table[k]
        word, raw = self._values.ticks[row], self._values.raw[s]
        quality = _STALE if word >> 28 == 15 else self._values.quality[s]
        self.flags[k] = self.flags[k] & UNANNOUNCED | quality
        self._told[k] = raw
        self._when[k] = ms & 0x3FFFFFFF
        high = None
        if k + 1 < self.count and self.table[self.count + k + 1] == HIGH:
            self._told[k + 1] = high = self._values.raw[s + 1]
        heard = self._heard_ms(k, word & _TICK, now, ms)
        utc = str(self._clock.utc_of_boot_ms + heard) if self._clock.quality else "null"
        facts = self.facts(k)
        topic = self._topic + facts.readline()[:-1].decode()
        unit = facts.readline()[:-1].decode()
        source = facts.readline()[:-1].decode()
        value = _value(facts, raw, high)
        return topic, (
            '{"value": %s, "unit": %s, "time_ms": %s, "boot": %d, "uptime_ms": %d, "age_ms": %d, "source": "%s", '
            '"quality": "%s"}' % (value, unit, utc, self._boot, heard, ms - heard, source, QUALITY[quality])
        ), True

    def _heard_ms(self, k, tick, now, ms):
        """Uptime at `tick`, of which only 28 bits are known: what has not come since it was told last has not become younger."""
        if self._heard[k] and uptime.tick_of(self._heard[k]) & _TICK == tick:
            return self._heard[k]
        self._heard[k] = heard = max(0, ms - ((now - tick) & _TICK))
        return heard


def _value(facts, raw, high):
    """The physical value as JSON: a label's text, or a number without the noise of floats."""
    words = facts.readline().split()
    kind = words[0]
    mask = 0xFFFFFFFF
    number = raw if kind == b"i" and high is None else raw & mask
    if high is not None:
        number |= (high if kind == b"i" else high & mask) << 32
    label = _label(facts, number)
    if label:
        return label
    if kind[0] == 0x66:
        return _float(kind, number, float(words[1]), float(words[2]))
    factor, offset, places, shown = [int(word) for word in words[1:]]
    return decimal(number * factor + offset, places, shown)


def _label(facts, number):
    wanted = b"%d " % number
    while True:
        line = facts.readline()
        if len(line) < 2:
            return None
        if line.startswith(wanted):
            return line[len(wanted) : -1].decode()


def decimal(value: int, places: int, shown: int) -> str:
    """`value` × 10^-places, rounded to `shown` places."""
    if shown < places:
        unit = 10 ** (places - shown)
        value = (value + unit // 2) // unit
    if not shown:
        return str(value)
    text = str(abs(value))
    text = "0" * (shown + 1 - len(text)) + text
    whole, part = text[:-shown], text[-shown:].rstrip("0")
    text = whole + "." + part if part else whole
    return "-" + text if value < 0 else text


def _float(kind, bits, factor, offset):
    """Kinds fe, ff and fd: IEEE 754 of 16, 32 and 64 bits. JSON has no infinity."""
    form = "<" + kind[1:].decode()
    value = struct.unpack(form, struct.pack("<Q", bits))[0] * factor + offset
    if value != value or value - value != 0:
        return "null"
    return repr(value) if form == "<d" else "%.7g" % value
