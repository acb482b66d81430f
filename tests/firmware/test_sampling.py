"""policy/sampling: what is due when, a late loop catching up, and batches closed in time, never empty."""

from array import array
from packed import Signal, load
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.values import Values
from reading import Read


class FakeBatch:
    """Notes what it is asked; after `full_after` calls of take or event it is full until it is opened."""

    def __init__(self):
        self.opened = []
        self.taken = []
        self.noted = []
        self.count = 0
        self.start = 0
        self.full_after = -1

    def open(self, k, tick):
        self.start = k
        if self.full_after == 0:
            self.full_after = -1
        self.opened.append((k, tick))
        self.count = 0

    def _room(self):
        if self.full_after == 0:
            return False
        self.full_after -= 1
        return True

    @property
    def is_empty(self):
        return not self.count

    def take(self, due, tick):
        if due and not self._room():
            return False
        if due:
            self.taken.append(due)
            self.count += 1
        return True

    def events(self, events, i, n):
        while i < n and self._room():
            self.noted.append(tuple(events[4 * i : 4 * i + 3]))
            self.count += 1
            i += 1
        return i


PERIODS = [(1, [Signal(0, 8, 200), Signal(8, 8, 500), Signal(16, 8, 1000), Signal(24, 8, 0)])]  # the grid is 100 ms


def _sampler_of(profile, all_batches, tick_of, batch_ms, deliver):
    return Sampler(profile, Values(profile), all_batches, tick_of, batch_ms, deliver)


def _sampler(batch_ms=2000, now=0):
    batch, delivered = FakeBatch(), []
    sampler = _sampler_of(load(PERIODS), [batch], lambda ms: ms + 7, batch_ms, lambda one: delivered.append(one.count))
    sampler.start(now)
    return sampler, batch, delivered


def test_starts_with_the_first_tick_after_now():
    for now, k in (0, 1), (99, 1), (100, 2), (12345, 124):
        _, batch, _ = _sampler(now=now)
        assert batch.opened == [(k, 100 * k + 7)]


def test_each_class_is_due_when_its_period_divides_the_time():
    sampler, batch, _ = _sampler()
    sampler.run(1000)
    assert batch.taken == [1, 1, 2, 1, 1, 1 | 2 | 4]  # at 200, 400, 500, 600, 800, 1000 ms


def test_alert_is_handed_on_in_the_turn_that_took_it():
    signals = [Signal(0, 8, 200), Signal(8, 8, 0, stream=0), Signal(16, 8, 1000, stream=4)]
    every, delivered = [FakeBatch() for _ in range(3)], []
    sampler = _sampler_of(load([(1, signals)]), every, lambda ms: ms, 2000, lambda one: delivered.append(every.index(one)))
    sampler.start(0)
    sampler.changes(array("i", [1, 150, 42, 0]), 1)
    sampler.run(199)
    assert (every[1].noted, delivered) == ([(1, 150, 42)], [1])
    sampler.run(200)
    sampler.run(250)
    assert delivered == [1, 1, 2]


def test_nothing_is_taken_before_its_time():
    sampler, batch, _ = _sampler()
    sampler.run(199)
    assert batch.taken == []
    sampler.run(200)
    sampler.run(200)
    sampler.run(299)
    assert batch.taken == [1]


def test_late_loop_catches_up_tick_by_tick():
    sampler, batch, _ = _sampler()
    sampler.run(450)
    assert batch.taken == [1, 1]
    sampler.run(1000)
    assert batch.taken == [1, 1, 2, 1, 1, 7]


def test_batch_is_closed_at_its_period_and_the_next_begins_there():
    sampler, batch, delivered = _sampler(batch_ms=500)
    for now in range(0, 1001, 10):
        sampler.run(now)
    assert delivered == [3, 3]
    assert batch.opened == [(1, 107), (6, 607), (11, 1107)]


def test_batch_period_below_the_grid_closes_every_tick():
    sampler, batch, delivered = _sampler(batch_ms=10)
    sampler.run(400)
    assert delivered == [1, 1]
    assert [k for k, _ in batch.opened] == [1, 2, 3, 4, 5]


def test_empty_batch_is_not_handed_on():
    sampler, batch, delivered = _sampler(batch_ms=100)
    sampler.run(100)
    assert delivered == []
    assert batch.opened == [(1, 107), (2, 207)]


def test_full_batch_is_handed_on_and_the_same_tick_goes_on():
    sampler, batch, delivered = _sampler()
    batch.full_after = 1
    sampler.run(400)
    assert delivered == [1]
    assert batch.opened == [(1, 107), (4, 407)]
    assert batch.taken == [1, 1]


def test_full_event_buffer_is_handed_on_and_no_change_is_lost():
    sampler, batch, delivered = _sampler()
    batch.full_after = 2
    sampler.changes(array("i", [3, 1, 1, 0, 3, 2, 0, 0, 3, 3, 1, 0]), 3)
    assert delivered == [2]
    assert batch.noted == [(3, 1, 1), (3, 2, 0), (3, 3, 1)]


def test_late_loop_gives_each_value_once_then_absent():
    profile = load([(1, [Signal(0, 8, 100)])])
    values, records = Values(profile), []

    def deliver(batch):
        records.append(Read(bytes(batch.close(1, 0, 0, (0, 0))), profile))

    sampler = Sampler(profile, values, batches(profile, values), lambda ms: ms, 2000, deliver)
    sampler.start(0)
    values.raw[0], values.dirty[0] = 3, 255
    sampler.run(500)
    values.raw[0], values.dirty[0] = 4, 255
    sampler.run(2000)
    assert [(record.samples, record.ticks) for record in records] == [([(0, 1, 3), (0, 6, 4)], 20)]


def test_part_begun_anew_hands_on_what_was_taken_before():
    sampler, batch, delivered = _sampler()
    sampler.run(600)
    assert batch.count == 4 and delivered == []
    sampler.start(650)
    assert delivered == [4] and batch.opened[-1][0] == 7


def test_changes_do_not_wait_for_a_grid_longer_than_the_batch():
    slow = [(1, [Signal(0, 8, 60000), Signal(8, 8, 0)])]
    batch, delivered = FakeBatch(), []
    sampler = _sampler_of(load(slow), [batch], lambda ms: ms, 2000, lambda one: delivered.append(one.count))
    sampler.start(0)
    sampler.changes(array("i", [1, 5, 7, 0]), 1)
    sampler.run(1999)
    assert delivered == []
    sampler.run(2000)
    assert delivered == [1]


def test_each_stream_has_its_batch_and_values_are_fresh_until_all_have_taken_them():
    profile = load([(1, [Signal(0, 8), Signal(8, 8, stream=6), Signal(16, 8, 0, stream=6)]), (2, [Signal(0, 8, stream=6)])])
    values, records = Values(profile), []

    def deliver(batch):
        read = Read(bytes(batch.close(1, 0, 0, (0, 0))), profile)
        records.append((batch.stream, [s for s, _, _ in read.samples], len(read.events)))

    sampler = Sampler(profile, values, batches(profile, values), lambda ms: ms, 200, deliver)
    sampler.start(0)
    values.dirty[:] = b"\xff\xff"
    sampler.changes(array("i", [2, 5, 7, 0, 2, 6, 8, 0]), 2)
    sampler.run(200)
    assert records == [(2, [0], 0), (6, [1, 3], 2)]
    assert bytes(values.dirty) == b"\xfe\xfe"


def test_stream_whose_batch_is_full_goes_on_alone():
    profile = load(PERIODS)
    first, second, delivered = FakeBatch(), FakeBatch(), []
    sampler = Sampler(profile, Values(profile), [first, second], lambda ms: ms, 2000, delivered.append)
    sampler.start(0)
    first.full_after = 1
    sampler.run(400)
    assert delivered == [first]
    assert (first.opened, second.opened) == ([(1, 100), (4, 400)], [(1, 100)])
    assert first.taken == second.taken == [1, 1]


def test_what_was_taken_is_handed_on_when_that_is_asked_for():
    profile, delivered = load(PERIODS), []
    first, second = FakeBatch(), FakeBatch()
    sampler = Sampler(profile, Values(profile), [first, second], lambda ms: ms, 2000, delivered.append)
    sampler.start(0)
    sampler.run(250)
    assert delivered == []
    first.count, second.count = 1, 0
    sampler.close()
    assert delivered == [first]
    assert first.opened[-1] == second.opened[-1] == (3, 300)
