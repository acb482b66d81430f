"""The books of a simulation must not balance when something is lost: the check that could say yes to everything."""

import asyncio
from collections.abc import Iterator

import pytest

from host_tools.commands.sim import status
from host_tools.reader import Account
from host_tools.reader.inbox import Event, Inbox
from host_tools.sim import report, scenario
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario

TRACE = [(1, first, 10) for first in range(0, 200, 10)]  # twenty records of ten samples


def account(*delivered: int) -> Account:
    """The books after the records of these numbers have come."""
    books = Account()
    for number in delivered:
        books.add(*TRACE[number])
    return books


def test_hole_in_a_running_boot_is_missing() -> None:
    assert sum(report.holes(TRACE, account(*range(5), *range(6, 20)))) == 10


def test_half_a_record_is_missing_by_its_samples() -> None:
    books = account(*range(19))
    books.add(1, 190, 4)
    assert sum(report.holes(TRACE, books)) == 6


def test_ledgered_samples_are_not_missing() -> None:
    books = account(*range(10, 20))
    books.ledgered(1, 0, 100, "ram_full")
    assert sum(report.holes(TRACE, books)) == 0


def test_power_cut_explains_the_records_after_the_last_that_came() -> None:
    assert report.gone(TRACE, account(*range(12))) == 80


def test_power_cut_explains_a_hole_within_the_window() -> None:
    assert report.gone(TRACE, account(*range(12), 13)) == 70


def test_power_cut_does_not_explain_an_old_hole() -> None:
    assert report.gone(TRACE, account(*range(2), *range(3, 15))) == 50


def test_power_cut_before_anything_came() -> None:
    assert report.gone(TRACE, account()) == 200


def test_batch_lost_on_the_way_is_reported_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Inbox.receive
    seen = 0

    def lossy(self: Inbox, topic: str, payload: bytes) -> Iterator[Event]:
        nonlocal seen
        seen += topic.endswith("/telemetry")
        return iter(()) if topic.endswith("/telemetry") and seen == 3 else receive(self, topic, payload)

    monkeypatch.setattr(Inbox, "receive", lossy)
    monkeypatch.setattr("host_tools.sim.run.DRAIN_S", 8.0)
    profile = scenario.profile(None, (), 1000, lambda line: None)
    done = asyncio.run(Simulation(Scenario(profile, scenario.frames(()), 4.0, 12.0)).run())
    assert done.samples_missing > 50
    assert done.samples_taken == done.samples_delivered + done.samples_missing
    assert status(done) == 1
