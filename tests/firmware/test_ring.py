"""outbox/ring: records stay until they are acknowledged; what has to go goes oldest first, and the ledger knows exactly."""

import random
from pigtail.outbox.ring import Ring


class Told:
    """A ledger that keeps every call."""

    def __init__(self):
        self.ranges = []

    def add(self, boot, first, count, reason):
        self.ranges.append((boot, first, count, reason))


def _ring(size=100, rows=8):
    told = Told()
    return Ring(size, told, rows), told


def _fill(ring, lengths, first=0):
    """Records of these lengths, 10 samples each; record n is made of the byte n."""
    for length in lengths:
        n = ring.end
        ring.append(bytes([n & 255]) * length, 1, first + 10 * n, 10)


def _kept(ring):
    return [ring.peek(n) for n in range(ring.oldest, ring.end)]


def test_records_are_kept_in_order():
    ring, told = _ring()
    _fill(ring, [10, 20, 30])
    assert [bytes(r) for r in _kept(ring)] == [b"\0" * 10, b"\1" * 20, b"\2" * 30]
    assert (len(ring), ring.bytes, told.ranges) == (3, 60, [])


def test_empty_ring_has_nothing_to_peek():
    ring, _ = _ring()
    for number in -1, 0, 1, 1000:
        assert ring.peek(number) is None
    _fill(ring, [10])
    assert ring.peek(1) is None
    assert ring.peek(-1) is None


def test_record_is_a_copy():
    ring, _ = _ring()
    source = bytearray(b"abc")
    ring.append(memoryview(source), 1, 0, 1)
    source[:] = b"xyz"
    assert bytes(ring.peek(0)) == b"abc"


def test_oldest_goes_when_room_runs_out_and_the_ledger_is_told_of_its_samples():
    ring, told = _ring()
    _fill(ring, [40, 40, 40, 40])
    assert told.ranges == [(1, 0, 10, "ram_full"), (1, 10, 10, "ram_full")]
    assert (ring.oldest, len(ring), ring.bytes) == (2, 2, 80)
    assert (ring.dropped_records, ring.dropped_samples) == (2, 20)
    assert [bytes(r) for r in _kept(ring)] == [b"\2" * 40, b"\3" * 40]


def test_oldest_goes_when_rows_run_out():
    ring, told = _ring(size=1000, rows=4)
    _fill(ring, [1] * 6)
    assert told.ranges == [(1, 0, 10, "ram_full"), (1, 10, 10, "ram_full")]
    assert [r[0] for r in _kept(ring)] == [2, 3, 4, 5]


def test_ring_is_used_to_its_last_byte():
    ring, told = _ring(size=100, rows=64)
    _fill(ring, [10] * 10)
    assert told.ranges == []
    _fill(ring, [10] * 35)
    assert (len(told.ranges), len(ring)) == (35, 10)
    assert [r[0] for r in _kept(ring)] == list(range(35, 45))


def test_acknowledged_record_is_gone_and_its_room_free():
    ring, told = _ring()
    _fill(ring, [40, 40])
    ring.acknowledge(0)
    assert ring.peek(0) is None
    assert (ring.oldest, len(ring), ring.bytes) == (1, 1, 40)
    _fill(ring, [40])
    assert told.ranges == []


def test_acknowledgement_out_of_order_frees_the_room_once_older_ones_have_come():
    ring, told = _ring()
    _fill(ring, [10, 10, 10])
    ring.acknowledge(1)
    assert (ring.oldest, ring.bytes) == (0, 20)
    assert ring.peek(1) is None
    assert bytes(ring.peek(2)) == b"\2" * 10
    ring.acknowledge(0)
    assert (ring.oldest, ring.bytes) == (2, 10)


def test_acknowledged_record_that_makes_room_is_no_loss():
    ring, told = _ring()
    _fill(ring, [40, 40])
    ring.acknowledge(1)
    _fill(ring, [40, 40])
    assert told.ranges == [(1, 0, 10, "ram_full")]
    assert [r and r[0] for r in _kept(ring)] == [2, 3]


def test_record_acknowledged_twice_or_unknown_or_dropped_is_no_error():
    ring, told = _ring()
    _fill(ring, [40, 40, 40])
    for number in 0, 1, 1, 99, -5:
        ring.acknowledge(number)
    assert (ring.oldest, ring.bytes) == (2, 40)
    assert told.ranges == [(1, 0, 10, "ram_full")]


def test_record_larger_than_the_ring_is_told_and_the_others_stay():
    ring, told = _ring()
    _fill(ring, [40])
    ring.append(bytes(101), 1, 500, 7)
    assert told.ranges == [(1, 500, 7, "ram_full")]
    assert bytes(ring.peek(0)) == b"\0" * 40
    assert len(ring) == 1


def test_record_as_large_as_the_ring_fits():
    ring, told = _ring()
    _fill(ring, [40, 100])
    assert told.ranges == [(1, 0, 10, "ram_full")]
    assert bytes(ring.peek(1)) == b"\1" * 100


class Model:
    """The ring as a plain list of (number, record, first, count); None in place of an acknowledged record."""

    def __init__(self):
        self.waiting = []

    def append(self, number, record, first, count, lost):
        """`lost` is what the ring said went: it must be the oldest ones, whole."""
        for entry in lost:
            oldest = self.waiting.pop(0)
            assert entry == (1, oldest[2], oldest[3], "ram_full")
        self.waiting.append((number, record, first, count))

    def acknowledge(self, number):
        self.waiting = [entry for entry in self.waiting if entry[0] != number]


def _agree(ring, model):
    kept = [(n, bytes(ring.peek(n))) for n in range(ring.oldest, ring.end) if ring.peek(n) is not None]
    assert kept == [entry[:2] for entry in model.waiting]
    assert ring.bytes == sum([len(entry[1]) for entry in model.waiting])
    assert ring.bytes <= 256


def test_random_operations_agree_with_a_plain_list():
    for seed in range(6):
        random.seed(seed)
        ring, told = _ring(size=256, rows=1 + random.randrange(12))
        model, first = Model(), 0
        for _ in range(250):
            if random.randrange(3) or not model.waiting:
                record = bytes([random.getrandbits(8)]) * random.randint(1, 90)
                before, number, count = len(told.ranges), ring.end, random.randint(1, 50)
                ring.append(record, 1, first, count)
                model.append(number, record, first, count, told.ranges[before:])
                first += count
            else:
                number = random.randint(ring.oldest - 1, ring.end)
                ring.acknowledge(number)
                model.acknowledge(number)
            _agree(ring, model)
        assert sum([entry[2] for entry in told.ranges]) == ring.dropped_samples
