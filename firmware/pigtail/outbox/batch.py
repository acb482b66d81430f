"""The batch: what one stream has sampled, as the bytes that travel. Format: SPEC section 2; `codec` does what is done per sample.

All batches share what is kept per signal, since a signal belongs to one stream, and the buffer in which a record is made.
Nothing here allocates per sample. A batch that is full says so, and the same tick goes on in the next batch.
"""

import struct
from array import array
from micropython import const
from pigtail.outbox import codec
from pigtail.signals.profile import CLASS_MASK, LOW_HALF, ON_CHANGE, STREAM_SHIFT
from uctypes import addressof

_VERSION = const(2)
_SECTIONS = 0, 8, 16, 24  # V, Q, P, E: where each has its words, see `codec`
_E = const(24)
_BITS = const(0)
_BIT_COUNT = const(1)
_RUN = const(5)
_STATE = const(6)
_SAMPLES = const(5)
_MARKS = const(6)
_ROW = const(7)
_TICK = const(29)
_EVENTS = const(30)
_WORDS = const(58)
_HEAD = const(64)  # room for the header, which is written last, against the sections
_MOST_SYMBOLS = const(0xFFFFF)  # of presence
_LEAST_BITS = const(640)  # bytes of V and Q: the widest row, of 64 signals, must fit
_ROW_BITS = const(10)  # bytes of them for each signal of a narrower one
_MOST_BITS = const(960)
_OTHERS = const(256)  # bytes of P and E, and what a mark for each signal of a row takes
_EACH = const(1400)  # bytes of all sections of a batch, so that it fits the packet
_TAILS = const(16)  # bytes, more than those of bits left over
_ALL, _TIGHT = const(4096), const(1024)  # of all batches together, about
_MARK_ROOM = const(9)
_MARK = const(5)
_TICK_MASK = const(0x0FFFFFFF)


def batches(profile, values, is_tight=False) -> list:
    """An open batch for each stream of `profile`, in their order; smaller ones where room is tight."""
    shared = _Shared(profile, values, _TIGHT if is_tight else _ALL)
    return [Batch(shared, number) for number in range(len(profile.streams))]


def varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ~(value << 1)


class _Shared:
    """What all batches need; `at` names its buffers to `codec`, none of which is ever replaced."""

    START_ONLY = "addresses", "classes_of"

    def __init__(self, profile, values, room):
        self.profile = profile
        self.told = bytearray(profile.signals)  # the quality of each signal that its batch tells
        self.states = array("i", bytes(16 * profile.signals))  # x1, x2, mean and lead; mean is -1 before the first value
        self.plain = bytearray(profile.row_count)  # of each row, 1 when its signals all are of one stream and one period
        self.marks = array("i", bytes(4 * profile.widest))
        self.others = _OTHERS + _MARK * profile.widest
        least = max(_LEAST_BITS * room // _ALL, min(_LEAST_BITS, _ROW_BITS * profile.widest))
        self.bits = max(least, min(_MOST_BITS, min(_EACH, room // max(1, len(profile.streams))) - self.others))
        self.record = bytearray(_HEAD + self.bits + self.others + _TAILS)
        self.event = array("i", bytes(16))
        self._near = profile.quanta + b"\xff\xff\0\0"
        self._values = values
        self.at = self.addresses()

    def addresses(self):
        p, v = self.profile, self._values
        buffers = (
            p.rows, p.classes, v.raw, v.dirty, v.quality, self.told, self.states, self.plain, p.descriptors, self._near,
            self.marks,
        )  # fmt: skip
        return array("I", [p.row_count] + [addressof(buffer) for buffer in buffers])

    def classes_of(self, number):
        """For each row the period classes, as a bit mask, of its signals of stream `number`."""
        p, found = self.profile, bytearray(self.profile.row_count)
        for m in range(p.row_count):
            first, end = p.first(m), p.first(m) + p.count(m)
            for s in range(first, end):
                c = p.classes[s]
                if c >> STREAM_SHIFT == number and c & CLASS_MASK < ON_CHANGE:
                    found[m] |= 1 << (c & CLASS_MASK)
            c = p.classes[first] & ~LOW_HALF
            if c & CLASS_MASK < ON_CHANGE and all(p.classes[s] & ~LOW_HALF == c for s in range(first, end)):
                self.plain[m] = 1
        return found


class Batch:
    """The open batch of one stream; its samples are numbered from 0 in this boot."""

    START_ONLY = ("_address",)

    def __init__(self, shared, number: int):
        p = shared.profile
        self.stream = p.streams[number]
        self.sequence = 0
        self.start = 0  # the grid tick that it begins at
        self.parts = 0  # given out so far
        self.shared = shared
        self._number = number
        self._classes = shared.classes_of(number)  # of each row
        self._due = symbols = 0
        for mask in self._classes:
            self._due |= mask
            while mask:
                symbols += mask & 1
                mask >>= 1
        self._most_ticks = _MOST_SYMBOLS // max(1, symbols)
        self._bits = bytearray(shared.bits if self._due else _TAILS)
        self._others = bytearray(shared.others if self._due else shared.bits)
        self._presence = bytearray(p.row_count)
        self._w = array("i", bytes(4 * _WORDS))
        self._address()
        self._given = [0, 0, 0, 0]
        self.open(0, 0)

    def _address(self):
        """Tells `codec` where the buffers lie; none of them is ever replaced."""
        first, last = addressof(self._bits), addressof(self._others)
        places = first, first + len(self._bits) - 1, last + len(self._others) - 1, last
        for i, b in enumerate(_SECTIONS):
            struct.pack_into("<iI", self._w, 4 * b + 12, (1, -1, -1, 1)[i], places[i])
        struct.pack_into("<II", self._w, 128, addressof(self._presence), addressof(self._classes))

    def open(self, k: int, tick: int) -> None:
        """Starts anew at grid tick `k`, whose time is `tick` (as `ticks_ms`), and inside it where the batch before was full; the
        numbers go on after that batch's."""
        w = self._w
        self.sequence += self.count
        self.start = k
        self._first_row = w[_ROW]
        self._ticks = 0
        self.parts = 0
        for i in range(4):
            self._given[i] = 0
        codec.begin(w, self.shared.at, self._number, self.shared.profile.signals)
        w[_ROW] = self._first_row
        w[_TICK] = tick & _TICK_MASK

    @property
    def count(self) -> int:
        return self._w[_SAMPLES] + self._w[_EVENTS]

    @property
    def is_empty(self) -> bool:
        """Whether it holds neither samples nor marks."""
        return not (self._w[_SAMPLES] or codec.used(self._w, _E))

    def take(self, due: int, tick: int) -> bool:
        """Codes the signals of the classes in the bit mask `due` at the grid's `tick`; False when the batch was full before the
        tick's end."""
        w, due = self._w, due & self._due
        if self._ticks >= self._most_ticks:
            return False
        end = 2 if due else 1
        while end == 2:
            end = codec.take(0, 0, 0, w, self.shared.at, due, self._number)
            if w[_MARKS]:
                self._tell(tick)
        self._ticks += end
        return end == 1

    def _tell(self, tick):
        """Codes the marks that were noted with the samples."""
        for i in range(self._w[_MARKS]):
            noted = self.shared.marks[i]
            self._mark(noted & 0xFFFF, tick, noted >> 16)
        self._w[_MARKS] = 0

    def events(self, events, i: int, n: int) -> int:
        """Codes `events` (index, tick, raw, quality) from the i-th on; returns where it stopped: at `n`, at another stream's
        event, or where it was full."""
        return codec.events(self._w, self.shared.at, events, i, n, self._number, codec.room(self._w), 0)

    def mark(self, s: int, tick: int, quality: int) -> bool:
        """Marks signal `s`; False when the batch is full."""
        if codec.room(self._w) < _MARK_ROOM:
            return False
        self._mark(s, tick, quality)
        return True

    def _mark(self, s, tick, quality):
        event = self.shared.event
        event[0] = s
        event[1] = tick & _TICK_MASK
        event[3] = quality
        codec.events(self._w, self.shared.at, event, 0, 1, self._number, _MARK_ROOM, 1)

    def text(self, tick: int, path: str, value: str) -> bool:
        """Notes a text, such as the VIN, by its VSS path; False when there is no room."""
        return self._append(tick, 2, (path, value))

    def occurrence(self, tick: int, which: int, *fields) -> bool:
        """Notes an alert (0), a DTC (1) or a position (2) with its fields as in the SPEC, a number being a varint, bytes as they
        stand, a text behind its length; False when there is no room."""
        return self._append(tick, which << 2 | 3, fields)

    def _append(self, tick, head, fields):
        w, record = self._w, bytearray()
        varint(record, head)
        varint(record, zigzag((tick - w[_TICK] + 0x8000000 & _TICK_MASK) - 0x8000000))
        for field in fields:
            if isinstance(field, int):
                varint(record, field)
                continue
            if isinstance(field, str):
                field = field.encode()
                varint(record, len(field))
            record.extend(field)
        if len(record) > codec.room(w):
            return False
        codec.append(w, record, len(record))
        w[_TICK] = tick & _TICK_MASK
        w[_EVENTS] += 1
        return True

    def part(self, boot: int, clock: int, utc_of_boot_ms: int, versions):
        """What is new since the part before, behind the header when it is the first; the batch goes on. A view that is valid
        until any batch is used again. `clock`: its quality; `versions`: configuration, consent."""
        head = bytearray() if self.parts else self._header(boot, clock, utc_of_boot_ms, versions)
        self.parts += 1
        return self._record(head, self._given)

    def close(self, boot: int, clock: int, utc_of_boot_ms: int, versions):
        """The whole batch as one part, whatever was given out before; otherwise as `part`."""
        return self._record(self._header(boot, clock, utc_of_boot_ms, versions), [0, 0, 0, 0])

    def _header(self, boot, clock, utc_of_boot_ms, versions):
        head = bytearray(struct.pack("<BBI", _VERSION, clock | self.stream << 2, self.shared.profile.identity))
        for value in versions[0], versions[1], boot, self.sequence, self.start, self._first_row:
            varint(head, value)
        if clock:
            head.extend(utc_of_boot_ms.to_bytes(6, "little"))
        head.append(0)
        return head

    def _record(self, head, given):
        """Puts the sections, from the bytes `given` before on, behind `head`; then these are given."""
        w, record, end = self._w, self.shared.record, _HEAD
        for value in self.count, self._ticks, w[_ROW]:
            varint(head, value)
        provisional = 0
        for i, b in enumerate(_SECTIONS):
            size = codec.used(w, b) - given[i]
            codec.gather(w, b, given[i], size, record, end)
            given[i] += size
            tail = b"" if b == _E else _tail(w, b)
            record[end + size : end + size + len(tail)] = tail
            provisional |= len(tail) << (0, 1, 4, 0)[i]
            end += size + len(tail)
            varint(head, size + len(tail))
        head.append(provisional)
        record[_HEAD - len(head) : _HEAD] = head
        return memoryview(record)[_HEAD - len(head) : end]


def _tail(w, b):
    """The bits of a section that fill no byte yet, and its run, as they stand if the batch ends here."""
    n = w[b + _BIT_COUNT]
    bits = w[b + _BITS] & (1 << n) - 1
    run = w[b + _RUN] if b else 0
    if run:
        k, state = 0, w[b + _STATE] >> 4
        while state >> k:
            k += 1
        if run >> k < 16:
            code, size = (1 << (run >> k)) - 1 << k + 1 | run & (1 << k) - 1, (run >> k) + 1 + k
        else:
            code, size = 0xFFFF << 20 | run, 36
        bits, n = bits << size | code, n + size
    return (bits << (-n & 7)).to_bytes(n + 7 >> 3, "big")
