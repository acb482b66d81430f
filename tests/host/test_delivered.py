"""The subscriber's own count: a balance that must not come out even when a sample is missing or came twice."""

from collections.abc import Iterable
from types import SimpleNamespace as Fake

from host_tools.sim.delivered import Delivered

BOOT = 3
STREAM = (BOOT, 6)


def came(delivered: Delivered, numbers: Iterable[int], width: int = 1) -> None:
    """Hands on one batch with samples of these numbers, each `width` numbers wide."""
    samples = [Fake(sequence=n, numbers=width, name="Speed", time_ms=1000 * n) for n in numbers]
    batch = Fake(header=Fake(boot=BOOT, stream=6), samples=samples, records=samples)
    delivered.take(Fake(size=40, batch=batch))


def told(delivered: Delivered, first: int, count: int, reason: str) -> None:
    delivered.told(Fake(boot=BOOT, stream=6, first=first, count=count, reason=reason))


def test_all_that_was_taken_came() -> None:
    delivered = Delivered()
    came(delivered, range(10))
    came(delivered, range(10, 15))
    balance = delivered.balance(STREAM, 15)
    assert (balance.delivered, balance.lost, balance.missing, balance.never_taken) == (15, [], 0, 0)
    assert (delivered.samples, delivered.duplicates, delivered.bytes) == (15, 0, 80)
    assert delivered.spans == {BOOT: (0, 14_000)}


def test_hole_is_missing_by_its_samples() -> None:
    delivered = Delivered()
    came(delivered, range(4))
    came(delivered, range(7, 10))
    assert delivered.balance(STREAM, 12).missing == 3 + 2


def test_nothing_came_of_a_stream() -> None:
    assert Delivered().balance(STREAM, 12).missing == 12


def test_same_number_in_another_stream_or_boot_does_not_fill_a_hole() -> None:
    delivered = Delivered()
    came(delivered, range(4))
    assert delivered.balance((BOOT, 2), 4).missing == 4
    assert delivered.balance((BOOT + 1, 6), 4).missing == 4


def test_sample_that_came_twice_is_a_duplicate_and_counts_once() -> None:
    delivered = Delivered()
    came(delivered, range(10))
    came(delivered, range(8, 12))
    assert (delivered.samples, delivered.duplicates) == (12, 2)
    assert delivered.balance(STREAM, 12).missing == 0


def test_wide_sample_takes_two_numbers() -> None:
    delivered = Delivered()
    came(delivered, (0, 2), width=2)
    assert delivered.balance(STREAM, 4).delivered == 4


def test_ledgered_range_is_lost_as_far_as_it_was_taken_and_did_not_come() -> None:
    delivered = Delivered()
    came(delivered, range(8))
    told(delivered, 6, 4096, "power_cut_unflushed")
    balance = delivered.balance(STREAM, 10)
    assert balance.lost == [(8, 10, "power_cut_unflushed")] and balance.missing == 0
    assert balance.by_reason() == {"power_cut_unflushed": 2}


def test_ledger_that_names_too_little_leaves_a_sample_missing() -> None:
    delivered = Delivered()
    came(delivered, range(8))
    told(delivered, 9, 4096, "power_cut_unflushed")
    assert delivered.balance(STREAM, 10).missing == 1


def test_first_reason_told_for_a_sample_holds() -> None:
    delivered = Delivered()
    told(delivered, 0, 6, "flash_full")
    told(delivered, 4, 6, "power_cut_unflushed")
    assert delivered.balance(STREAM, 10).by_reason() == {"flash_full": 6, "power_cut_unflushed": 4}


def test_ledgered_samples_that_come_late_are_delivered_and_not_lost() -> None:
    delivered = Delivered()
    told(delivered, 0, 10, "several")
    came(delivered, range(4))
    balance = delivered.balance(STREAM, 10)
    assert (balance.delivered, balance.by_reason()) == (4, {"several": 6})


def test_sample_that_was_never_taken_is_told_apart() -> None:
    delivered = Delivered()
    came(delivered, range(12))
    balance = delivered.balance(STREAM, 10)
    assert (balance.delivered, balance.missing, balance.never_taken) == (10, 0, 2)


def test_sample_that_was_acknowledged_and_did_not_come_is_lost_after_its_acknowledgement() -> None:
    delivered = Delivered()
    came(delivered, range(4))
    told(delivered, 6, 2, "flash_full")
    balance = delivered.balance(STREAM, 12, [(2, 9), (11, 20)])
    assert (balance.after_ack, balance.lost_after_ack(), balance.missing) == ([(4, 6), (8, 9), (11, 12)], 4, 2)
    assert balance.taken == balance.delivered + sum(balance.by_reason().values()) + balance.lost_after_ack() + balance.missing
