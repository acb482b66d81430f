"""A drive in which things go wrong: power cuts, long outages, a stuck processor. Each cost is stated, nothing else is lost."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Mapping

import pytest

from host_tools.errors import SimError
from host_tools.reader import Sample
from host_tools.sim import scenario
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from tests.sim.processes import alive

Act = Callable[[Simulation], None]


def drive(
    seconds: float,
    outages: tuple[tuple[float, float], ...] = (),
    config: Mapping[str, object] | None = None,
    at: Mapping[float, Act] | None = None,
) -> tuple[Report, Simulation, list[Sample]]:
    """A generated drive at speed 4; `at` says what is done to the simulation at which device second."""
    profile = scenario.profile(None, (), 1000, lambda line: None)
    simulation = Simulation(Scenario(profile, scenario.frames(()), 4.0, seconds, outages, config=config or {}))
    samples: list[Sample] = []
    simulation.delivered.on_sample = lambda boot, sample: samples.append(sample)
    left = dict(sorted((at or {}).items()))

    def tick() -> None:
        if left and simulation.car.now >= (due := next(iter(left))) and is_running(simulation.board.pid):
            left.pop(due)(simulation)

    report = asyncio.run(simulation.run(tick))
    assert not left, "the run ended before everything was done to it"
    return report, simulation, samples


def is_running(pid: int | None) -> bool:
    """Whether there is such a process, and not only what a killed one leaves until it is waited for."""
    return pid is not None and alive(pid)


def send(number: signal.Signals) -> Act:
    def act(simulation: Simulation) -> None:
        pid = simulation.board.pid
        assert pid
        os.kill(pid, number)
        while number == signal.SIGKILL and alive(pid):
            time.sleep(0.001)

    return act


def assert_books_balance(report: Report) -> None:
    gone = sum(death.samples_lost for death in report.deaths)
    assert report.samples_missing == report.duplicates == 0
    assert report.samples_taken == report.samples_delivered + report.samples_accounted_lost + gone
    assert not report.undecodable


def test_generated_drive_arrives_whole_through_an_outage() -> None:
    report, simulation, samples = drive(30.0, outages=((8.0, 18.0),))
    assert_books_balance(report)
    assert report.samples_delivered == report.samples_taken > 2000
    assert report.restarts == 0
    assert {sample.name for sample in samples} == {s.name for s in simulation.scenario.profile.signals}
    assert simulation.status["link"]["losses"] == 1  # type: ignore[index]


def test_kill_9_in_an_outage_costs_the_ram_and_the_report_says_what() -> None:
    report, simulation, _ = drive(24.0, outages=((4.0, 12.0),), at={10.0: send(signal.SIGKILL)})
    assert_books_balance(report)
    (death,) = report.deaths
    assert (death.cause, death.boot, report.restarts) == ("power_cut", 1, 1)
    assert death.samples_lost > 300 and death.dark_s is not None and 5 < death.dark_s < 20
    assert simulation.delivered.account.boots == [1, 2]
    assert simulation.status["boot"] == 2 and simulation.status["reset"] == "power_on"


def test_kill_9_three_times_gives_three_new_boot_numbers() -> None:
    report, simulation, _ = drive(24.0, at={second: send(signal.SIGKILL) for second in (5.0, 10.0, 15.0)})
    assert_books_balance(report)
    boots = simulation.delivered.account.boots  # a slow machine may leave one of them no time to send anything
    assert len(report.deaths) == 3 and boots[0] == 1 and boots[-1] == 4 and boots == sorted(set(boots))


def test_stuck_processor_is_bitten_by_the_watchdog() -> None:
    acts = {5.0: send(signal.SIGSTOP), 17.0: send(signal.SIGCONT)}
    report, simulation, _ = drive(30.0, at=acts)
    assert_books_balance(report)
    assert [death.cause for death in report.deaths] == ["watchdog"]
    assert simulation.status["reset"] == "watchdog"


def test_ram_full_in_a_long_outage_stands_in_the_ledger_to_the_sample() -> None:
    report, _, _ = drive(40.0, outages=((4.0, 36.0),), config={"outbox.bytes": 4096})
    assert_books_balance(report)
    assert report.lost_by_reason == {"ram_full": report.samples_accounted_lost}
    assert report.samples_accounted_lost > 500


def test_several_outages_one_after_another() -> None:
    report, _, _ = drive(30.0, outages=((3.0, 5.0), (7.0, 7.5), (9.0, 15.0), (16.0, 20.0)))
    assert_books_balance(report)
    assert report.samples_delivered == report.samples_taken


def test_owners_period_makes_another_profile_and_is_kept_to() -> None:
    name = "Vehicle.Speed"
    report, _, samples = drive(12.0, config={"periods": {name: 500}})
    assert_books_balance(report)
    times = [sample.time_ms for sample in samples if sample.name == name]
    steps = {b - a for a, b in itertools.pairwise(times)}  # more than one where the machine made the firmware miss some
    assert len(times) > 15 and min(steps) == 500 and {step % 500 for step in steps} == {0}


def test_clock_is_unknown_at_boot_and_samples_get_utc_once_it_is_known() -> None:
    _, simulation, samples = drive(16.0)
    assert simulation.status["clock"] == "ntp"
    known = [sample.utc is not None for sample in samples]
    assert known[-1] and known == sorted(known)
    offsets = [sample.utc - sample.time_ms / 1000 for sample in samples if sample.utc is not None]
    assert max(offsets) - min(offsets) < 0.5
    assert offsets[0] == pytest.approx(simulation.utc_at_start, abs=10.0)


def test_period_of_a_signal_that_is_not_there_is_reported_and_the_rest_goes_on() -> None:
    report, simulation, _ = drive(10.0, config={"periods": {"Vehicle.Nobody": 500}})
    assert_books_balance(report)
    assert report.samples_delivered > 500 and report.restarts == 0
    assert "periods" in str(simulation.status["profile_error"])


def test_profile_that_is_missing_leaves_a_device_that_says_so() -> None:
    said: dict[str, object] = {}
    with pytest.raises(SimError, match="did not open its bus"):
        profile = scenario.profile(None, (), 1000, lambda line: None)
        config = {"profile": "/nothing.bin"}
        simulation = Simulation(Scenario(profile, scenario.frames(()), 1.0, 5.0, config=config))
        with pytest.MonkeyPatch.context() as patch:

            def tick() -> None:
                said.update(simulation.status)
                patch.setattr("host_tools.sim.run.BOOT_S", 0.0 if "profile_error" in said else 120.0)

            asyncio.run(simulation.run(tick))
    assert said["state"] == "online" and "ENOENT" in str(said["profile_error"])


def test_outbox_larger_than_the_heap_is_made_smaller_and_reported() -> None:
    report, simulation, _ = drive(10.0, config={"outbox.bytes": 1 << 20})
    assert_books_balance(report)
    assert report.restarts == 0 and "outbox.bytes" in str(simulation.status["config_error"])


def test_flash_that_is_erased_in_a_power_cut_ends_the_simulation() -> None:
    def erase(simulation: Simulation) -> None:
        image = simulation.board.folder / "flash.img"
        image.write_bytes(b"\xff" * image.stat().st_size)
        send(signal.SIGKILL)(simulation)

    with pytest.raises(SimError, match="does not start"):
        drive(20.0, at={3.0: erase})


def test_two_kills_close_together_are_one_dark_time() -> None:
    report, _, _ = drive(24.0, at={8.0: send(signal.SIGKILL), 8.6: send(signal.SIGKILL)})
    assert_books_balance(report)
    assert len(report.deaths) == 2 and all(death.dark_s is not None for death in report.deaths)
