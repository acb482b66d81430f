"""Generated drives in which things are done to the simulation, and what all of them must keep: books that balance."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping

import can

from host_tools.reader import Sample
from host_tools.signals.profile import Profile
from host_tools.sim import scenario
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from tests.sim.processes import alive

Act = Callable[[Simulation], None]


def demo_car() -> Profile:
    """The profile of the demo car."""
    return scenario.profile((), (), 1000, lambda line: None)


def drive(
    seconds: float, at: Mapping[float, Act] | None = None, profile: Profile | None = None, speed: float = 4.0,
    frames: Iterator[can.Message] | None = None, **settings: object,
) -> tuple[Report, Simulation, list[Sample]]:  # fmt: skip
    """A generated drive; `at` says what is done to the simulation at which device second, `settings` are a scenario's."""
    s = Scenario(profile or demo_car(), frames or scenario.frames(()), speed, seconds, **settings)  # type: ignore[arg-type]
    simulation = Simulation(s)
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
    """Sends the firmware's process this signal; a kill is waited for."""

    def act(simulation: Simulation) -> None:
        pid = simulation.board.pid
        assert pid
        os.kill(pid, number)
        while number == signal.SIGKILL and alive(pid):
            time.sleep(0.001)

    return act


def assert_books_balance(report: Report) -> None:
    """Every sample taken came once or stands in the ledger, and the flash was used as flash must be."""
    assert report.samples_missing == report.duplicates == report.lost_after_ack == 0
    assert report.samples_taken == report.samples_delivered + report.samples_accounted_lost
    assert sum(report.lost_by_reason.values()) == report.samples_accounted_lost
    assert not report.undecodable
    assert [chip["faults"] for chip in report.flash.values()] == [0] * len(report.flash)


def assert_only_deaths_cost(report: Report) -> None:
    """The books balance, and what is lost was lost at a death, in the RAM."""
    assert_books_balance(report)
    assert report.samples_accounted_lost == sum(death.samples_lost for death in report.deaths)
    assert report.lost_by_reason.keys() <= {"power_cut_unflushed"}
