"""signals/table: frames to raw values, unknown and short frames counted, every change told once and in order.

That the bits are right is shown on the host against cantools, in tests/differential.
"""

from packed import EXTENDED, Signal, load, slots, told
from pigtail.signals.table import Table
from pigtail.signals.values import Values

MIXED = [Signal(0, 8), Signal(8, 8, 0), Signal(16, 8, 0)]  # one sampled, two on change


def _table(messages):
    profile = load(messages)
    values = Values(profile)
    return Table(profile, values), values


def _changes(table, frames):
    return told(table, slots(*frames))


def test_frame_becomes_values():
    table, values = _table([(0x10, [Signal(0, 8), Signal(8, 16, signed=True)]), (0x10 | EXTENDED, [Signal(0, 4)])])
    assert table.decode(slots((0x10, b"\x05\xfe\xff", 7), (0x10 | EXTENDED, b"\xf3", 8)), 2) == 0
    assert list(values.raw) == [5, -2, 3]
    assert list(values.ticks) == [3 << 28 | 7, 1 << 28 | 8]
    assert bytes(values.dirty) == b"\xff\xff"
    assert (table.unknown, table.short) == (0, 0)


def test_unknown_frames_are_counted_and_change_nothing():
    table, values = _table([(0x10, [Signal(0, 8)]), (0x10 | EXTENDED, [Signal(0, 8)])])
    frames = (0x11, b"\xff", 1), (0x7FF, b"\xff", 1), (0x11 | EXTENDED, b"\xff", 1), (0x1FFFFFFF | EXTENDED, b"\xff", 1)
    table.decode(slots(*frames), 4)
    assert (table.unknown, table.short) == (4, 0)
    assert list(values.raw) == [0, 0]
    assert bytes(values.dirty) == b"\0\0"


def test_profile_without_29_bit_ids_knows_none():
    table, values = _table([(0, [Signal(0, 8)])])
    table.decode(slots((EXTENDED, b"\xff", 1)), 1)
    assert (table.unknown, values.raw[0]) == (1, 0)


def test_29_bit_ids_with_the_same_hash_are_told_apart():
    idents = [EXTENDED | i << 18 | 5 for i in range(40)]  # the hash takes bits 0 to 5, 7 to 12 and 15 to 20
    table, values = _table([(ident, [Signal(0, 8)]) for ident in idents])
    for i, ident in enumerate(idents):
        table.decode(slots((ident, bytes([i + 1]), 1)), 1)
        table.decode(slots((ident | 1 << 28, b"\xff", 1)), 1)
    assert list(values.raw) == list(range(1, 41))
    assert table.unknown == 40


def test_every_11_bit_id_finds_its_own_message():
    known = [0, 1, 0x3FF, 0x400, 0x7FF]
    table, values = _table([(ident, [Signal(0, 8)]) for ident in known])
    for ident in range(0x800):
        table.decode(slots((ident, b"\x01", 1)), 1)
    assert table.unknown == 0x800 - len(known)
    assert list(values.raw) == [1] * 5


def test_frame_too_short_for_its_message_is_counted_and_changes_nothing():
    table, values = _table([(0x10, [Signal(0, 8), Signal(8, 8)]), (0x20, [Signal(0, 8, 0), Signal(24, 8, 0)])])
    for data in b"", b"\xff":
        table.decode(slots((0x10, data, 1)), 1)
    assert _changes(table, [(0x20, b"\1\2\3", 1)]) == []
    assert table.short == 3
    assert list(values.raw) == [0] * 4
    assert list(values.ticks) == [0, 0]


def test_longer_frame_than_the_message_needs_is_taken():
    table, values = _table([(0x10, [Signal(0, 8)])])
    table.decode(slots((0x10, b"\x09" + b"\xff" * 7, 1)), 1)
    assert values.raw[0] == 9


def test_last_of_several_frames_of_one_drain_is_the_value():
    table, values = _table([(0x10, [Signal(0, 8)])])
    table.decode(slots(*[(0x10, bytes([i]), i) for i in range(64)]), 64)
    assert values.raw[0] == 63
    assert values.ticks[0] == 63 | 1 << 28


def test_first_value_is_a_change_even_when_it_is_zero():
    table, _ = _table([(0x10, MIXED)])
    assert _changes(table, [(0x10, b"\0\0\0", 5)]) == [(1, 5, 0), (2, 5, 0)]
    assert _changes(table, [(0x10, b"\0\0\0", 6)]) == []


def test_every_change_in_one_drain_is_told_once_and_in_order():
    table, values = _table([(0x10, MIXED), (0x20, [Signal(0, 8, 0)])])
    frames = [
        (0x10, b"\1\1\1", 1), (0x20, b"\1", 2), (0x10, b"\2\1\1", 3), (0x10, b"\3\2\1", 4), (0x20, b"\1", 5),
        (0x10, b"\4\1\3", 6), (0x20, b"\2", 7),
    ]  # fmt: skip
    told = [(1, 1, 1), (2, 1, 1), (3, 2, 1), (1, 4, 2), (1, 6, 1), (2, 6, 3), (3, 7, 2)]
    assert _changes(table, frames) == told
    assert list(values.raw) == [4, 1, 3, 2]


def test_change_back_within_one_drain_is_two_changes():
    table, _ = _table([(0x10, [Signal(0, 1, 0)])])
    _changes(table, [(0x10, b"\0", 1)])
    assert _changes(table, [(0x10, b"\1", 2), (0x10, b"\0", 3)]) == [(0, 2, 1), (0, 3, 0)]


def test_sampled_signals_beside_changing_ones_are_fresh():
    table, values = _table([(0x10, MIXED)])
    _changes(table, [(0x10, b"\7\0\0", 9)])
    assert values.raw[0] == 7
    assert values.dirty[0] == 255


def test_full_drain_of_changes_is_told():
    table, _ = _table([(0x10, [Signal(0, 8, 0)])])
    told = _changes(table, [(0x10, bytes([i]), i) for i in range(64)])
    assert told == [(0, i, i) for i in range(64)]


def test_nothing_is_written_beside_the_buffers():
    from array import array

    table, values = _table([(0x10, MIXED), (0x20, [Signal(32, 32, big=True)]), (0x30, [Signal(32, 32, 0, big=True)])])
    guards = []
    for owner, name, form in (
        (values, "raw", "i"), (values, "ticks", "I"), (values, "dirty", "B"), (values, "quality", "B"), (table, "_marked", "H"),
        (table, "_counts", "i"), (table, "_swapped", "B"), (table.aside, "_verdicts", "B"), (table.aside, "events", "i"),
    ):  # fmt: skip
        size = len(getattr(owner, name))
        guarded = array(form, [0x5A] * 4 + [0] * size + [0x5A] * 4)
        setattr(owner, name, memoryview(guarded)[4 : 4 + size])
        guards.append((name, guarded))
    table.aside._marked, table.aside._counts, table.aside._swapped = table._marked, table._counts, table._swapped
    table._at, table.aside._at = table._addresses(), table.aside._addresses()
    for i in range(4):
        _changes(table, [(0x10, bytes([i, i, i]), i), (0x20, b"\xff" * 8, i), (0x30, bytes([i] * 8), i), (0x40, b"", i)] * 16)
    _changes(table, [(0x50, b"\xff" * 8, 1), (0x10, b"", 1)] * 32)
    for name, guarded in guards:
        assert list(guarded[:4]) + list(guarded[-4:]) == [0x5A] * 8, name
    assert values.raw[3] == -1


def test_heard_messages_are_counted():
    table, values = _table([(0x10, [Signal(0, 8)]), (0x20, [Signal(0, 8, 0)])])
    assert values.messages_heard() == 0
    _changes(table, [(0x10, b"\0", 0), (0x20, b"", 0)])
    assert values.messages_heard() == 1
