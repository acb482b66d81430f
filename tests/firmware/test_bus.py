"""can/bus: frames to slots, with what came and what was lost counted."""

import struct
from fakes import Can, Time
from pigtail.can import bus

EXT, RTR = Can.FLAG_EXT_ID, Can.FLAG_RTR


def _slot(slots, i):
    ident, word, data = struct.unpack_from("<II8s", slots, 16 * i)
    return ident, word >> 28, word & 0x0FFFFFFF, data


def test_frames_become_slots():
    b = bus.Bus(Can([(0x7FF, b"\1\2"), (0x1FFFFFFF, b"\xff" * 8, EXT), (1, b"")]))
    Time(0x1FFFFFFF).into(bus)
    assert b.drain() == 3
    assert _slot(b.slots, 0) == (0x7FF, 2, 0x0FFFFFFF, b"\1\2\0\0\0\0\0\0")
    assert _slot(b.slots, 1) == (0x3FFFFFFF, 8, 0x0FFFFFFF, b"\xff" * 8)
    assert _slot(b.slots, 2) == (1, 0, 0x0FFFFFFF, bytes(8))
    assert b.received == 3


def test_shorter_frame_leaves_nothing_of_the_one_before():
    can = Can([(1, b"\xff" * 8)])
    b = bus.Bus(can)
    b.drain()
    can._data[0] = memoryview(b"\1")
    can.rewind()
    b.drain()
    assert _slot(b.slots, 0)[3] == b"\1" + bytes(7)


def test_remote_frames_are_counted_and_not_decoded():
    b = bus.Bus(Can([(1, b"", RTR), (2, b"\1"), (3, b"", RTR | EXT)]))
    assert b.drain() == 1
    assert _slot(b.slots, 0)[0] == 2
    assert (b.received, b.remote, b.malformed) == (1, 2, 0)


def test_frame_of_more_than_eight_bytes_is_counted_and_spares_the_next_slot():
    b = bus.Bus(Can([(1, bytes(8)), (2, b"\xff" * 64), (3, b"\3")]))
    b.slots[32:48] = b"\x5a" * 16
    assert b.drain() == 2
    assert [_slot(b.slots, i)[0] for i in range(2)] == [1, 3]
    assert bytes(b.slots[32:48]) == b"\x5a" * 16
    assert b.malformed == 1


def test_drain_stops_at_its_budget_and_goes_on():
    b = bus.Bus(Can([(i, b"") for i in range(100)]))
    assert [b.drain(10), b.drain(), b.drain(), b.drain()] == [10, 64, 26, 0]
    assert _slot(b.slots, 0)[0] == 74
    assert b.received == 100


def test_remote_frames_without_end_end_a_drain():
    b = bus.Bus(Can([(1, b"", RTR)] * 100 + [(2, b"\1")]))
    assert [b.drain(), b.remote, b.drain(), b.remote] == [0, 64, 1, 100]


def test_open_hears_every_frame():
    can = Can([])
    bus.Bus(can).open()
    assert can.filters is None


def test_overruns_are_the_controllers():
    can = Can([])
    can.overruns = 17
    assert bus.Bus(can).overruns() == 17
    can.overruns = None  # a driver that cannot count
    assert bus.Bus(can).overruns() == 0
