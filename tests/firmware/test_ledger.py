"""outbox/ledger: every lost sample stays in it until the reader knows; it never grows without bound."""

from pigtail.outbox.ledger import Ledger
from runner import raises

FULL, CUT = "flash_full", "power_cut_unflushed"


def _all(ledger):
    """Every range, in the order in which they are told."""
    ranges = []
    while ledger.peek():
        ranges.append(ledger.peek())
        ledger.acknowledge(ledger.peek())
    return ranges


def test_empty_ledger_has_nothing_to_tell():
    ledger = Ledger(32)
    assert ledger.peek() is None
    ledger.acknowledge((1, 2, 0, 1, FULL))
    ledger.acknowledge(None)
    assert len(ledger) == 0
    assert not ledger.changed


def test_neighbours_join_though_other_streams_come_between():
    ledger = Ledger(32)
    for first in range(0, 50, 10):
        for stream in 2, 6:
            ledger.add(1, stream, first, 10, FULL)
    assert _all(ledger) == [(1, 2, 0, 50, FULL), (1, 6, 0, 50, FULL)]
    assert ledger.samples == 100


def test_what_differs_does_not_join():
    ledger = Ledger(32)
    ranges = [(1, 2, 0, 10, FULL), (1, 2, 11, 5, FULL), (1, 2, 16, 4, CUT), (2, 2, 20, 1, CUT), (2, 6, 21, 1, CUT)]
    for entry in ranges:
        ledger.add(*entry)
    assert _all(ledger) == ranges


def test_what_is_known_is_not_counted_again():
    ledger = Ledger(32)
    ledger.add(1, 2, 10, 20, "corrupt")
    for first, count in (10, 20), (15, 1), (29, 1), (12, 0):
        ledger.add(1, 2, first, count, FULL)
    assert _all(ledger) == [(1, 2, 10, 20, "corrupt")]
    assert ledger.samples == 20


def test_overlap_counts_once():
    ledger = Ledger(32)
    ledger.add(1, 2, 10, 20, FULL)
    ledger.add(1, 2, 25, 10, FULL)
    assert _all(ledger) == [(1, 2, 10, 25, FULL)]
    assert ledger.samples == 25


def test_batch_of_nothing_but_marks_is_no_loss():
    ledger = Ledger(32)
    ledger.add(1, 2, 10, 0, FULL)
    assert len(ledger) == 0


def test_unknown_reason_is_an_error():
    with raises(ValueError):
        Ledger(32).add(1, 2, 0, 1, "whim")


def test_oldest_is_told_first_and_stays_until_acknowledged():
    ledger = Ledger(32)
    ledger.add(1, 2, 0, 1, FULL)
    ledger.add(1, 2, 5, 1, FULL)
    assert ledger.peek() == ledger.peek() == (1, 2, 0, 1, FULL)
    ledger.acknowledge((1, 2, 5, 1, FULL))
    assert ledger.peek() == (1, 2, 0, 1, FULL)


def test_range_that_grew_while_it_was_told_is_told_anew():
    ledger = Ledger(32)
    ledger.add(1, 2, 0, 10, FULL)
    told = ledger.peek()
    ledger.add(1, 2, 10, 10, FULL)
    ledger.acknowledge(told)
    assert ledger.peek() == (1, 2, 0, 20, FULL)


def test_change_is_noted_for_the_journal():
    ledger = Ledger(32)
    ledger.add(1, 2, 0, 10, FULL)
    assert ledger.changed
    ledger.changed = False
    ledger.add(1, 2, 3, 4, FULL)
    assert not ledger.changed
    ledger.acknowledge(ledger.peek())
    assert ledger.changed


def test_full_ledger_is_bounded_and_covers_everything_lost():
    ledger = Ledger(32)
    lost = set()
    for first in range(0, 1000, 10):
        ledger.add(1, 2, first, 5, FULL)
        lost.update(range(first, first + 5))
    assert len(ledger) == 32
    ranges = _all(ledger)
    assert ranges[-1] == (1, 2, 310, 685, "several")
    covered = set()
    for _, _, first, count, _ in ranges:
        covered.update(range(first, first + count))
    assert lost <= covered


def test_full_ledger_covers_a_loss_that_lies_before_its_newest():
    ledger = Ledger(32)
    for first in range(0, 3200, 100):
        ledger.add(1, 2, first, 5, FULL)
    ledger.add(1, 2, 2950, 5, FULL)
    _, _, first, count, reason = _all(ledger)[-1]
    assert reason == "several"
    assert first <= 2950
    assert first + count >= 3105


def test_another_boot_finds_room_in_a_full_ledger_and_the_oldest_that_goes_is_counted():
    ledger = Ledger(4)
    for boot in range(1, 11):
        ledger.add(boot, 2, 0, 10, CUT)
    assert len(ledger) == 8
    assert ledger.peek() == (3, 2, 0, 10, CUT)
    assert ledger.untold == 20


def test_lost_frames_are_told_with_their_time_and_are_no_samples():
    ledger = Ledger(32)
    ledger.overruns(3, 100, 102, 17)
    assert _all(ledger) == [(3, 0xFF, 100, 17, 2)]
    assert ledger.samples == 0


def test_lost_frames_join_what_was_lost_less_than_a_minute_before_though_samples_come_between():
    ledger = Ledger(32)
    ledger.overruns(1, 10, 11, 5)
    ledger.add(1, 2, 0, 10, FULL)
    ledger.overruns(1, 11, 12, 6)
    ledger.overruns(1, 71, 72, 7)
    ledger.overruns(1, 132, 133, 8)
    ledger.overruns(2, 134, 135, 9)
    lost = [(1, 0xFF, 10, 18, 62), (1, 2, 0, 10, FULL), (1, 0xFF, 132, 8, 1), (2, 0xFF, 134, 9, 1)]
    assert _all(ledger) == lost


def test_lost_frames_leave_room_for_samples_in_a_ledger_that_fills():
    ledger = Ledger(8)
    for begin in range(0, 1000, 100):
        ledger.overruns(1, begin, begin + 1, 5)
    assert len(ledger) == 4
    assert _all(ledger)[-1] == (1, 0xFF, 300, 35, 601)


def test_lost_frames_beyond_what_a_range_can_say_begin_another_and_none_is_forgotten():
    ledger = Ledger(4)
    for begin in range(0, 10_000, 2000):
        ledger.overruns(1, begin, begin + 1, 600_000)
    assert [entry[3] for entry in _all(ledger)] == 5 * [600_000]
    for begin in range(0, 40_000, 4000):
        ledger.overruns(1, begin, begin + 1, 1)
    assert [entry[2:] for entry in _all(ledger)] == [
        (0, 1, 1), (4000, 2, 4001), (12_000, 2, 4001), (20_000, 2, 4001), (28_000, 2, 4001), (36_000, 1, 1),
    ]  # fmt: skip
    assert ledger.untold == 0
    ledger.overruns(1, 0, 50_000, 1 << 21)
    assert _all(ledger) == [(1, 0xFF, 50_000 - 4095, (1 << 20) - 1, 4095)]
    assert ledger.untold == (1 << 20) + 1  # by the status


def test_lost_frames_that_find_no_room_are_counted():
    ledger = Ledger(4)
    for boot in range(1, 11):
        ledger.overruns(boot, 5, 6, 10)
    assert (len(ledger), ledger.untold) == (8, 20)


def test_lost_frames_reach_the_flash_at_once_and_more_of_them_in_time():
    ledger = Ledger(32)
    ledger.overruns(1, 10, 11, 5)
    assert ledger.changed == 2
    ledger.overruns(1, 11, 12, 5)
    assert ledger.changed == 2
    ledger.changed = 0
    ledger.overruns(1, 12, 13, 5)
    assert ledger.changed == 1
    ledger.changed = 0
    ledger.acknowledge(ledger.peek())
    assert ledger.changed == 1
