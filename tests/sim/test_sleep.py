"""A car that is parked: the device sleeps, wakes with it, and no sample is lost by that. The 12 V as a guard."""

import itertools

import pytest

from host_tools.sim.board import ASLEEP
from host_tools.sim.faults import parse_all
from host_tools.sim.power import Moment
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from tests.sim.drives import assert_books_balance, assert_only_deaths_cost, drive

SPEED = 60.0
QUIET = {"power.quiet_s": 60}


def night(falls: float, ends: float, ignition: bool | None = None) -> tuple[Moment, ...]:
    """A bus that is silent between these times; the ignition, where it is sensed, is off then."""
    off = None if ignition is None else False
    return Moment(0, ignition), Moment(falls, off, None, False), Moment(ends, ignition)


def slept(report: Report) -> list[int | None]:
    """The boots that ended with a sleep."""
    return [death.boot for death in report.deaths if death.cause == ASLEEP]


def told(simulation: Simulation) -> list[tuple[int, str]]:
    """The states that the device told, by boot."""
    return [(event.boot, event.text) for event in simulation.happened if event.kind == "power"]


def test_night_between_two_drives_is_slept_through_wakes_with_the_bus_and_loses_nothing() -> None:
    report, simulation, samples = drive(500.0, speed=SPEED, power=night(60, 420), config=QUIET)
    assert_books_balance(report)
    assert slept(report) == [1] and report.samples_accounted_lost == 0
    assert simulation.status["boot"] == 2 and simulation.status["reset"] == "deep_sleep"
    assert told(simulation)[:2] == [(1, "parked"), (1, "asleep: quiet")]
    assert report.power_s.keys() == {"driving", "parked", "asleep"}
    assert 200 < report.power_s["asleep"] < 320 and 40 < report.power_s["parked"] < 100
    assert report.frames_offered + report.frames_while_off > report.frames_received > 0
    # what came of the second drive
    assert simulation.delivered.boots == [1, 2]
    assert len({sample.name for sample in samples}) > 10


def test_ignition_wakes_it_before_the_bus_does() -> None:
    moments = Moment(0, True), Moment(60, False, None, False), Moment(330, True, None, False), Moment(390, True)
    report, simulation, _ = drive(450.0, speed=SPEED, power=moments, config=QUIET)
    assert_books_balance(report)
    assert slept(report) == [1] and simulation.status["reset"] == "deep_sleep"
    assert report.power_s["asleep"] < 240, "it did not wait for the bus"


def test_device_that_the_timer_wakes_says_that_it_is_well_and_sleeps_again() -> None:
    config = QUIET | {"power.wake_s": 120}
    report, simulation, _ = drive(700.0, speed=SPEED, power=night(60, 620), config=config)
    assert_books_balance(report)
    assert slept(report)[:2] == [1, 2] and len(slept(report)) >= 3
    assert {event.boot for event in simulation.happened if event.kind == "started"} >= {1, 2, 3}


def test_the_12_v_battery_drains_and_the_device_spares_it_though_the_bus_goes_on() -> None:
    moments = Moment(0, False, 12600), Moment(60, False, 11600), Moment(400, True, 14100)
    report, simulation, _ = drive(450.0, speed=SPEED, power=moments, config=QUIET)
    assert_books_balance(report)
    assert slept(report) == [1] and (1, "asleep: low battery") in told(simulation)
    assert report.power_s["asleep"] > 150 and report.frames_while_off > 1000
    assert simulation.status["power"] == {"state": "driving", "battery_mv": 14100}
    assert simulation.status["boot"] == 2, "the ignition woke it"


def test_nobody_has_time_to_answer_and_all_is_on_flash_when_it_sleeps() -> None:
    report, simulation, _ = drive(500.0, speed=SPEED, power=night(60, 420), config=QUIET, outages=((20.0, 440.0),))
    assert_books_balance(report)
    assert slept(report) == [1] and report.samples_accounted_lost == 0
    first = [boot for boot, _ in itertools.groupby(simulation.delivered.boots)]
    assert first == [1, 2]


@pytest.mark.parametrize("cut_at", [65.0, 69.0, 73.0])
def test_power_cut_while_it_falls_asleep_costs_no_more_than_any_other(cut_at: float) -> None:
    # the broker stalls, so that falling asleep takes from 63 s to 80 s
    stall = parse_all(["broker-stall@60:120"])
    moments = Moment(0, False), Moment(160, True)
    report, simulation, _ = drive(
        200.0, speed=10.0, power=moments, config={"power.parked_s": 65}, power_cuts=(cut_at,), faults=stall
    )
    assert_only_deaths_cost(report)
    assert report.deaths[0].cause == "power_cut" and report.most_seconds_lost <= 2.0
    assert simulation.status["power"] == {"state": "driving", "battery_mv": None}


def test_without_a_sense_of_anything_and_with_a_bus_that_speaks_it_never_sleeps() -> None:
    report, simulation, _ = drive(120.0, speed=SPEED, power=(Moment(0),), config={"power.quiet_s": 20})
    assert_books_balance(report)
    states = [event for event in simulation.happened if event.kind == "power"]
    assert all(event.uptime_ms > 120_000 for event in states), "after the end of the drive it may"
