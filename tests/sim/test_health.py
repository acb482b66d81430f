"""A firmware that crashes: it says why, goes on without the bus after three in a row, and comes back when it may."""

import shutil
from pathlib import Path

import pytest

from host_tools.paths import FIRMWARE
from host_tools.sim import run
from host_tools.sim.run import Simulation
from host_tools.toolchain import build, micropython
from tests.sim.drives import assert_only_deaths_cost, drive
from tests.sim.test_control import KEY, SPEED, Owner
from tests.sim.test_heap import boots_with
from tests.sim.test_trial import on_flash

FAILS_UNTIL_BOOT_4 = """
from pair import Pair
run = Supervisor.run
async def failing(self):
    def fail():
        if Pair("/boots").read()[0] < 4 and uptime.ms() > 4000:
            raise ValueError("planted")
    self.heartbeats.insert(0, fail)  # the last one there is taken off
    await run(self)
Supervisor.run = failing
"""


def test_three_crashes_in_a_row_leave_a_device_that_is_in_safe_mode_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots_with(FAILS_UNTIL_BOOT_4, tmp_path, monkeypatch)
    seen: list[tuple[object, object, object]] = []

    def note(simulation: object) -> None:
        status = simulation.status  # type: ignore[attr-defined]
        seen.append((status["safe_mode"], status["crashes"], status["last_crash"]))

    report, simulation, _ = drive(60.0, at={34.0: note}, power_cuts=(36.0,))
    assert_only_deaths_cost(report)
    assert [death.cause for death in report.deaths] == ["reset", "reset", "reset", "power_cut"]
    assert seen == [(True, 3, "boot 3: ValueError: planted")]
    told = [event for event in simulation.happened if event.kind in ("crash", "safe_mode")]
    assert [(event.boot, event.kind) for event in told if event.kind == "safe_mode"] == [(4, "safe_mode")]
    crashes = [event.text for event in told if event.kind == "crash"]
    assert [text.split(":")[0] for text in crashes] == [f"boot {boot}" for boot in range(1, 1 + len(crashes))] and crashes
    assert all(text.rstrip().endswith("ValueError: planted") for text in crashes)
    assert simulation.status["safe_mode"] is False and simulation.status["boot"] == 5
    assert simulation.delivered.boots == [1, 2, 3, 5], "nothing is sampled in safe mode"

FAILS_WITH_ONE_SETTING = """
import json, os
from pair import Pair
run = Supervisor.run
async def failing(self):
    def fail():
        with open("/config.tried" if "config.tried" in os.listdir("/") else "/config.json") as f:
            is_bad = json.load(f).get("batch_ms") == 4321
        if is_bad and Pair("/boots").read()[0] != 4 and uptime.ms() > 4000:
            raise ValueError("planted")
    self.heartbeats.insert(0, fail)
    await run(self)
Supervisor.run = failing
"""


def test_device_in_safe_mode_takes_the_configuration_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boots_with(FAILS_WITH_ONE_SETTING, tmp_path, monkeypatch)
    owner, seen, kept = Owner(), list[object](), list[dict[str, object]]()

    def mends(simulation: Simulation) -> None:
        seen.append((simulation.status["safe_mode"], simulation.status["boot"]))
        owner.sends("config", set={"batch_ms": 3000})(simulation)

    at = {34.0: mends, 68.0: lambda simulation: kept.append(on_flash(simulation))}
    report, simulation, _ = drive(70.0, at=at, speed=SPEED, config=KEY | {"batch_ms": 4321})
    assert_only_deaths_cost(report)
    assert seen == [(True, 4)] and owner.result() == {"version": 1}
    assert [death.cause for death in report.deaths] == ["reset"] * 4, "three crashes, and the change"
    status = simulation.status
    assert (status["safe_mode"], status["boot"], status["config"], status["config_error"]) == (False, 5, 1, None)
    assert simulation.delivered.boots == [1, 2, 3, 5] and kept[0]["batch_ms"] == 3000


FAILS_TWICE = """
from pair import Pair
kept = Pair("/crashes").read()
if not kept or kept[0] < 2:
    raise ImportError("planted")
del Pair, kept
"""


def test_crash_while_the_firmware_is_loaded_is_counted_and_told_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots_with("", tmp_path, monkeypatch)
    firmware, _ = run.compiled()
    shutil.copyfile(FIRMWARE / "main.py", firmware / "root" / "main.py")
    source, arch = FIRMWARE / "pigtail" / "uptime.py", micropython.find().mpy_arch
    planted = build.module(source, "pigtail.uptime", arch, build.LEAN, FAILS_TWICE + source.read_text())
    shutil.copyfile(planted, firmware / "slot" / "pigtail" / "uptime.mpy")
    report, simulation, _ = drive(20.0)
    assert_only_deaths_cost(report)
    assert [death.cause for death in report.deaths] == ["reset", "reset"]
    status = simulation.status
    assert (status["crashes"], status["safe_mode"], status["boot"]) == (2, False, 1)
    assert status["last_crash"] == "boot 0: ImportError: planted"
    told = [event.text for event in simulation.happened if event.kind == "crash"]
    assert len(told) == 1 and told[0].startswith("boot 0: Traceback") and told[0].rstrip().endswith("ImportError: planted")
