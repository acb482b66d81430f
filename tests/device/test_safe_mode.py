"""The whole firmware, which crashes as soon as its parts are made: `pigtail deploy` puts the old one back where there is one, and
says with `pigtail doctor` that a device is in safe mode."""

import json
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools.commands import deploy as command
from host_tools.device import connect, pairs, release
from host_tools.device import deploy as deploying
from host_tools.device.release import Release
from host_tools.doctor import device as doctor
from host_tools.doctor.finding import ERROR, Case
from host_tools.paths import FIRMWARE
from host_tools.sim.board import compiled
from host_tools.toolchain import build, micropython
from tests.device.releases import files
from tests.device.virtual import FLASH_SIZE, Powered, flash, powered, wait_for

RUN = "    async def run(self):\n"
CRASH = "        if not self._crashes[1]:\n            raise ValueError('planted')\n"
WITH_ONE_SETTING = CRASH.replace(":", " and self._window == 5:", 1)


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The firmware, which crashes at once, but not in safe mode."""
    return built(tmp_path_factory.mktemp("crashing"), CRASH)


def built(folder: Path, crash: str) -> Release:
    """The firmware that does this first."""
    shutil.copytree(FIRMWARE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "vehicles"))
    app = folder / "source" / "pigtail" / "app.py"
    text = app.read_text()
    assert text.count(RUN) == 1
    app.write_text(text.replace(RUN, RUN + crash))
    return release.read(build.firmware(folder / "built", micropython.find().mpy_arch, folder / "source"))


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Powered]:
    """One with MicroPython and nothing else."""
    flash(tmp_path / "bare", {"/boot.py": b""}, FLASH_SIZE)
    with powered(tmp_path / "bare") as board:
        yield board


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, crashing: Release) -> None:
    monkeypatch.setattr(deploying, "START_S", 60.0)
    monkeypatch.setattr(command, "made", lambda arch, board: crashing)
    monkeypatch.setattr(doctor, "made", lambda arch: crashing)


def test_firmware_that_crashes_three_times_is_in_safe_mode_and_not_healthy(bare: Powered, pigtail: Any) -> None:
    status, out, err = pigtail("deploy", "--port", bare.port, "--json")
    told = json.loads(out)
    assert (status, told["healthy"], told["back"]) == (1, False, None), err
    assert (told["status"]["safe_mode"], told["status"]["boot"]) == (True, 4)
    last = "firmware 0.1.0 runs in safe mode, without the bus; the last crash: boot 5: ValueError: planted"
    status, out, _ = pigtail("deploy", "--port", bare.port)
    todo = "the next start tries all again: `pigtail logs` then shows what crashes"
    assert (status, out) == (1, f"{bare.port}: {last}; {todo}\n")
    found = [finding for finding in doctor.look(Case(bare.port)) if finding.check == "start"]
    assert [(finding.level, finding.text) for finding in found] == [(ERROR, last.replace("boot 5", "boot 7"))]
    assert "`pigtail logs`" in found[0].todo
    assert 0.1 < lit(bare) < 0.4, "the LED does not say that it is in safe mode"


def lit(board: Powered) -> float:
    """What part of the time the LED is lit, between two times that it goes on."""
    seen: list[int] = []

    def rises() -> list[int]:
        return [i for i in range(1, len(seen)) if seen[i] > seen[i - 1]]

    def has_blinked() -> bool:
        seen.append((board.board.folder / "led").read_bytes()[0])
        return len(rises()) == 2

    wait_for(has_blinked, "the LED does not blink")
    first, last = rises()
    return sum(seen[first:last]) / (last - first)


def test_firmware_that_crashes_three_times_is_undone_where_there_is_an_old_one(tmp_path: Path, pigtail: Any) -> None:
    flash(tmp_path / "board", files(release.read(compiled()[0])), FLASH_SIZE)
    with powered(tmp_path / "board") as board:
        board.until_it_says('"state": "running"')
        at = len(board.board.console().encode())
        status, out, err = pigtail("deploy", "--port", board.port)
        why = "the firmware does not start (boot 4: ValueError: planted); the old one, in /a, is put back"
        assert (status, out) == (1, f"{board.port}: {why}\n"), err
        board.until_it_says('"safe_mode": false', at)
        board.until_it_says('"boot": 6', at)


def test_firmware_that_mends_what_crashed_is_not_left_in_safe_mode(tmp_path: Path) -> None:
    good = release.read(compiled()[0])
    flash(tmp_path / "board", {"/boot.py": b""}, FLASH_SIZE)
    with powered(tmp_path / "board") as board, connect(board.port) as device:
        device.put("/crashes.1", pairs.pair(struct.pack("<BBI", 3, 0, 9) + b"ValueError: planted", 1))
        done = deploying.deploy(device, good)
        assert done.is_healthy and done.status and done.status["last_crash"] == "boot 9: ValueError: planted"
        assert board.board.console().count('"safe_mode": true') == 1


def test_device_in_safe_mode_takes_the_configuration_that_mends_it_at_the_port(tmp_path: Path, pigtail: Any) -> None:
    firmware = files(built(tmp_path, WITH_ONE_SETTING))
    flash(tmp_path / "board", firmware | {"/config.json": b'{"mqtt.window": 5}'}, FLASH_SIZE)
    with powered(tmp_path / "board") as board:
        board.until_it_says('"safe_mode": true')
        status, out, _ = pigtail("config", "set", "--port", board.port, "batch_ms=500")
        says = "runs in safe mode, without the bus; the last crash: boot "
        assert status == 1 and f"{board.port}: written, but: firmware " in out and says in out and "ValueError: planted" in out
        at = len(board.board.console().encode())
        status, out, err = pigtail("config", "set", "--port", board.port, "mqtt.window=4")
        assert (status, out) == (0, f"mqtt.window: 5 -> 4\n{board.port}: written\n"), err
        board.until_it_says('"safe_mode": false', at)
