"""A full bus, 4,000 frames/s at real time into a queue of 64: none is dropped, whatever the way to the broker does, whoever is
asked.

A machine that is slow or halts the firmware for a while adds drops and takes none away: of up to three runs one without any is
proof that the firmware keeps up. The books balance in all of them.
"""

import asyncio

import pytest

from host_tools.sim import faults, scenario, security
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from host_tools.toolchain import mosquitto
from tests.sim.drives import assert_books_balance, demo_car
from tests.sim.test_diag import ASKED, HEAP_PEAK, asked_car, asking, diagnostic

TRIES = 3
LATE_S = 0.1  # by which the car may have been behind, as in tests/sim: else the run tells nothing
LOAD = 4000
SECONDS = 26.0

pytestmark = pytest.mark.timeout(300)
needs_mosquitto = pytest.mark.skipif(not mosquitto.find(), reason="no mosquitto: `make setup` brings one")


def run(*struck: str, **settings: object) -> tuple[Report, dict[str, int]]:
    """The best of up to three runs, and what the device's last status says of its link."""
    for _ in range(TRIES):
        profile = demo_car()
        frames = scenario.frames((), None, LOAD, profile)
        simulation = Simulation(
            Scenario(profile, frames, 1.0, SECONDS, faults=faults.parse_all(struck), **settings)  # type: ignore[arg-type]
        )
        report = asyncio.run(simulation.run())
        assert_books_balance(report)
        assert report.samples_delivered == report.samples_taken > 3000 and report.restarts == 0
        if not report.frames_dropped and simulation.car.late <= LATE_S:
            break
    assert report.frames_dropped == 0 and report.frames_received == report.frames_offered >= SECONDS * LOAD - LOAD
    return report, simulation.status["link"]  # type: ignore[return-value]


@needs_mosquitto
def test_broker_that_stalls_costs_no_frame() -> None:
    run("broker-stall@4:20")


@needs_mosquitto
@pytest.mark.parametrize("tls", [security.SERVER, security.MUTUAL])
def test_tls_handshakes_one_after_another_cost_no_frame(tls: str) -> None:
    _, link = run(*(f"reset@{at}" for at in range(6, 24, 4)), tls=tls)
    assert link["connects"] > 3


def test_fault_27_name_server_that_hangs_costs_no_frame() -> None:
    _, link = run("dns-hang@4:20", "reset@5", "reset@22")
    assert link["failures"] >= 2 and link["connects"] >= 2


def test_fault_27_name_that_is_not_known_costs_no_frame() -> None:
    _, link = run("dns-fail@4:14", "reset@5")
    assert link["failures"] >= 2 and link["connects"] == 2


def test_fault_21_silence_on_a_link_that_is_up_costs_no_frame() -> None:
    run("silence@4:20")


def test_two_ecus_are_polled_beside_a_full_bus_and_nothing_is_lost() -> None:
    profile = asked_car()
    for _ in range(TRIES):
        frames = scenario.frames((), None, LOAD, profile)
        report, simulation, samples = asking(20.0, profile, speed=1.0, frames=frames)
        if not report.frames_dropped and simulation.car.late <= LATE_S:
            break
    assert_books_balance(report)
    assert report.frames_dropped == 0 and report.samples_missing == 0
    assert report.heap_peak <= HEAP_PEAK
    found = diagnostic(samples)
    assert found.keys() == ASKED.keys()
    for name, (least, greatest) in ASKED.items():
        assert all(least <= sample.value <= greatest and sample.quality == "valid" for sample in found[name])
        assert len(found[name]) >= (3 if "OBD" in name else 15)
    gate = simulation.status["gate"]
    assert (gate["open"], gate["muted"], gate["failed"]) == (True, "", 0) and set(gate["refused"]) <= {"shut"}
    assert report.frames_sent >= gate["sent"] > 0 and report.alarms == 0  # the status is some seconds old
    assert set(report.frames_sent_by_id) == {"7E4", "7E2"}
