"""signals/quality, and the marks that the batch makes of it: flagged is what is wrong and nothing else; no value is changed."""

# heap: 512k

import micropython
import struct
from packed import Branch, Signal, load, pack, put, sealed, slots, wide
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile, ProfileError
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from reading import Read
from runner import raises

NONE = 0xFFFF
LEAST, MOST = -(1 << 31), (1 << 31) - 1
OK, RANGE, STALE, COUNTER, CHECKSUM = range(5)


class Path:
    """From slots to records, as app wires it; what a reader finds is in `told`."""

    def __init__(self, messages, limits=(), rules=()):
        self.profile = load(messages, b"", limits, rules)
        self.values = Values(self.profile)
        self.table = Table(self.profile, self.values)
        self.batch = batches(self.profile, self.values)[0]
        self.records = []
        self.sampler = Sampler(self.profile, self.values, [self.batch], lambda ms: ms & 0x3FFFFFFF, 60000, self._deliver)
        self.sampler.start(0)

    def _deliver(self, batch):
        self.records.append(Read(bytes(batch.close(1, 0, 0, (0, 0))), self.profile))

    def hear(self, *frames):
        data = slots(*frames)
        self.take(data)

    def take(self, data):
        i, aside = 0, self.table.decode(data, len(data) // 16)
        while i < aside:
            i = self.table.aside.follow(data, i, aside)
            self.sampler.changes(self.table.aside.events, self.table.aside.changed)

    def marks(self):
        """(index, ms, kind, what) of every mark and event, record by record."""
        self._deliver(self.batch)
        self.batch.open(0, 0)
        return [record.events for record in self.records]


def _qualities(path):
    return [(s, ms, what) for s, ms, kind, what in path.marks()[-1] if kind == "mark"]


RANGED = [(0x10, [Signal(0, 8), Signal(8, 8, signed=True), Signal(16, 32)])]


def _key(unsigned):
    return unsigned - (1 << 31)


def test_peers_value_out_of_its_range_is_flagged_not_clamped_before_its_sample_and_again_when_it_returns():
    path = Path(RANGED, limits=[(0, 1, _key(10), _key(20), 0)])
    for k, value in enumerate((9, 10, 15, 20, 21, 255, 20)):
        path.hear((0x10, bytes([value, 0, 0, 0, 0, 0]), 100 * k + 50))
        path.sampler.run(100 * k + 100)
        assert path.values.raw[0] == value
    assert _qualities(path) == [(0, 100, RANGE), (0, 200, OK), (0, 500, RANGE), (0, 700, OK)]
    assert [raw for signal, _, raw in path.records[-1].samples if signal == 0] == [9, 10, 15, 20, 21, 255, 20]


def test_ranges_of_signed_unsigned_and_floating_values():
    for kind, low, high, good, bad in (
        (0, -5, 5, (-5, 0, 5), (-6, 6, LEAST, MOST)),
        (0, LEAST, -5, (LEAST, -5), (-4, 0, MOST)),
        (1, _key(5), _key(0xFFFFFFF0), (5, MOST, LEAST, -16), (4, 0, -15, -1)),
        (2, _float_key(-1.5), _float_key(2.0), (-1.5, -0.0, 0.0, 2.0), (-1.6, 2.1, float("inf"), float("-inf"), float("nan"))),
    ):
        path = Path([(0x10, [Signal(0, 32, signed=True)])], limits=[(0, kind, low, high, 0)])
        for values, quality in (good, OK), (bad, RANGE):
            for value in values:
                path.values.raw[0] = _float_bits(value) if kind == 2 else value
                path.values.judge.limits()
                assert path.values.quality[0] == quality, (kind, value)


def _float_bits(value):
    return struct.unpack("<i", struct.pack("<f", value))[0]


def _float_key(value):
    return _float_bits(value) ^ (0x7FFFFFFF if _float_bits(value) < 0 else 0)


def test_every_batch_begins_as_valid_so_what_is_still_bad_is_marked_again():
    path = Path(RANGED, limits=[(0, 1, _key(0), _key(1), 0)])
    for k in range(4):
        path.hear((0x10, b"\x09\0\0\0\0\0", 100 * k))
        path.sampler.run(100 * k + 100)
        if k % 2:
            path.sampler._close(path.batch)
    found = [[(s, ms, what) for s, ms, kind, what in record] for record in path.marks()[:2]]
    assert found == [[(0, 100, RANGE)], [(0, 300, RANGE)]]


def test_bad_value_that_is_not_sampled_is_not_marked():
    path = Path(RANGED, limits=[(0, 1, _key(5), _key(6), 0)])  # 0, not yet heard, is out of range
    path.sampler.run(1000)
    assert _qualities(path) == []


def test_event_is_marked_at_its_own_time_and_before_it():
    path = Path([(0x10, [Signal(0, 8, 0)])], limits=[(0, 1, _key(0), _key(5), 0)])
    for tick, value in (10, 5), (20, 6), (30, 7), (40, 2):
        path.hear((0x10, bytes([value]), tick))
    events = path.marks()[-1]
    assert events == [
        (0, 10, "sample", 5), (0, 20, "mark", RANGE), (0, 20, "sample", 6), (0, 30, "sample", 7), (0, 40, "mark", OK),
        (0, 40, "sample", 2),
    ]  # fmt: skip


COUNTED = [(0x10, [Signal(0, 4, -1), Signal(8, 8), Signal(16, 8, 0)])]


def test_counter_that_stands_or_leaps_is_flagged_for_its_frame_only():
    path = Path(COUNTED, rules=[(0, 0, 1, 15, NONE, 0)])
    found = []
    for tick, count in enumerate((7, 8, 9, 9, 10, 12, 13, 14, 0, 1, 15, 0, 2, 1)):
        path.hear((0x10, bytes([count, 0, 0]), tick))
        found.append(path.values.quality[1])
    bad = COUNTER
    assert found == [0, 0, 0, bad, 0, bad, 0, 0, 0, 0, bad, bad, bad, bad]
    assert path.values.quality[2] == bad


def test_step_and_modulo_of_a_counter():
    path = Path([(0x10, [Signal(0, 8, -1), Signal(16, 8)])], rules=[(0, 0, 3, 256, NONE, 0)])
    for count in (250, 253, 0, 3):
        path.hear((0x10, bytes([count, 0, 0]), 1))
        assert path.values.quality[1] == OK
    path.hear((0x10, b"\4\0\0", 1))
    assert path.values.quality[1] == COUNTER


def test_signed_counter_counts_by_its_bits():
    path = Path([(0x10, [Signal(0, 4, -1, signed=True), Signal(8, 8)])], rules=[(0, 0, 1, 16, NONE, 0)])
    for count in range(40):
        path.hear((0x10, bytes([count % 16, 0]), 1))
        assert path.values.quality[1] == OK


FRAME = b"\x12\x34\x56\x78\x9a\xbc\xde\0"
IDENT = 0x2B4
# rule, the checksum's bits (start, length), its value worked out by hand
RULES = (
    (1, (56, 8), 0x12 ^ 0x34 ^ 0x56 ^ 0x78 ^ 0x9A ^ 0xBC ^ 0xDE),
    (2, (56, 8), 0x12 + 0x34 + 0x56 + 0x78 + 0x9A + 0xBC + 0xDE & 255),
    (3, (56, 8), 255 - (0x12 + 0x34 + 0x56 + 0x78 + 0x9A + 0xBC + 0xDE + 2 + 0xB4 & 255)),
    (5, (56, 8), 0x12 + 0x34 + 0x56 + 0x78 + 0x9A + 0xBC + 0xDE + 2 + 0xB4 + 8 & 255),
    (6, (56, 4), 8 - (3 + 7 + 11 + 15 + 19 + 23 + 27 + 2 + 11 + 4) & 15),
    (7, (60, 4), -(3 + 7 + 11 + 15 + 19 + 23 + 27) & 15),
)


def test_checksums_by_every_rule():
    for rule, (start, length), value in RULES:
        path = Path([(IDENT, [Signal(start, length, -1), Signal(0, 8)])], rules=[(0, NONE, 0, 0, 0, rule)])
        for wrong in range(1 << length):
            frame = FRAME[:7] + bytes([(value ^ wrong) << start % 8])
            path.hear((IDENT, frame, 1))
            assert (rule, wrong, path.values.quality[1]) == (rule, wrong, CHECKSUM if wrong else OK)


def test_crc8_of_the_standard_and_hyundais():
    data = b"1234567"
    for rule, crc in (4, _crc(data, 0xFF) ^ 0xFF), (8, _crc(data, 0xFD) ^ 0xDF):
        for at in 0, 3, 7:
            signals = [Signal(8 * at, 8, -1), Signal(8 if at == 0 else 0, 8)]
            path = Path([(IDENT, signals)], rules=[(0, NONE, 0, 0, 0, rule)])
            path.hear((IDENT, data[:at] + bytes([crc]) + data[at:], 1))
            assert path.values.quality[1] == OK
            path.hear((IDENT, data[:at] + bytes([crc ^ 1]) + data[at:], 1))
            assert path.values.quality[1] == CHECKSUM


def _crc(data, crc):
    for byte in data:
        for bit in range(7, -1, -1):
            crc = (crc << 1) ^ (0x1D if (crc >> 7 ^ byte >> bit) & 1 else 0) & 0xFF
            crc &= 0xFF
    return crc


def test_bad_checksum_marks_the_branches_of_its_frame_too_and_no_others():
    selector = Signal(0, 4, -1)
    branches = [Branch(0, [(1, 1)], [Signal(8, 8)]), Branch(0, [(2, 2)], [Signal(8, 8)])]
    path = Path([(0x10, [selector, Signal(16, 8, -1)], branches)], rules=[(0, NONE, 0, 0, 1, 1)])
    path.hear((0x10, b"\1\5\4", 1), (0x10, b"\2\5\6", 2))
    assert list(path.values.quality) == [CHECKSUM, CHECKSUM, OK, CHECKSUM]
    assert list(path.values.raw)[2:] == [5, 5]


def test_bad_frame_hides_no_range_and_range_is_judged_anew_after_it():
    limits, rules = [(1, 1, _key(0), _key(9), 0)], [(0, NONE, 0, 0, 0, 1)]
    path = Path([(0x10, [Signal(0, 8, -1), Signal(8, 8)])], limits, rules)
    frames = (b"\x09\x09", OK), (b"\x00\x09", CHECKSUM), (b"\x0a\x0a", RANGE), (b"\x00\x0a", CHECKSUM), (b"\x01\x01", OK)
    for frame, quality in frames:
        path.hear((0x10, frame, 1))
        path.values.judge.limits()
        assert path.values.quality[1] == quality


def test_silence_of_three_periods_and_a_second_is_marked_once():
    mixed = [Signal(0, 8, 500), Signal(8, 8, -1), Signal(16, 8, 0)]
    path = Path([(0x10, mixed), (0x20, [Signal(0, 8, 100)]), (0x30, [Signal(0, 8, 0)])])
    path.hear((0x10, b"\1\1\1", 40), (0x20, b"\1", 40), (0x30, b"\1", 40))
    path.sampler.run(5000)
    assert _qualities(path) == [(3, 1100, STALE), (0, 1600, STALE), (2, 1600, STALE)]


def test_row_without_a_period_is_stale_after_a_day_before_its_tick_comes_round():
    day = 86_400_000
    path = Path([(0x30, [Signal(0, 8, 0)])])
    path.hear((0x30, b"\1", 40))
    path.sampler.start(day - 1000)
    path.sampler.run(day)
    assert not [event for record in path.marks() for event in record if event[2] == "mark"]
    path.sampler.run(day + 1000)
    assert [event[3] for record in path.marks() for event in record if event[2] == "mark"] == [STALE]


def test_row_never_heard_is_not_stale():
    path = Path(RANGED)
    path.sampler.run(10000)
    assert path.records == []
    assert _qualities(path) == []


def test_row_heard_again_is_valid_again_and_told_anew_on_change():
    path = Path([(0x10, [Signal(0, 8, 100), Signal(8, 8, 0)])])
    path.hear((0x10, b"\1\1", 50))
    path.sampler.run(3000)
    path.hear((0x10, b"\1\1", 3050))
    path.sampler.run(3100)
    assert path.marks()[-1] == [
        (1, 50, "sample", 1), (0, 1100, "mark", STALE), (1, 1100, "mark", STALE), (1, 3050, "mark", OK), (1, 3050, "sample", 1),
        (0, 3100, "mark", OK),
    ]  # fmt: skip


def test_silence_across_the_wrap_of_the_tick():
    path = Path([(0x10, [Signal(0, 8, 100)])])
    path.hear((0x10, b"\1", 0x0FFFFFF0))
    assert path.values.next_silent(0, 0x10000000 + 900) == -1
    assert path.values.next_silent(0, 0x10000000 + 1100) == 0
    assert path.values.next_silent(0, 0x10000000 + 1100) == -1


def test_counter_starts_anew_after_a_silence():
    path = Path(COUNTED, rules=[(0, 0, 1, 16, NONE, 0)])
    path.hear((0x10, b"\1\0\0", 50))
    path.sampler.run(3000)
    path.hear((0x10, b"\7\0\0", 3050))
    assert path.values.quality[1] == OK


def test_more_marks_than_a_batch_has_room_for_make_more_batches_and_none_is_lost():
    messages = [(0x10 + m, [Signal(8 * i, 8) for i in range(8)]) for m in range(8)]
    path = Path(messages, limits=[(i, 1, _key(0), _key(1), 0) for i in range(64)])
    for k in range(6):
        path.hear(*[(0x10 + m, b"\0\2"[1 - (k & 1) :][:1] * 8, 100 * k + 50) for m in range(8)])
        path.sampler.run(100 * k + 100)
    records = path.marks()
    marked = [[s for s, _, _, what in record if what == RANGE] for record in records]
    for record in marked:
        assert len(record) == len(set(record)), "marked twice in a batch"
    everything = [s for record in marked for s in record]
    assert all([everything.count(s) >= 1 for s in range(64)])
    assert len(path.records) > 3
    path.sampler.run(5000)
    stale = [s for record in path.marks()[len(records) :] for s, _, kind, what in record if kind == "mark" and what == STALE]
    assert sorted(stale) == list(range(64))


def test_deadband_tells_what_differs_by_more_from_what_was_told():
    path = Path([(0x10, [Signal(0, 8, 0), Signal(8, 8, 0)])], limits=[(0, 1, LEAST, MOST, 3)])
    for tick, value in enumerate((10, 12, 13, 14, 13, 11, 10, 250, 253, 254)):
        path.hear((0x10, bytes([value, tick]), tick))
    told = [(tick, what) for s, tick, _, what in path.marks()[-1] if s == 0]
    assert told == [(0, 10), (3, 14), (6, 10), (7, 250), (9, 254)]


def test_deadband_of_32_bits_signed_and_unsigned():
    for kind, raws, told in (
        (0, (LEAST, LEAST + 9, LEAST + 11, MOST), 3), (1, (0, 9, 11, -1, -12, LEAST, MOST), 5), (0, (-5, 5, 6), 2),
    ):  # fmt: skip
        path = Path([(0x10, [Signal(0, 32, 0, signed=True)])], limits=[(0, kind, LEAST, MOST, 10)])
        for tick, raw in enumerate(raws):
            path.hear((0x10, struct.pack("<i", raw), tick))
        assert len(path.marks()[-1]) == told


def test_wide_signal_is_marked_at_its_low_half():
    path = Path([(0x10, [Signal(0, 8, -1)] + wide(8, 40))], rules=[(0, 0, 1, 256, NONE, 0)])
    for k in range(2):
        path.hear((0x10, b"\1\1\1\1\1\1", 50))
        path.sampler.run(100 * k + 100)
    assert _qualities(path) == [(1, 200, COUNTER)]


def test_judging_allocates_nothing():
    path = Path(
        [(0x10, [Signal(0, 8, -1), Signal(8, 4, -1), Signal(16, 8, 0), Signal(24, 8)])],
        limits=[(2, 1, _key(0), _key(9), 1), (3, 1, _key(0), _key(9), 0)],
        rules=[(0, 1, 1, 16, 0, 3)],
    )
    data = slots(*[(0x10, bytes([k, k, k * 7, k * 3]), k) for k in range(16)])
    now = [0]

    def turn():
        path.take(data)
        now[0] += 100
        path.sampler.run(now[0])

    turn()
    micropython.heap_lock()
    try:
        turn()
    finally:
        micropython.heap_unlock()


def test_damaged_limits_and_rules_are_refused():
    good = pack(COUNTED, b"", [(1, 1, 0, 1, 0)], [(0, 0, 1, 16, 1, 1)])
    limit = len(good) - 4 - 12 - 16
    put("/good", good)
    Profile("/good")
    for at, form, value in (
        (limit, "<H", 3), (limit + 16, "<H", 1), (limit + 18, "<H", 3), (limit + 24, "<H", 9), (limit + 22, "<H", 1),
        (limit + 22, "<H", 257), (limit + 26, "<B", 0),
        (limit + 26, "<B", 9),
    ):  # fmt: skip
        bad = bytearray(good[:-4])
        struct.pack_into(form, bad, at, value)
        put("/bad", sealed(bad))
        with raises(ProfileError):
            Profile("/bad")
