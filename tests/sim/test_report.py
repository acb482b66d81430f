"""The books of a simulation must not balance when something is lost: the check that could say yes to everything."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace as Fake

import pytest

from host_tools.commands.sim import status
from host_tools.reader.inbox import Event, Inbox
from host_tools.sim import report, scenario
from host_tools.sim.board import Life
from host_tools.sim.delivered import Balance
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from host_tools.sim.summary import lines
from host_tools.sim.trace import Trace

TELEMETRY, ALERT = 2, 4  # streams
REASON = report.POWER_CUT


def life(boot: int, started: float, ended: float | None, trace: Trace | None = None) -> Life:
    return Life(1, started, ended, "power_cut" if ended else "", trace=trace or Trace(boot))


def deaths(lives: list[Life], books: dict[tuple[int, int], Balance], spans: dict[int, tuple[int, int]]) -> list[report.Death]:
    car = Fake(at=lambda monotonic: monotonic)
    return report.deaths(lives, books, spans, car)


def test_death_costs_what_the_ledger_says_from_the_first_sample_lost() -> None:
    rises = [(TELEMETRY, 10, 1000), (ALERT, 1, 1500), (TELEMETRY, 20, 2000), (TELEMETRY, 30, 3000)]
    trace = Trace(1, 3400, {TELEMETRY: 30, ALERT: 1}, rises)
    books = {(1, TELEMETRY): Balance(30, 15, [(15, 30, REASON)]), (1, ALERT): Balance(1, 1)}
    (death,) = deaths([life(1, 0.0, 3.5, trace), life(2, 4.0, None)], books, {1: (0, 1500), 2: (100, 5000)})
    assert (death.samples_lost, death.lost_by_class) == (15, {"telemetry": 15})
    assert death.lost_s == pytest.approx(1.4)
    assert death.dark_s == pytest.approx(4.1 - 1.5)


def test_samples_lost_for_another_reason_are_not_the_deaths() -> None:
    trace = Trace(1, 3400, {TELEMETRY: 30})
    books = {(1, TELEMETRY): Balance(30, 15, [(15, 30, "flash_full")])}
    (death,) = deaths([life(1, 0.0, 3.5, trace), life(2, 4.0, None)], books, {})
    assert (death.samples_lost, death.lost_s, death.dark_s) == (0, 0.0, None)


def test_death_before_the_boot_had_a_number() -> None:
    (death,) = deaths([life(0, 0.0, 0.2)], {}, {})
    assert (death.boot, death.samples_lost) == (None, 0)


def test_samples_that_were_never_taken_make_trouble() -> None:
    (line,) = report.never_taken({(1, 2): Balance(3, 3, never_taken=2), (1, 6): Balance(3, 3)})
    assert line == "2 samples came of boot 1, stream 2, that were never taken"


def quick() -> Simulation:
    profile = scenario.profile((), (), 1000, lambda line: None)
    return Simulation(Scenario(profile, scenario.frames(()), 4.0, 12.0))


def test_batch_lost_on_the_way_is_reported_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = Inbox.receive
    seen = 0

    def lossy(self: Inbox, topic: str, payload: bytes) -> Iterator[Event]:
        nonlocal seen
        seen += topic.endswith("/telemetry")
        return iter(()) if topic.endswith("/telemetry") and seen == 2 else receive(self, topic, payload)

    monkeypatch.setattr(Inbox, "receive", lossy)
    monkeypatch.setattr("host_tools.sim.run.DRAIN_S", 8.0)
    monkeypatch.setattr("host_tools.sim.run.DRAIN_REAL_S", 2.0)
    done = asyncio.run(quick().run())
    assert done.samples_missing > 50
    assert done.samples_taken == done.samples_delivered + done.samples_missing
    assert status(done) == 1


def test_run_ends_only_when_the_device_has_sampled_for_some_time_after_the_last_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own clock: a busy machine may stop it for as long as the simulation waits, and it takes more samples then."""
    simulation = quick()
    simulation._turn_at_end = 1, 12_000
    monkeypatch.setattr(Simulation, "waiting", lambda self: 0)
    settled = []
    for boot, turn_ms, since_s in ((1, 12_500, 20.0), (2, 500, 20.0), (1, 19_000, 3.0), (1, 19_000, 7.0), (1, 12_500, 61.0)):
        monkeypatch.setattr(simulation, "board", Fake(trace=partial(Trace, boot, turn_ms), asleep=False), raising=False)
        settled.append(simulation._is_settled(since_s))
    assert settled == [False, False, False, True, True]


def test_frames_that_the_ledger_tells_of_are_reported_and_many_are_added_up() -> None:
    done = asyncio.run(quick().run())
    some = replace(done, frames_ledgered=17, frames_ledgered_ranges=[(1, 5000, 7000, 17)])
    assert "lost     17 frames between 5 and 7 s of boot 1: overrun, as the device's ledger says" in lines(some)
    many = replace(done, frames_ledgered=5, frames_ledgered_ranges=[(1, at, at + 1000, 1) for at in range(0, 500_000, 100_000)])
    assert [line for line in lines(many) if "overrun" in line] == [
        "lost     5 frames, at 5 times: overrun, as the device's ledger says"
    ]


def test_each_flaw_gives_status_1() -> None:
    done = asyncio.run(quick().run())
    chip = dict.fromkeys(done.flash["flash"], 0)
    assert status(done) == 0
    flaws = [
        replace(done, samples_missing=1),
        replace(done, lost_after_ack=1),
        replace(done, duplicates=1),
        replace(done, undecodable=["batch: cut short"]),
        replace(done, flash={"outbox": chip | {"faults": 1}}),
    ]
    assert [status(flaw) for flaw in flaws] == [1, 1, 1, 1, 1]
