"""The batch: turns values into the bytes that travel. Format: SPEC section 2; the codec is delta and varint.

Two sections grow side by side in fixed buffers, one of periodic samples and one of events; `close` joins them behind a header.
Nothing here allocates per sample. A batch that is full says so, and the same tick goes on in the next batch.
"""

import struct
from array import array
from micropython import const
from pigtail.signals.profile import LOW_HALF

_VERSION = const(1)
_HEAD = const(64)  # room for the header, which is written last, against the periodic section
_ROOM = const(5)  # bytes of the longest varint
_EVENT_ROOM = const(15)


@micropython.viper
def _take(
    rows: ptr32, row_count: int, classes: ptr8, raw: ptr32, previous: ptr32, dirty: ptr8, out: ptr8, state: ptr32, due: int
) -> int:  # fmt: skip
    # state: 0 bytes in use, 1 limit, 2 samples, 3 row and 4 signal to go on with. Returns 1 when the tick is complete.
    op = state[0]
    m = state[3]
    s = state[4]
    while m < row_count:
        first = rows[m * 3 + 1]
        end = (first & 0xFFFF) + (first >> 16)
        fresh = int(dirty[m])
        while s < end:
            c = int(classes[s])
            if (due >> (c & 15)) & 1:
                if op + 5 + (c >> 4) * 5 > state[1]:  # a low half takes its high half along
                    state[0] = op
                    state[3] = m
                    state[4] = s
                    return 0
                if (fresh >> c) & 1:
                    z = raw[s] - previous[s]
                    previous[s] = raw[s]
                    z = (z << 1) ^ (z >> 31)
                    state[2] += 1
                    if z == -1:  # zigzag + 1 is 2^32
                        out[op] = 0x80
                        out[op + 1] = 0x80
                        out[op + 2] = 0x80
                        out[op + 3] = 0x80
                        out[op + 4] = 0x10
                        op += 5
                    else:
                        z += 1
                        while z & -128:
                            out[op] = z & 127 | 128
                            op += 1
                            z = int(uint(z) >> 7)
                        out[op] = z
                        op += 1
                else:
                    out[op] = 0
                    op += 1
            s += 1
        dirty[m] = fresh & (255 ^ due)
        m += 1
    state[0] = op
    state[3] = 0
    state[4] = 0
    return 1


@micropython.viper
def _event(events: ptr32, i: int, previous: ptr32, out: ptr8, state: ptr32):
    # state: 0 bytes in use, 2 samples, 5 tick of the event before
    op = state[0]
    event = ptr32(int(events) + i * 12)
    s = event[0]
    since = ((event[1] - state[5]) << 4) >> 4  # ticks are 28 bits wide
    state[5] = event[1]
    change = event[2] - previous[s]
    previous[s] = event[2]
    field = 0
    while field < 3:
        z = s << 1
        if field == 1:
            z = (since << 1) ^ (since >> 31)
        elif field == 2:
            z = (change << 1) ^ (change >> 31)
        while z & -128:
            out[op] = z & 127 | 128
            op += 1
            z = int(uint(z) >> 7)
        out[op] = z
        op += 1
        field += 1
    state[0] = op
    state[2] += 1


@micropython.viper
def _clear(words: ptr32, n: int):
    while n:
        n -= 1
        words[n] = 0


def varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


class Batch:
    """One open batch of at most `size` bytes for the signals of `profile`; samples are numbered from 0 in this boot."""

    def __init__(self, profile, values, size: int):
        self._profile = profile
        self._values = values
        self._previous = array("i", bytes(4 * profile.signals))
        self._out = bytearray(size)
        self._view = memoryview(self._out)
        half = (size - _HEAD) // 2
        self._events = bytearray(half)
        self._periodic = array("i", [_HEAD, size - half, 0, 0, 0, 0])
        self._changed = array("i", [0, half, 0, 0, 0, 0])
        self.sequence = 0
        self._start = 0
        self._first_signal = 0

    def open(self, k: int, tick: int) -> None:
        """Starts at grid tick `k`, whose time is `tick` (as `ticks_ms`); inside it where the batch before was full."""
        self._start = k
        self._first_signal = self._periodic[4]
        self._periodic[0] = _HEAD
        self._periodic[2] = self._changed[0] = self._changed[2] = 0
        self._changed[5] = tick & 0x0FFFFFFF
        _clear(self._previous, self._profile.signals)

    @property
    def count(self) -> int:
        return self._periodic[2] + self._changed[2]

    def take(self, due: int) -> bool:
        """Codes the signals of the classes in the bit mask `due`; False when the batch was full before the tick's end."""
        p, v = self._profile, self._values
        return bool(_take(p.rows, p.row_count, p.classes, v.raw, self._previous, v.dirty, self._out, self._periodic, due))

    def event(self, events, i: int) -> bool:
        """Codes the i-th (index, tick, raw) of `events`; False when the batch is full."""
        room = 2 * _EVENT_ROOM if self._profile.classes[events[3 * i]] & LOW_HALF else _EVENT_ROOM  # its high half follows
        if self._changed[0] + room > self._changed[1]:
            return False
        _event(events, i, self._previous, self._events, self._changed)
        return True

    def close(self, boot: int, flags: int, utc_of_boot_ms: int, versions):
        """The finished record as a view of a buffer, valid until the next `open`. `versions`: configuration, consent."""
        count = self.count
        size = self._periodic[0] - _HEAD
        head = bytearray(struct.pack("<BBI", _VERSION, flags, self._profile.identity))
        for value in versions[0], versions[1], boot, self.sequence, count, self._start, self._first_signal:
            varint(head, value)
        if flags & 3:
            head.extend(utc_of_boot_ms.to_bytes(6, "little"))
        varint(head, 0)
        varint(head, size)
        begin = _HEAD - len(head)
        self._view[begin:_HEAD] = head
        end = self._periodic[0] + self._changed[0]
        self._view[self._periodic[0] : end] = memoryview(self._events)[: self._changed[0]]
        self.sequence += count
        return self._view[begin:end]
