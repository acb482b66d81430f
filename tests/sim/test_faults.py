"""A drive in which things go wrong: power cuts, long outages, a stuck processor. Each cost is stated, nothing else is lost."""

import contextlib
import itertools
import signal
from typing import BinaryIO

import pytest
from littlefs import LittleFS

from host_tools.errors import SimError
from host_tools.sim.image import BLOCK_SIZE
from host_tools.sim.run import Simulation
from host_tools.toolchain import micropython
from tests.sim.drives import assert_books_balance, assert_only_deaths_cost, drive, send


def test_generated_drive_arrives_whole_through_an_outage() -> None:
    report, simulation, samples = drive(30.0, outages=((8.0, 18.0),))
    assert_books_balance(report)
    assert report.samples_delivered == report.samples_taken > 4000
    assert report.restarts == 0
    assert {sample.name for sample in samples} == {s.name for s in simulation.scenario.profile.signals}
    assert simulation.status["link"]["losses"] == 1  # type: ignore[index]


def test_stuck_processor_is_bitten_by_the_watchdog() -> None:
    acts = {5.0: send(signal.SIGSTOP), 17.0: send(signal.SIGCONT)}
    report, simulation, _ = drive(30.0, at=acts)
    assert_only_deaths_cost(report)
    assert [death.cause for death in report.deaths] == ["watchdog"]
    assert simulation.status["reset"] == "watchdog"


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


def test_fault_6_clock_is_unknown_at_boot_and_samples_get_utc_once_it_is_known() -> None:
    _, simulation, samples = drive(16.0)
    assert simulation.status["clock"] == "ntp"
    known = [sample.utc is not None for sample in samples]
    assert known[-1] and known == sorted(known)
    offsets = [sample.utc - sample.time_ms / 1000 for sample in samples if sample.utc is not None]
    assert max(offsets) - min(offsets) < 0.5
    assert offsets[0] == pytest.approx(simulation.utc_at_start, abs=10.0)


def test_fault_6_rtc_that_is_wrong_at_boot_dates_no_sample() -> None:
    report, simulation, samples = drive(20.0, outages=((0.0, 8.0),), rtc=1_900_000_000)  # 2030
    assert_books_balance(report)
    assert simulation.status["clock"] == "ntp" and len({sample.time_ms // 1000 for sample in samples}) > 15
    offsets = [sample.utc - sample.time_ms / 1000 for sample in samples if sample.utc is not None]
    assert offsets == pytest.approx([simulation.utc_at_start] * len(offsets), abs=10.0)


def test_fault_6_clock_that_steps_by_an_hour_moves_the_next_boot_and_nothing_else() -> None:
    def step(simulation: Simulation) -> None:
        simulation.utc_at_start += 3600

    report, simulation, samples = drive(24.0, at={8.0: step}, power_cuts=(9.0,))
    assert_only_deaths_cost(report)
    offsets = [sample.utc - sample.time_ms / 1000 - simulation.utc_at_start for sample in samples if sample.utc is not None]
    assert {round(offset / 100) for offset in offsets} == {-36, 0}


@pytest.mark.skipif(micropython.find().bits != 32, reason="ticks of 64 bits do not wrap")
def test_ticks_that_wrap_in_the_drive_cost_no_sample() -> None:
    report, _, samples = drive(24.0, ticks=(1 << 30) - 12_000)
    assert_books_balance(report)
    assert report.samples_delivered == report.samples_taken > 3000 and report.restarts == 0
    speed = [sample.time_ms for sample in samples if sample.name == "Vehicle.Speed"]
    assert speed == sorted(set(speed)) and speed[-1] - speed[0] > 15_000


def test_period_of_a_signal_that_is_not_there_is_reported_and_the_rest_goes_on() -> None:
    report, simulation, _ = drive(10.0, config={"periods": {"Vehicle.Nobody": 500}})
    assert_books_balance(report)
    assert report.samples_delivered > 500 and report.restarts == 0
    assert "periods" in str(simulation.status["profile_error"])


def test_profile_that_is_missing_leaves_a_device_that_says_so_and_hears_the_bus() -> None:
    report, simulation, samples = drive(10.0, config={"profile": "/nothing.bin"})
    status = simulation.status
    assert not samples and report.frames_received > 1000 and report.restarts == 0
    assert status["state"] == "online" and "ENOENT" in str(status["profile_error"]) and status["profile"] is None
    assert status["frames"]["unknown"] == status["frames"]["received"] > 0 and status["bus"]["state"] == "active"  # type: ignore[index]


def test_outbox_larger_than_the_heap_is_made_smaller_and_reported() -> None:
    report, simulation, _ = drive(10.0, config={"outbox.bytes": 1 << 20})
    assert_books_balance(report)
    assert report.restarts == 0 and "outbox.bytes" in str(simulation.status["config_error"])


def test_fault_4_file_system_made_anew_keeps_what_waits_on_the_partition_and_gives_no_number_twice() -> None:
    def forget_the_boots(simulation: Simulation) -> None:
        path = simulation.board.folder / "flash.img"
        send(signal.SIGSTOP)(simulation)
        flash = LittleFS(block_size=BLOCK_SIZE, block_count=path.stat().st_size // BLOCK_SIZE, mount=False)
        flash.context.buffer[:] = path.read_bytes()
        flash.mount()
        for name in "/boots.0", "/boots.1":
            with contextlib.suppress(FileNotFoundError):
                flash.remove(name)
        with path.open("r+b") as chip:
            chip.write(flash.context.buffer)
        send(signal.SIGKILL)(simulation)

    report, simulation, _ = drive(40.0, outages=((14.0, 30.0),), power_cuts=(8.0,), at={20.0: forget_the_boots})
    assert_only_deaths_cost(report)
    assert simulation.delivered.boots == [1, 2, 3] and simulation.status["boot"] == 3


def test_fault_4_flash_that_is_erased_in_a_power_cut_ends_the_simulation_in_recovery_mode() -> None:
    chips: list[BinaryIO] = []  # open: the run's folder is gone afterwards

    def erase(simulation: Simulation) -> None:
        image = simulation.board.folder / "flash.img"
        with image.open("r+b") as chip:  # in place: the firmware has it mapped
            chip.write(b"\xff" * image.stat().st_size)
        chips.append(image.open("rb"))
        send(signal.SIGKILL)(simulation)

    with pytest.raises(SimError, match="recovery mode, see docs/outbox.md: .*block 0 is blank, block 1 is blank") as caught:
        drive(20.0, at={3.0: erase})
    assert len(str(caught.value).splitlines()) == 1
    with chips[0] as chip:
        assert set(chip.read()) == {0xFF}, "no silent format"
