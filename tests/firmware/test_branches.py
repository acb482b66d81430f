"""signals/table: multiplexed messages row by row, and signals of more than 32 bits as two halves that stay together."""

# heap: 512k

import micropython
import struct
from array import array
from packed import Branch, Signal, load, pack, put, sealed, slots, told, wide
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile, ProfileError
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from reading import Read
from runner import raises

SELECTOR = Signal(0, 8, -1)
# 0x10: byte 0 selects; byte 1 selects in the first branch. Rows: 0 and 1 the messages, 2-5 the branches. Signals by row: 0 1,
# 2, 3 4, 5 6, 7, 8.
MESSAGES = [
    (
        0x10,
        [SELECTOR, Signal(56, 8)],
        [
            Branch(0, [(1, 1)], [Signal(8, 8, -1), Signal(16, 8)]),
            Branch(0, [(2, 3), (7, 9)], [Signal(16, 8, 0), Signal(24, 8, signed=True)]),
            Branch(0, [(2, 2)], [Signal(32, 8)]),
            Branch(0, [(5, 5)], [Signal(24, 8)], parent=0),
        ],
    ),
    (0x20, [Signal(0, 8)]),
]
ROWS_AT, ROW = 68, 12


def _table(messages=MESSAGES):
    profile = load(messages)
    values = Values(profile)
    return Table(profile, values), values


def _changes(table, *frames):
    return told(table, slots(*[(0x10, frame, tick) for tick, frame in enumerate(frames)]))


def _heard(values):
    return [m for m in range(len(values.ticks)) if values.ticks[m]]


def test_branch_is_decoded_when_its_selector_says_so():
    for selector, rows in (0, [0]), (1, [0, 2]), (2, [0, 3, 4]), (3, [0, 3]), (4, [0]), (7, [0, 3]), (9, [0, 3]), (10, [0]):
        table, values = _table()
        _changes(table, bytes([selector]) + b"\0\3\xff\5\0\0\7")
        assert (selector, _heard(values)) == (selector, rows)
        assert list(values.raw)[:3] == [selector, 7, 0]
        assert list(values.raw)[5:8] == ([3, -1, 5 if 4 in rows else 0] if 3 in rows else [0, 0, 0])


def test_branch_keeps_its_values_while_others_come():
    table, values = _table()
    _changes(table, b"\1\0\x0b\0\0\0\0\0", b"\2\0\1\2\3\0\0\0", b"\4" + b"\xff" * 7)
    assert list(values.raw) == [4, 255, 0, 0, 0x0B, 1, 2, 3, 0]
    assert values.dirty[2] == values.dirty[3] == values.dirty[4] == 255


def test_nested_branch_needs_its_parent_in_the_same_frame():
    table, values = _table()
    _changes(table, b"\1\5\0\x0c\0\0\0\0")
    assert _heard(values) == [0, 2, 5]
    table, values = _table()
    _changes(table, b"\1\4\0\0\0\0\0\0", b"\2\5\0\0\0\0\0\0")  # 5 is not read as a selector when byte 0 is 2
    assert _heard(values) == [0, 2, 3, 4]
    _changes(table, b"\1\5\0\0\0\0\0\0", b"\2\0\0\0\0\0\0\0")
    at = values.ticks[5]
    _changes(table, b"\2\5\0\0\0\0\0\0")
    assert values.ticks[5] == at


def test_changes_of_a_branch_are_told_once():
    table, _ = _table()
    found = _changes(table, b"\2\0\1\0\0\0\0\0", b"\1\0\2\0\0\0\0\0", b"\2\0\1\0\0\0\0\0", b"\3\0\4\0\0\0\0\0")
    assert found == [(5, 0, 1), (5, 3, 4)]


def test_frame_too_short_for_a_branch_is_counted_and_the_rest_taken():
    short = [(0x10, [SELECTOR], [Branch(0, [(1, 1)], [Signal(8, 16)]), Branch(0, [(0, 9)], [Signal(8, 8)])])]
    table, values = _table(short)
    _changes(table, b"\1\2")
    assert (table.short, _heard(values), list(values.raw)) == (1, [0, 2], [1, 0, 2])


def test_selector_of_32_bits_is_unsigned():
    table, values = _table([(0x10, [Signal(0, 32, -1)], [Branch(0, [(0x80000000, 0xFFFFFFFF)], [Signal(32, 8)])])])
    for word, heard in (0x7FFFFFFF, 0), (0x80000000, 1), (0xFFFFFFFF, 1), (0, 0):
        values.ticks[1] = 0
        _changes(table, struct.pack("<II", word, 1))
        assert bool(values.ticks[1]) == heard


def test_branches_allocate_nothing():
    table, _ = _table()
    data = slots(*[(0x10, bytes([k, 5, k, 4, 5, 6, 7, 8]), k) for k in range(10)])

    def run():
        n = i = 0
        aside = table.decode(data, 10)
        while i < aside:
            i = table.aside.follow(data, i, aside)
            n += table.aside.changed
        return n

    run()
    micropython.heap_lock()
    try:
        n = run()
    finally:
        micropython.heap_unlock()
    assert n == 5


def test_selector_and_what_is_not_due_are_not_sampled():
    profile = load(MESSAGES)
    values = Values(profile)
    (batch,) = batches(profile, values)
    batch.open(1, 100)
    values.dirty[0] = values.dirty[2] = 255
    values.raw[1], values.raw[4] = 5, 6
    assert batch.take(1, 100)
    assert Read(bytes(batch.close(1, 0, 0, (0, 0))), profile).samples == [(1, 1, 5), (4, 1, 6)]


def test_damaged_branches_are_refused():
    good = bytearray(pack(MESSAGES)[:-4])
    branch = ROWS_AT + 2 * ROW
    for at, form, value in (
        (ROWS_AT + 10, "<H", 1), (ROWS_AT + 10, "<H", 3), (ROWS_AT + 10, "<H", 99), (branch, "<H", 9), (branch + 2, "<H", 6),
        (branch + 10, "<H", 1), (branch + 10, "<H", 2), (branch + ROW + 10, "<H", 4), (branch + 9, "<B", 16),
        (branch + 3 * ROW + 9, "<B", 0), (ROWS_AT + 9, "<B", 2), (ROWS_AT + ROW + 9, "<B", 6),
    ):  # fmt: skip
        bad = bytearray(good)
        struct.pack_into(form, bad, at, value)
        put("/bad", sealed(bad))
        with raises(ProfileError):
            Profile("/bad")


WIDE = [(0x10, [Signal(0, 8)] + wide(8, 56, 100, signed=True)), (0x20, wide(0, 64, 0, big=True) + [Signal(0, 1, 0)])]


def test_halves_of_a_wide_signal():
    table, values = _table(WIDE)
    table.decode(slots((0x10, b"\1\2\3\4\5\6\7\xff", 1)), 1)
    assert list(values.raw)[:3] == [1, 0x05040302, 0xFF0706 - 0x1000000]


def test_both_halves_are_told_when_either_changed():
    table, values = _table(WIDE)
    found = []
    for data in b"\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\1", b"\2\0\0\0\0\0\0\1", b"\2\0\0\0\0\0\0\1":
        found.append(told(table, slots((0x20, data, 1))))
    assert found[0] == [(3, 1, 0), (4, 1, 0), (5, 1, 0)]
    assert found[1] == [(3, 1, 1), (4, 1, 0)]
    assert found[2] == [(3, 1, 1), (4, 1, 0x02000000)]
    assert found[3] == []


def test_halves_are_never_parted_by_a_full_batch():
    profile = load(WIDE)
    values, records = Values(profile), []

    def deliver(batch):
        record = Read(bytes(batch.close(1, 0, 0, (0, 0))), profile)
        records.append(record.count)
        assert [s for s, _, _ in record.samples] == [0, 1, 2] * (len(record.samples) // 3), "a batch begins with a high half"
        assert [e[0] for e in record.events] == [3, 4] * (len(record.events) // 2), "an event without its other half"

    sampler = Sampler(profile, values, batches(profile, values), lambda ms: ms, 600000, deliver)
    sampler.start(0)
    for k in range(1, 1000):
        for i in range(6):
            values.raw[i] = k * 0x0FEDCBA * (1 - k % 2 * 2)
        values.dirty[0] = 255
        sampler.changes(array("i", [3, 100 * k, k, 0, 4, 100 * k, -k, 0]), 2)
        sampler.run(100 * k)
    assert len(records) > 10
