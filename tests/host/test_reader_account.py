"""Intervals and the books, against plain Python sets."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from host_tools.reader import Account, Totals
from host_tools.reader.intervals import Intervals


def integers(pairs: list[tuple[int, int]]) -> list[int]:
    return [number for first, stop in pairs for number in range(first, stop)]


@pytest.mark.parametrize("seed", range(100))
def test_intervals_are_the_set_they_stand_for(seed):
    chance = random.Random(seed)
    intervals, plain = Intervals(), set()
    for _ in range(60):
        first = chance.randrange(100)
        stop = first + chance.randrange(12)
        assert integers(intervals.absent(first, stop)) == [n for n in range(first, stop) if n not in plain]
        intervals.add(first, stop)
        plain |= set(range(first, stop))
        pairs = list(intervals)
        assert integers(pairs) == sorted(plain)
        assert intervals.total() == len(plain)
        assert all(stop < first for (_, stop), (first, _) in pairwise(pairs))


def test_intervals_stay_small_however_much_they_hold():
    intervals = Intervals()
    for first in range(0, 1 << 40, 1 << 30):
        intervals.add(first, first + (1 << 30))
    assert list(intervals) == [(0, 1 << 40)]


class PlainBooks:
    """The same books as sets of (boot, stream, sequence)."""

    def __init__(self) -> None:
        self.received: set[tuple[int, int, int]] = set()
        self.ledger: dict[tuple[int, int, int], str] = {}
        self.duplicates = 0

    def add(self, boot: int, stream: int, first: int, count: int) -> int:
        samples = {(boot, stream, first + i) for i in range(count)}
        twice = len(samples & self.received)
        self.duplicates += twice
        self.received |= samples
        return twice

    def ledgered(self, boot: int, stream: int, first: int, count: int, reason: str) -> None:
        for i in range(count):
            if (boot, stream, first + i) not in self.received:
                self.ledger.setdefault((boot, stream, first + i), reason)

    def lost(self, *key: int) -> Counter[str]:
        return Counter(why for sample, why in self.ledger.items() if sample[:2] == key and sample not in self.received)

    def missing(self, *key: int) -> list[int]:
        known = {n for *of, n in self.received | set(self.ledger) if tuple(of) == key}
        return [n for n in range(min(known), max(known)) if n not in known] if known else []


@pytest.mark.parametrize("seed", range(200))
def test_books_are_those_kept_with_plain_sets(seed):
    chance = random.Random(seed)
    account, plain = Account(), PlainBooks()
    keys = [(boot, stream) for boot in (1, 2) for stream in (0, 2, 63)]
    for _ in range(chance.randrange(120)):
        key, first, count = chance.choice(keys), chance.randrange(200), chance.randrange(15)
        if chance.random() < 0.7:
            assert account.add(*key, first, count) == plain.add(*key, first, count)
        elif count:
            reason = chance.choice(["flash_full", "power_cut_unflushed", "several"])
            account.ledgered(*key, first, count, reason)
            plain.ledgered(*key, first, count, reason)
    for key in keys:
        assert account.lost(*key) == plain.lost(*key)
        assert integers(account.missing(*key)) == plain.missing(*key)
    lost = sum((plain.lost(*key) for key in keys), Counter())
    missing = sum(len(plain.missing(*key)) for key in keys)
    assert account.totals() == Totals(len(plain.received), plain.duplicates, missing, lost)


def test_boots_and_streams_that_are_known():
    account = Account()
    account.add(2, 5, 0, 1)
    account.add(1, 2, 0, 1)
    account.ledgered(1, 0, 0, 1, "overrun")
    assert account.boots == [1, 2]
    assert account.streams == [(1, 0), (1, 2), (2, 5)]


def test_bounds_from_outside_show_what_is_missing_at_both_ends():
    account = Account()
    account.add(4, 2, 10, 5)
    account.ledgered(4, 2, 20, 5, "flash_full")
    assert account.missing(4, 2) == [(15, 20)]
    assert account.missing(4, 2, 0, 30) == [(0, 10), (15, 20), (25, 30)]
    assert account.missing(4, 2, 12, 17) == [(15, 17)]
    assert account.missing(4, 1, 0, 3) == [(0, 3)]
    assert account.missing(5, 2, 0, 3) == [(0, 3)]
    assert account.missing(5, 2) == []


def test_sample_that_comes_after_it_was_ledgered_is_not_lost():
    account = Account()
    account.ledgered(1, 2, 0, 10, "several")
    assert account.add(1, 2, 4, 3) == 0
    assert account.lost(1, 2) == {"several": 7}
    assert account.totals() == Totals(received=3, lost=Counter(several=7))


def test_totals_add_up():
    assert Totals(1, 2, 3, Counter(a=1)) + Totals(10, 20, 30, Counter(a=1, b=2)) == Totals(
        11, 22, 33, Counter(a=2, b=2)
    )
