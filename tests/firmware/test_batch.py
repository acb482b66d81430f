"""outbox/batch: the bytes of SPEC section 2 for what can be counted by hand; random walks are decoded in tests/differential."""

from array import array
from packed import Signal, load
from pigtail.outbox.batch import Batch
from pigtail.signals.values import Values

CLASS_0, CLASS_1 = 1, 2


class Open:
    """A batch opened at grid tick 3 (300 ms) over two messages: two signals of 100 and one of 500 ms, one on change."""

    def __init__(self, size=1024):
        first = Signal(0, 32, 100, signed=True), Signal(32, 8, 500)
        self.profile = load([(1, first), (2, [Signal(0, 32, 100), Signal(32, 8, 0)])])
        self.values = Values(self.profile)
        self.batch = Batch(self.profile, self.values, size)
        self.batch.open(3, 300)

    def heard(self, *raw):
        for i, value in enumerate(raw):
            self.values.raw[i] = value
        self.values.dirty[:] = b"\xff\xff"

    def close(self):
        """(head, periodic section, event section) of the record."""
        record = bytes(self.batch.close(1, 0, 0, (0, 0)))
        assert record[13] == 0  # reserved
        size = record[14]
        return record[:13], record[15 : 15 + size], record[15 + size :]


def test_empty_batch_is_a_header():
    o = Open()
    head, periodic, events = o.close()
    identity = o.profile.identity.to_bytes(4, "little")
    assert head == b"\1\0" + identity + b"\0\0\1\0\0\3\0"
    assert (periodic, events) == (b"", b"")


def test_header_carries_what_it_is_given():
    o = Open()
    record = bytes(o.batch.close(200, 2 | 1 << 2 | 3 << 4, 1 << 40 | 5, (300, 7)))
    assert record[:2] == b"\1\x36"
    assert record[6:] == b"\xac\x02\x07\xc8\x01\0\0\3\0" + b"\5\0\0\0\0\1" + b"\0\0"


def test_signals_are_coded_in_order_with_the_difference_to_the_last():
    o = Open()
    o.heard(5, 9, -1)
    assert o.batch.take(CLASS_0, 300)
    o.heard(4, 9, 63)
    assert o.batch.take(CLASS_0 | CLASS_1, 300)
    head, periodic, _ = o.close()
    assert periodic == bytes([11, 2, 2, 19, 129, 1])
    assert head[10] == 5


def test_signal_that_is_due_without_a_fresh_value_is_absent_and_no_sample():
    o = Open()
    assert o.batch.take(CLASS_0, 300)
    o.heard(1, 1, 1)
    assert o.batch.take(CLASS_0, 300)
    assert o.batch.take(CLASS_0, 300)
    assert o.batch.count == 2
    assert o.close()[1] == b"\0\0\3\3\0\0"


def test_value_is_fresh_once_for_each_period_class():
    o = Open()
    o.heard(1, 1, 1)
    assert o.batch.take(CLASS_0, 300)
    assert bytes(o.values.dirty) == b"\xfe\xfe"
    assert o.batch.take(CLASS_0 | CLASS_1, 300)
    assert bytes(o.values.dirty) == b"\xfc\xfc"
    assert o.close()[1] == b"\3\3\0\3\0"


def test_difference_that_wraps_at_32_bits():
    o = Open()
    for raw in (-0x80000000, 0), (0x7FFFFFFF, -0x80000000), (-1, 0x7FFFFFFF):
        o.heard(raw[0], 0, raw[1])
        assert o.batch.take(CLASS_0, 300)
    _, periodic, _ = o.close()
    assert periodic[:6] == b"\x80\x80\x80\x80\x10\1"  # zigzag + 1 is 2^32
    assert periodic[6:] == b"\2" + b"\x80\x80\x80\x80\x10" + b"\x80\x80\x80\x80\x10" + b"\2"


def test_events_carry_index_time_and_difference():
    o = Open()
    events = array("i", [3, 310, 5, 0, 3, 250, 4, 0])
    assert o.batch.events(events, 0, 2) == 2
    head, periodic, coded = o.close()
    assert coded == bytes([6, 20, 10, 6, 119, 1])
    assert head[10] == 2


def test_event_across_the_wrap_of_the_tick():
    o = Open()
    o.batch.open(3, 0x2FFFFFFE)  # ticks_ms has 30 bits, an event's tick 28
    o.batch.events(array("i", [3, 5, 1, 0]), 0, 1)
    o.batch.events(array("i", [3, 0x0FFFFFFF, 1, 0]), 0, 1)
    assert o.close()[2] == bytes([6, 14, 2, 6, 11, 0])


def test_full_batch_refuses_the_rest_of_the_tick_and_goes_on_with_it():
    o = Open(size=64 + 2 * 16)  # 16 bytes a section: the last five are for the longest varint
    taken = 0
    o.heard(1, 1, 1)
    while o.batch.take(CLASS_0, 300):
        o.heard(1, 1, 1)
        taken += 1
    assert taken == 6
    assert o.close()[1] == b"\3\3" + b"\1" * 10
    o.batch.open(9, 900)
    o.heard(7, 7, 7)
    while not o.batch.take(CLASS_0, 300):
        raise AssertionError("an empty batch is full")
    head, periodic, _ = o.close()
    assert head[8:13] == b"\1\x0c\2\x09\0"
    assert periodic == b"\x0f\x0f"


def test_tick_that_was_cut_names_the_signal_at_which_it_goes_on():
    o = Open(size=64 + 2 * 6)  # two varints of one byte, then less than five are left
    o.heard(1, 1, 1)
    assert not o.batch.take(CLASS_0 | CLASS_1, 300)
    head, periodic, _ = o.close()
    assert (head[10], head[12], periodic) == (2, 0, b"\3\3")
    o.batch.open(3, 300)
    assert o.batch.take(CLASS_0 | CLASS_1, 300)
    head, periodic, _ = o.close()
    assert (head[9], head[10], head[11], head[12], periodic) == (2, 1, 3, 2, b"\3")
    assert bytes(o.values.dirty) == b"\xfc\xfc"


def test_full_event_buffer_refuses_and_writes_nothing():
    o = Open(size=64 + 2 * 32)
    event = array("i", [3, 300, 0, 0])
    taken = 0
    while o.batch.events(event, 0, 1):
        taken += 1
    assert taken == 6  # three bytes each, room for the longest kept
    head, _, coded = o.close()
    assert (head[10], len(coded)) == (6, 18)


def test_both_sections_full_fit_the_record():
    o = Open(size=64 + 2 * 40)
    event = array("i", [3, -0x7000000, -0x80000000, 0])
    while o.batch.events(event, 0, 1):
        event[1], event[2] = -event[1], ~event[2]
    o.heard(-0x80000000, 0, -0x80000000)
    while o.batch.take(CLASS_0, 300):
        o.heard(~o.values.raw[0], 0, ~o.values.raw[2])
    record = bytes(o.batch.close(0xFFFFFFFF, 3, (1 << 48) - 1, (0xFFFF, 0xFFFF)))
    assert len(record) <= 64 + 2 * 40
    assert record[:2] == b"\1\3"


def test_sequence_goes_on_from_batch_to_batch():
    o = Open()
    for expected in 0, 2, 4:
        o.heard(1, 1, 1)
        o.batch.take(CLASS_0, 300)
        assert o.close()[0][9] == expected
        o.batch.open(4, 400)
