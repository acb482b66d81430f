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
