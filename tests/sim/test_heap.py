"""Fault 8: the heap at 95 % and beyond, and a MemoryError in each part. The device goes on, and says what it had to drop.

The firmware is the one that is always run; its `main.py` alone is another, which first does something to the supervisor.
"""

import shutil
from pathlib import Path

import pytest

from host_tools.sim import run
from tests.sim.drives import assert_books_balance, drive

HEAP = 128 << 10
START = """
import gc
gc.threshold(4096)
import pigtail.app
from asyncio import sleep_ms
from pigtail import uptime
from pigtail.health.supervisor import Supervisor
"""
END = "\npigtail.app.main()\n"
FAILING_PARTS = """
add = Supervisor.add
def add_failing(self, name, run, after=[4000]):
    after[0] += 1500
    at = after[0]
    async def failing(beat):
        def beats():
            nonlocal at
            beat()
            if at and uptime.ms() > at:
                at = 0
                raise MemoryError("planted")
        await run(beats)
    add(self, name, failing)
Supervisor.add = add_failing
"""
# Takes all but 1/SHARE of the heap from 5 s on, and gives it back at UNTIL_MS.
BALLAST = """
run = Supervisor.run
async def ballast(beat):
    held = []
    while True:
        beat()
        gc.collect()
        left = (gc.mem_alloc() + gc.mem_free()) // SHARE
        if uptime.ms() > UNTIL_MS:
            held = []
        elif uptime.ms() > 5000:
            try:
                while (more := gc.mem_free() - left) > 256:
                    held.append(bytearray(min(512, more)))
                    gc.collect()
            except MemoryError:
                pass
        await sleep_ms(1000)
async def run_with_ballast(self):
    self.add("ballast", ballast)
    await run(self)
Supervisor.run = run_with_ballast
"""


def boots_with(main: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes `main` the main.py of the simulations to come."""
    firmware, modules = run.compiled()
    tree = folder / "firmware"
    shutil.copytree(firmware, tree)
    (tree / "root" / "main.py").write_text(START + main + END)
    patch.setattr(run, "compiled", lambda: (tree, modules))


def test_fault_8_memory_error_in_any_part_begins_that_part_anew_and_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots_with(FAILING_PARTS, tmp_path, monkeypatch)
    report, simulation, _ = drive(26.0, outages=((8.0, 14.0),))
    assert_books_balance(report)
    assert report.restarts == 0 and report.samples_delivered > 2000
    assert simulation.status["restarts"] == dict.fromkeys(("bus", "keeper", "link", "clock", "uplink", "console"), 1)
    assert set(simulation.status["errors"].values()) == {"MemoryError('planted',)"}  # type: ignore[attr-defined]


def test_fault_8_heap_at_95_percent_costs_no_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boots_with(BALLAST.replace("SHARE", "20").replace("UNTIL_MS", "99999"), tmp_path, monkeypatch)
    report, simulation, _ = drive(30.0, outages=((8.0, 16.0),))
    assert_books_balance(report)
    assert report.restarts == 0 and report.samples_accounted_lost == 0
    assert report.heap_peak > 0.9 * HEAP  # without the collector's tables, 5 % of the stand-ins' heap and a piece of ballast
    assert simulation.status["restarts"] == {}


def test_fault_8_heap_that_is_full_for_ten_seconds_costs_what_the_ledger_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots_with(BALLAST.replace("SHARE", "90").replace("UNTIL_MS", "15000"), tmp_path, monkeypatch)
    report, simulation, _ = drive(40.0, outages=((8.0, 20.0),))
    assert_books_balance(report)
    assert report.restarts == 0 and report.lost_by_reason.keys() <= {"overrun"}
    assert report.samples_accounted_lost < report.samples_taken / 4
    assert "ballast" not in simulation.status["restarts"], "it was not the others that were short"  # type: ignore[operator]
