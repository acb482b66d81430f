"""outbox/ring: batches keep their bytes until they are taken out; whoever needs room takes it from the oldest, told before."""

import random
from pigtail.outbox.ring import Ring


class Batch:
    def __init__(self, size, fill):
        self.size = size
        self.fill = fill
        self.at = -1


class Kept:
    """A ring whose batches are compared with a plain list of what must be in it."""

    def __init__(self, size=100):
        self.left = []
        self.ring = Ring(size, self._leave)
        self._fill = 0

    def _leave(self, batch):
        assert bytes(self.ring.payload(batch)) == bytes([batch.fill]) * batch.size  # still there when it is told
        self.left.append(batch)

    def put(self, size):
        self._fill = self._fill + 1 & 0xFF
        batch = Batch(size, self._fill)
        return batch if self.ring.put(batch, bytes([batch.fill]) * size) else None

    def check(self, expected):
        assert [batch.fill for batch in self.ring.batches] == [batch.fill for batch in expected]
        for batch in expected:
            assert bytes(self.ring.payload(batch)) == bytes([batch.fill]) * batch.size


def test_bytes_stay_as_they_were_put():
    kept = Kept()
    kept.check([kept.put(size) for size in (30, 1, 40)])


def test_oldest_leaves_when_room_is_needed():
    kept = Kept()
    batches = [kept.put(40) for _ in range(3)]
    assert kept.left == batches[:1]
    assert batches[0].at == -1
    kept.check(batches[1:])


def test_batch_as_large_as_the_ring_fits_and_a_larger_one_does_not():
    kept = Kept()
    small = kept.put(10)
    assert kept.put(101) is None
    kept.check([small])
    kept.check([kept.put(100)])
    assert kept.left == [small]


def test_removed_batch_is_not_told_and_its_room_is_free():
    kept = Kept()
    batches = [kept.put(50), kept.put(50)]
    kept.ring.remove(batches[0])
    kept.ring.remove(batches[0])
    kept.check([batches[1], kept.put(50)])
    assert kept.left == []


def test_batches_are_bounded_whatever_their_size():
    kept = Kept(1000)
    batches = [kept.put(1) for _ in range(30)]
    assert len(kept.left) == 6
    kept.check(batches[6:])


def test_random_operations_agree_with_a_plain_list():
    for seed in range(6):
        random.seed(seed)
        kept, expected = Kept(256), []
        for _ in range(300):
            if random.randrange(3) or not expected:
                gone = len(kept.left)
                batch = kept.put(random.randint(1, 90))
                assert kept.left[gone:] == expected[: len(kept.left) - gone]
                expected = expected[len(kept.left) - gone :] + [batch]
            else:
                kept.ring.remove(expected.pop(random.randrange(len(expected))))
            kept.check(expected)
        assert sum([batch.size for batch in expected]) <= 256
