"""The batch: turns values into the bytes that travel. Format: SPEC section 2; the codec is delta and varint.

Two sections grow side by side in fixed buffers, one of periodic samples and one of events; `close` joins them behind a header.
Nothing here allocates per sample. A batch that is full says so, and the same tick goes on in the next batch.
"""

import struct
from array import array
from micropython import const
from pigtail.signals.profile import CLASS_MASK, LOW_HALF, UNSAMPLED

_VERSION = const(1)
_HEAD = const(64)  # room for the header, which is written last, against the periodic section
_ROOM = const(5)  # bytes of the longest varint
_MARK_ROOM = const(9)
_MARKS = const(16)  # that one look at the signals may note
_STALE = const(2)


@micropython.viper
def _take(
    rows: ptr32, row_count: int, classes: ptr8, raw: ptr32, previous: ptr32, dirty: ptr8, out: ptr8, state: ptr32, due: int,
    quality: ptr8, told: ptr8, marks: ptr32,
) -> int:  # fmt: skip
    # state: 0 bytes in use, 1 limit, 2 samples, 3 row and 4 signal to go on with, 5 marks noted and 6 their limit. Notes a mark
    # where a signal's quality is not the one told. Returns 1 when the tick is complete, 0 when the section is full, 2 when the
    # marks are.
    op = state[0]
    m = state[3]
    s = state[4]
    end = 1
    while m < row_count:
        first = rows[m * 3 + 1]
        stop = (first & 0xFFFF) + (first >> 16)
        fresh = int(dirty[m])
        while s < stop:
            c = int(classes[s])
            if (due >> (c & 15)) & 1:
                if op + 5 + (c >> 4) * 5 > state[1]:  # a low half takes its high half along
                    end = 0
                    break
                if (fresh >> (c & 15)) & 1:
                    if quality[s] != told[s]:
                        if state[5] == state[6]:
                            end = 2
                            break
                        marks[state[5] * 4] = s
                        marks[state[5] * 4 + 3] = int(quality[s])
                        state[5] += 1
                        told[s] = quality[s]
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
        if end != 1:
            break
        dirty[m] = fresh & (255 ^ due)
        m += 1
    state[0] = op
    state[3] = 0 if end == 1 else m
    state[4] = 0 if end == 1 else s
    return end


@micropython.viper
def _events(
    events: ptr32, i: int, n: int, classes: ptr8, told: ptr8, previous: ptr32, out: ptr8, state: ptr32, is_mark: int
) -> int:  # fmt: skip
    # Codes events (index, tick, raw, quality) from the i-th on, each behind a mark where its quality is not the one told; with
    # `is_mark` only the marks. state: 0 bytes in use, 1 limit, 2 samples, 5 tick of the event before. Returns where it stopped.
    op = state[0]
    while i < n:
        event = ptr32(int(events) + (i << 4))
        s = event[0]
        quality = event[3] & 7
        mark = 1 if is_mark or quality != told[s] else 0
        if op + 9 * mark + (0 if is_mark else 15 + 15 * (classes[s] >> 4)) > state[1]:  # a low half takes its high half along
            break
        told[s] = quality
        while mark >= is_mark:
            since = ((event[1] - state[5]) << 4) >> 4  # ticks are 28 bits wide
            state[5] = event[1]
            z = s << 1 | mark
            field = 0
            while field < 3:
                if field == 1:
                    z = (since << 1) ^ (since >> 31)
                elif field == 2:
                    if mark:
                        z = quality
                    else:
                        z = event[2] - previous[s]
                        previous[s] = event[2]
                        z = (z << 1) ^ (z >> 31)
                        state[2] += 1
                while z & -128:
                    out[op] = z & 127 | 128
                    op += 1
                    z = int(uint(z) >> 7)
                out[op] = z
                op += 1
                field += 1
            mark -= 1
        i += 1
    state[0] = op
    return i


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
        self._told = bytearray(profile.signals + 3 & ~3)  # the quality of each signal that this batch tells
        self._marks = array("i", bytes(16 * _MARKS))
        self._silent = 0  # row and signal at which `silences` goes on
        self._silent_signal = -1
        self._periodic = array("i", [_HEAD, size - half, 0, 0, 0, 0, 0])
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
        _clear(self._told, len(self._told) >> 2)

    @property
    def count(self) -> int:
        return self._periodic[2] + self._changed[2]

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither samples nor marks."""
        return not (self._periodic[2] or self._changed[0])

    def take(self, due: int, tick: int) -> bool:
        """Codes the signals of the classes in the bit mask `due` at the grid's `tick`; False when the batch was full before the
        tick's end."""
        p, v = self._profile, self._values  # four at once would make a tuple
        state, changed = self._periodic, self._changed
        if v.judge:
            v.judge.limits()
        while True:
            state[5] = 0
            state[6] = min(_MARKS, (changed[1] - changed[0]) // _MARK_ROOM)
            end = _take(
                p.rows, p.row_count, p.classes, v.raw, self._previous, v.dirty, self._out, state, due, v.quality, self._told,
                self._marks,
            )  # fmt: skip
            self._mark(state[5], tick)
            if end != 2 or state[6] < _MARKS:
                return end == 1

    def events(self, events, i: int, n: int) -> int:
        """Codes `events` (index, tick, raw, quality) from the i-th on; returns where it stopped: at `n`, or where it was full."""
        return _events(events, i, n, self._profile.classes, self._told, self._previous, self._events, self._changed, 0)

    def silences(self, tick: int) -> bool:
        """Marks the signals of every row that has gone silent by `tick` as stale; False when the batch was full before that."""
        p, changed = self._profile, self._changed
        while True:
            if self._silent_signal < 0:
                self._silent = self._values.next_silent(self._silent, tick)
                if self._silent < 0:
                    self._silent = 0
                    return True
                self._silent_signal = p.first(self._silent)
            while self._silent_signal < p.first(self._silent) + p.count(self._silent):
                s = self._silent_signal
                if p.classes[s] & CLASS_MASK != UNSAMPLED and not (s and p.classes[s - 1] & LOW_HALF):
                    if changed[0] + _MARK_ROOM > changed[1]:
                        return False
                    self._marks[0] = s
                    self._marks[3] = _STALE
                    self._mark(1, tick)
                self._silent_signal += 1
            self._silent_signal = -1
            self._silent += 1

    def _mark(self, n, tick):
        """Codes the `n` marks noted."""
        for i in range(n):
            self._marks[4 * i + 1] = tick & 0x0FFFFFFF
        _events(self._marks, 0, n, self._profile.classes, self._told, self._previous, self._events, self._changed, 1)

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
