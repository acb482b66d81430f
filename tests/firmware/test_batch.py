"""outbox/batch: the bits of SPEC section 2, some counted by hand, the rest read back by `reading`, in parts at any point."""

# heap: 4m

import random
from array import array
from packed import Signal, load, wide
from pigtail.outbox.batch import batches, zigzag
from pigtail.signals.values import Values
from reading import Read

CLASS_0 = 1
LEAST, MOST = -(1 << 31), (1 << 31) - 1
VERSIONS = 0, 0


class Open:
    """The batches of a profile, opened at grid tick 3 (300 ms)."""

    def __init__(self, messages=None):
        first = Signal(0, 32, 100, signed=True), Signal(32, 8, 500)
        self.profile = load(messages or [(1, first), (2, [Signal(0, 32, 100), Signal(32, 8, 0)])])
        self.values = Values(self.profile)
        self.all = batches(self.profile, self.values)
        self.batch = self.all[0]
        self.k = 3
        for batch in self.all:
            batch.open(3, 300)

    def heard(self, *raw):
        for i, value in enumerate(raw):
            self.values.raw[i] = value
        for m in range(self.profile.row_count):
            self.values.dirty[m] = 255

    def due(self):
        due = 0
        for c, period in enumerate(self.profile.periods):
            due |= (1 if period and self.k * self.profile.grid_ms % period == 0 else 0) << c
        return due

    def take(self):
        """The next tick; whether all of it found room."""
        due = self.due()
        done = [batch.take(due, self.k * self.profile.grid_ms) for batch in self.all]
        self.values.taken(due)
        self.k += 1
        return all(done)

    def close(self):
        return Read(bytes(self.batch.close(1, 0, 0, VERSIONS)), self.profile)


def bits(text):
    """The bytes of a section, from its bits in readable groups."""
    text = text.replace(" ", "")
    text += "0" * (-len(text) % 8)
    return bytes([int(text[i : i + 8], 2) for i in range(0, len(text), 8)])


def test_empty_batch_is_a_header_and_an_empty_part():
    o = Open()
    assert o.batch.is_empty
    record = bytes(o.batch.close(1, 0, 0, VERSIONS))
    assert record == b"\2\x08" + o.profile.identity.to_bytes(4, "little") + b"\0\0\1\0\3\0\0" + bytes(8)


def test_header_carries_what_it_is_given():
    o = Open([(1, [Signal(0, 8, stream=3 << 2 | 1)])])
    record = bytes(o.batch.close(200, 2, 1 << 40 | 5, (300, 7)))
    assert record[:2] == b"\2\x36"
    assert record[6:] == b"\xac\x02\x07\xc8\x01\0\3\0" + b"\5\0\0\0\0\1" + b"\0" + bytes(8)


def test_first_values_are_gamma_codes_and_later_ones_residuals():
    o = Open()
    o.heard(5, 9, 6)
    o.take()
    o.heard(5, 9, 12)
    o.take()
    read = o.close()
    assert read.sections[0] == bits("0001011 00111 00 1111110 0")
    assert read.samples == [(0, 3, 5), (2, 3, 6), (0, 4, 5), (2, 4, 12)]


def test_presence_is_told_when_it_changes():
    o = Open([(1, [Signal(0, 8)]), (2, [Signal(0, 8)])])
    o.take()
    o.heard(1, 1)
    o.take()
    o.take()
    read = o.close()
    assert read.samples == [(0, 4, 1), (1, 4, 1)]
    assert read.sections[2] == bits("000 00 00 0 0 0")
    assert (read.ticks, read.rows) == (3, 0)


def test_tick_that_nothing_is_due_at_counts():
    o = Open([(1, [Signal(0, 8, 200), Signal(8, 8, 500)])])
    o.heard(1, 1)
    for _ in range(6):
        o.take()
    read = o.close()
    assert (read.samples, read.ticks) == ([(0, 4, 1), (1, 5, 1)], 6)


def test_value_is_fresh_once_for_each_period_class():
    o = Open()
    o.heard(1, 1, 1)
    o.take()
    assert bytes(o.values.dirty) == b"\xfe\xfe"
    o.take()
    o.take()
    assert bytes(o.values.dirty) == b"\xfc\xfc"
    assert o.close().samples == [(0, 3, 1), (2, 3, 1), (1, 5, 1)]


def test_each_stream_takes_what_is_its_own():
    low = [Signal(0, 8, stream=6), Signal(8, 8), Signal(16, 8, 0, stream=6)]
    o = Open([(1, low), (2, [Signal(0, 8)])])
    o.heard(1, 2, 3, 4)
    o.take()
    assert [batch.stream for batch in o.all] == [6, 2]
    events = array("i", [2, 310, 5, 0])
    assert (o.all[1].events(events, 0, 1), o.all[0].events(events, 0, 1)) == (0, 1)
    found = [Read(bytes(batch.close(1, 0, 0, VERSIONS)), o.profile) for batch in o.all]
    assert [[s for s, _, _ in one.samples] for one in found] == [[0], [1, 3]]
    assert [len(one.events) for one in found] == [1, 0]


def test_events_carry_index_time_and_difference():
    o = Open()
    events = array("i", [3, 310, 5, 0, 3, 250, 4, 0])
    assert o.batch.events(events, 0, 2) == 2
    read = o.close()
    assert read.sections[3] == bytes([12, 20, 10, 12, 119, 1])
    assert read.count == 2


def test_event_across_the_wrap_of_the_tick():
    o = Open()
    o.batch.open(3, 0x2FFFFFFE)  # ticks_ms has 30 bits, an event's tick 28
    o.batch.events(array("i", [3, 5, 1, 0]), 0, 1)
    o.batch.text(0x1FFFFFFF, "p", "v")
    assert o.close().sections[3] == bytes([12, 14, 2, 2, 11]) + b"\1p\1v"


def test_texts_and_occurrences():
    o = Open()
    assert o.batch.text(300, "Vehicle.Name", "Käfer")
    assert o.batch.occurrence(250, 0, 70000, "low battery")
    assert o.batch.occurrence(400, 1, 0x7E8, b"\x01\x23\x04", b"\x2f")
    assert o.batch.occurrence(401, 2, zigzag(-899999999), zigzag(1800000000), zigzag(-4), 30)
    read = o.close()
    assert [(ms, what) for _, ms, _, what in read.events] == [
        (300, ("Vehicle.Name", "Käfer")), (250, (70000, "low battery")), (400, (0x7E8, b"\x01\x23\x04", 0x2F)),
        (401, (-899999999, 1800000000, -4, 30)),
    ]  # fmt: skip
    assert read.count == 4


def test_full_event_section_refuses_and_writes_nothing():
    o = Open()
    event, taken = array("i", [3, 300, 0, 0]), 0
    while o.batch.events(event, 0, 1):
        taken += 1
    assert not o.batch.text(300, "Vehicle", "x" * 20)
    while o.batch.mark(3, 300, 1):
        taken += 1
    read = o.close()
    assert read.count < taken == len(read.events)


def test_parts_joined_are_the_batch_and_numbers_go_on_after_it():
    o = Open()
    random.seed(5)
    data = b""
    for k in range(60):
        o.heard(random.getrandbits(4), 0, random.getrandbits(4 * (k & 1)))
        o.take()
        o.batch.events(array("i", [3, 300 + k, k, 0]), 0, 1 - (k & 1))
        if k % 7 == 0 or k == 59:
            data += bytes(o.batch.part(1, 0, 0, VERSIONS))
            assert Read(data, o.profile).count == o.batch.count
    assert o.batch.parts == 10
    whole = o.close()
    parts = Read(data, o.profile)
    assert (parts.samples, parts.events, parts.sections) == (whole.samples, whole.events, whole.sections)
    assert (o.batch.sequence, whole.parts, parts.parts) == (0, 1, 10)
    o.batch.open(63, 6300)
    assert (o.batch.sequence, o.batch.count, o.batch.parts) == (whole.count, 0, 0)


def test_near_lossless_signal_stays_within_its_error():
    for most in 1, 2, 100, 32767:
        o = Open([(1, [Signal(0, 24, signed=True, most=most), Signal(24, 8)]), (2, [Signal(0, 8), Signal(8, 16, most=most)])])
        random.seed(most)
        told, raw = [], [0, 0, 0, 0]
        for _ in range(60):
            extreme = random.getrandbits(2) == 0
            raw = [(1 << 23) - 1 if extreme else random.getrandbits(24) - (1 << 23), 7, 3, random.getrandbits(16)]
            o.heard(*raw)
            o.take()
            told.extend(raw)
        samples = o.close().samples
        assert [s for s, _, _ in samples[:4]] == [0, 1, 2, 3]
        errors = [abs(samples[i][2] - told[i]) for i in range(len(told))]
        assert max(errors[1::4] + errors[2::4]) == 0 < max(errors[0::4] + errors[3::4]) <= most


SERIES = (
    lambda i, x: x,
    lambda i, x: x + 7,
    lambda i, x: x - 1,
    lambda i, x: x + random.getrandbits(3) - 3,
    lambda i, x: x + (1 if random.getrandbits(5) == 0 else 0),
    lambda i, x: random.getrandbits(10),
    lambda i, x: random.getrandbits(32) - (1 << 31),
    lambda i, x: random.choice((LEAST, MOST, 0, -1)),
    lambda i, x: LEAST if i & 1 else MOST,
    lambda i, x: x + random.getrandbits(28),
    lambda i, x: x if random.getrandbits(6) else random.getrandbits(32) - (1 << 31),
    lambda i, x: i * i,
)


class Walk:
    """Random series through messages of `sizes` signals in two streams; what went in is kept, what comes out is read and
    compared. Of 512 times, a message is silent `silence` times and a signal's value marked `marks` times."""

    def __init__(self, seed, sizes, periods=(100, 100, 200, 500), series=SERIES, silence=0, marks=1, streams=(2, 5)):
        random.seed(seed)
        messages = []
        for m, size in enumerate(sizes):
            signals = [
                Signal(0, 32, random.choice(periods), signed=random.getrandbits(1) == 1, stream=random.choice(streams))
                for _ in range(size)
            ]
            messages.append((m + 1, signals + wide(0, 64) if 2 in streams and random.getrandbits(1) else signals))
        self.o = Open(messages)
        p = self.o.profile
        self.series = [random.choice(series) for _ in range(p.signals)]
        self.raw = [random.choice((0, 1, -5, 1000, LEAST, MOST, random.getrandbits(31))) for _ in range(p.signals)]
        self.fresh = [0] * p.row_count
        self.wanted = [[] for _ in self.o.all]
        self.found = [0 for _ in self.o.all]
        self.parts = [b"" for _ in self.o.all]
        self.records = 0
        self.silence, self.marks = silence, marks

    def hear(self, i):
        o = self.o
        for m in range(o.profile.row_count):
            if random.getrandbits(9) < self.silence:
                continue
            o.values.dirty[m] = self.fresh[m] = 255
            for s in range(o.profile.first(m), o.profile.first(m) + o.profile.count(m)):
                self.raw[s] = (self.series[s](i, self.raw[s]) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
                o.values.raw[s] = self.raw[s]
                o.values.quality[s] = 1 if random.getrandbits(9) < self.marks else 0

    def want(self, k):
        p = self.o.profile
        for m in range(p.row_count):
            for s in range(p.first(m), p.first(m) + p.count(m)):
                c = p.classes[s]
                if self.o.due() & self.fresh[m] & 1 << (c & 15):
                    self.wanted[c >> 5].append((s, k, self.raw[s], self.o.values.quality[s]))
            self.fresh[m] &= ~self.o.due()

    def read(self, n):
        batch = self.o.all[n]
        whole = bytes(batch.close(1, 3, 5, VERSIONS))
        assert len(whole) <= 64 + 1400 + 16
        read = Read(whole, self.o.profile)
        if batch.parts:
            joined = Read(self.parts[n] + bytes(batch.part(1, 3, 5, VERSIONS)), self.o.profile)
            assert (joined.samples, joined.events, joined.sections) == (read.samples, read.events, read.sections)
        assert read.sequence == self.found[n]
        told, marks = {}, [(ms // 100, s, what) for s, ms, _, what in read.events]
        for i, (s, k, raw) in enumerate(read.samples):
            for mark in marks:
                if mark[:2] == (k, s):
                    told[s] = mark[2]
            assert self.wanted[n][i] == (s, k, raw, told.get(s, 0))
        self.found[n] += len(read.samples)
        self.wanted[n] = self.wanted[n][len(read.samples) :]
        self.parts[n] = b""
        self.records += 1

    def run(self, ticks):
        o = self.o
        for k in range(3, 3 + ticks):
            o.k = k
            self.hear(k)
            self.want(k)
            for n, batch in enumerate(o.all):
                while not batch.take(self.o.due(), 100 * k):
                    self.read(n)
                    batch.open(k, 100 * k)
                if random.getrandbits(4) == 0:
                    self.parts[n] += bytes(batch.part(1, 3, 5, VERSIONS))
            o.values.taken(self.o.due())
        for n in range(len(o.all)):
            self.read(n)
            assert not self.wanted[n]


def test_series_of_every_kind_come_back_from_any_split_and_part():
    for seed in range(50):
        random.seed(seed)
        sizes = [1 + random.getrandbits(3) for _ in range(3)]
        walk = Walk(seed, sizes, silence=64 * random.getrandbits(3))
        walk.run(random.choice((1, 20, 60, 200)))


def test_rows_of_the_costliest_values_split_cleanly():
    leap = (lambda i, x: x if random.getrandbits(3) else random.choice((LEAST, MOST, 0x55555555)),)
    for seed in range(4):
        walk = Walk(seed, (1, 8, 3, 40, 2), (100,), leap, marks=0, streams=(2,))
        walk.run(180)
        assert walk.records > 9


def test_absence_and_marks_at_random_split_cleanly():
    for seed in range(8):
        walk = Walk(seed, (2, 1, 1, 6, 1, 1, 3, 1, 12, 1, 2, 1), silence=256, marks=256, series=SERIES[:5])
        walk.run(120)
        assert walk.records > 8


def test_near_lossless_signal_that_stands_and_moves_again():
    for seed in range(20):
        random.seed(seed)
        most = random.choice((30, 300, 3000))
        o = Open([(1, [Signal(0, 24, most=most)])])
        raw, told = 1 << 23, []
        while len(told) < 3000 and o.take():
            told.append(raw)
            if len(told) % 100 > 60:
                raw += random.choice((most, 2 * most, 3 * most, -3 * most, 7 * most))
            o.heard(raw)
        samples = o.close().samples
        assert max([abs(samples[i][2] - told[i + 1]) for i in range(len(samples))]) <= most


def test_presence_that_does_not_fit_leaves_the_events_alone():
    o = Open([(1, [Signal(0, 8, 100 + 100 * i) for i in range(8)] + [Signal(0, 8, 0)])])
    while o.batch.events(array("i", [8, 300, 0, 0]), 0, 1) or o.batch.mark(8, 300, 1):
        pass
    before = o.close().sections[3]
    o.batch._w[22] = 1 << 22  # the state of the runs in P: codes become as long as can be
    assert not o.batch.take(255, 300)
    assert o.close().sections[3] == before


def test_batch_of_as_many_samples_or_ticks_as_a_reader_takes_is_full():
    o = Open([(1 + m, [Signal(0, 8, 10)]) for m in range(60)])
    while True:
        o.heard(*([5] * 60))
        if not o.take():
            break
    assert 0xC000 < o.batch.count <= 0xFFFF
    o.batch.open(0, 0)
    ticks = 0
    while o.batch.take(CLASS_0, 0):
        ticks += 1
    assert o.batch.is_empty and ticks * 60 < 1 << 20 <= (ticks + 1) * 60


class Leap:
    """A signal that stands and leaps at tick LAST, which costs 85 bits of Q; with `two`, another one has its first value in the
    same row then, 65 bits of V. `less`: bytes by which V and Q have less room than usual."""

    LAST = 256

    def __init__(self, seed, two, less=0):
        random.seed(seed)
        signals = Signal(0, 32, signed=True), Signal(32, 32, 100 * self.LAST)
        self.o = o = Open([(1, signals if two else signals[:1])])
        self.two, self.w = two, o.batch._w
        w = self.w
        w[10] -= less
        w[12] -= less
        self.wanted, raw = [], 0
        for k in range(3, self.LAST):
            if k < 10 or k < 50 and random.getrandbits(3) == 0:  # restless, then quiet: some of it in V, some in Q
                raw += 1
            if not self.put(k, raw):
                break
        self.room = w[10] - w[2]  # before the leap

    def put(self, k, *raw):
        self.o.k = k
        self.o.heard(*raw)
        if not self.o.take():
            return False
        self.wanted += [(s, k, value) for s, value in enumerate(raw)]
        return True

    def leap(self):
        """Whether there was room for it; what was taken is read in any case."""
        done = self.put(self.LAST, 0x55555555, -1) if self.two else self.put(self.LAST, 0x55555555)
        is_same = self.o.close().samples == self.wanted
        assert is_same
        return done


def test_row_of_the_costliest_values_takes_the_room_that_it_needs_and_not_a_byte_more():
    for two, need in (False, 10), (True, 19):
        seed = 0
        while (leap := Leap(seed, two)).w[9] != 7 or two and leap.w[1] != 7:
            seed += 1  # the bits that fill no byte yet are as many as can be
        for room in range(need + 12):
            one = Leap(seed, two, leap.room - room)
            assert one.leap() == (room >= need), (two, room)


def test_widest_row_of_marked_extremes_fits_an_empty_batch():
    for streams in 1, 8:
        rows = [(1 + m, [Signal(0, 32, stream=m) for _ in range(64)]) for m in range(streams)]
        o = Open(rows)
        for turn in range(3):
            o.heard(*([-1 if turn & 1 else 0x5555] * 64 * streams))
            for s in range(64 * streams):
                o.values.quality[s] = 1 + turn
            for batch in o.all:
                batch.open(3, 0x2FFFFFF)
                assert batch.take(CLASS_0, 0)
                read = Read(bytes(batch.close(1, 0, 0, VERSIONS)), o.profile)
                assert (read.count, len(read.events)) == (64, 64)
            o.values.taken(CLASS_0)
