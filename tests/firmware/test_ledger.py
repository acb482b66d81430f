"""outbox/ledger: every lost sample stays in it until the reader knows; it never grows without bound."""

from pigtail.outbox.ledger import Ledger


def _all(ledger):
    """Every range, in the order in which they are told."""
    ranges = []
    while ledger.peek():
        ranges.append(ledger.peek())
        ledger.acknowledge(ledger.peek())
    return ranges


def test_empty_ledger_has_nothing_to_tell():
    ledger = Ledger()
    assert ledger.peek() is None
    ledger.acknowledge((1, 0, 1, "ram_full"))
    assert len(ledger) == 0


def test_neighbours_join():
    ledger = Ledger()
    for first in range(0, 50, 10):
        ledger.add(1, first, 10, "ram_full")
    assert _all(ledger) == [(1, 0, 50, "ram_full")]


def test_what_differs_does_not_join():
    ledger = Ledger()
    ranges = [(1, 0, 10, "ram_full"), (1, 11, 5, "ram_full"), (1, 16, 4, "expired"), (2, 20, 1, "expired"), (2, 20, 1, "expired")]
    for entry in ranges:
        ledger.add(*entry)
    assert _all(ledger) == ranges


def test_oldest_is_told_first_and_stays_until_acknowledged():
    ledger = Ledger()
    ledger.add(1, 0, 1, "ram_full")
    ledger.add(1, 5, 1, "ram_full")
    assert ledger.peek() == ledger.peek() == (1, 0, 1, "ram_full")
    ledger.acknowledge((1, 5, 1, "ram_full"))
    assert ledger.peek() == (1, 0, 1, "ram_full")


def test_range_that_grew_while_it_was_told_is_told_anew():
    ledger = Ledger()
    ledger.add(1, 0, 10, "ram_full")
    told = ledger.peek()
    ledger.add(1, 10, 10, "ram_full")
    ledger.acknowledge(told)
    assert ledger.peek() == (1, 0, 20, "ram_full")


def test_full_ledger_is_bounded_and_covers_everything_lost():
    ledger = Ledger()
    lost = set()
    for first in range(0, 1000, 10):
        ledger.add(1, first, 5, "ram_full")
        lost.update(range(first, first + 5))
    assert len(ledger) == 32
    assert ledger.samples == 500
    ranges = _all(ledger)
    assert ranges[-1] == (1, 310, 685, "several")
    covered = set()
    for _, first, count, _ in ranges:
        covered.update(range(first, first + count))
    assert lost <= covered


def test_full_ledger_covers_a_loss_that_lies_before_its_newest():
    ledger = Ledger()
    for first in range(0, 3200, 100):
        ledger.add(1, first, 5, "ram_full")
    ledger.add(1, 2950, 5, "ram_full")  # a record that never fitted is lost before older ones are
    _, first, count, reason = _all(ledger)[-1]
    assert reason == "several"
    assert first <= 2950
    assert first + count >= 3105
