"""`pigtail config` on a virtual board at its serial port: in force when it says so; secrets stay where they are."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools.device import connect, pairs, release
from host_tools.device.deploy import started
from host_tools.sim import image
from host_tools.sim.board import compiled
from tests.device.releases import files
from tests.device.virtual import FLASH_SIZE, Powered, flash, powered

GIVEN = {
    "version": 7, "wifi.ssid": "home", "wifi.password": "correct horse",
    "wifi.networks": [["phone", "battery staple"], ["guests", ""]], "mqtt.password": "s3cret", "mqtt.insecure": 1,
    "batch_ms": 5000,
}  # fmt: skip
SECRETS = "correct horse", "battery staple", "s3cret"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Powered]:
    """One with the firmware, and a configuration of the first schema."""
    given = files(release.read(compiled()[0])) | {"/config.json": json.dumps(GIVEN).encode()}
    flash(tmp_path / "board", given, FLASH_SIZE)
    with powered(tmp_path / "board") as board:
        yield board


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Powered]:
    """One with MicroPython and nothing else."""
    flash(tmp_path / "bare", {"/boot.py": b""})
    with powered(tmp_path / "bare") as board:
        yield board


def on_flash(board: Powered) -> dict[str, object]:
    found: dict[str, object] = json.loads(image.read(board.flash, "/config.json"))
    return found


def test_config_is_set_at_the_port_and_in_force_when_it_says_so(board: Powered, pigtail: Any) -> None:
    status, out, err = pigtail("config", "set", "--port", board.port, "batch_ms=700", "wifi.password=hunter22")
    assert (status, err) == (0, ""), out + err
    assert out == f"wifi.password: set -> another\nbatch_ms: 5000 -> 700\n{board.port}: written\n"
    after = on_flash(board)
    assert (after["batch_ms"], after["wifi.password"], after["version"], after["schema"]) == (700, "hunter22", 8, 2)
    copies = [image.read(board.flash, f"/config.{copy}") for copy in (0, 1)]
    assert pairs.newest(*copies)[1] == image.read(board.flash, "/config.json")
    assert pigtail("config", "get", "--port", board.port, "batch_ms")[1] == "700\n"


def test_pulled_without_secrets_and_pushed_back_keeps_them(board: Powered, pigtail: Any, tmp_path: Path) -> None:
    before, draft = on_flash(board), tmp_path / "draft.json"
    assert pigtail("config", "pull", draft, "--port", board.port)[0] == 0
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    assert not [secret for secret in SECRETS if secret in draft.read_text()]
    assert pigtail("config", "set", "--file", draft, "batch_ms=800")[0] == 0
    status, out, _ = pigtail("config", "push", draft, "--port", board.port)
    assert (status, out) == (0, f"batch_ms: 5000 -> 800\n{board.port}: written\n")
    after = on_flash(board)
    assert [after[key] for key in ("wifi.password", "wifi.networks", "mqtt.password")] == [
        before[key] for key in ("wifi.password", "wifi.networks", "mqtt.password")
    ]
    status, out, _ = pigtail("config", "pull", draft, "--port", board.port, "--secrets")
    assert status == 0 and json.loads(draft.read_bytes()) == after and "correct horse" not in out
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600


def test_fault_7_damaged_file_on_the_device_is_told_and_mended(board: Powered, pigtail: Any, tmp_path: Path) -> None:
    pigtail("config", "set", "--port", board.port, "batch_ms=700")
    with connect(board.port) as device:
        device.put("/config.json", b'{"batch_ms": ')
        assert "is not JSON" in str(started(device)["config_error"])
    status, out, err = pigtail("config", "show", "--port", board.port)
    assert status == 1 and "is not JSON" in err, err
    assert "* batch_ms                    700 ms" in out
    status, out, _ = pigtail("config", "set", "--port", board.port, "batch_ms=900")
    assert status == 0 and on_flash(board)["batch_ms"] == 900 and on_flash(board)["wifi.ssid"] == "home"


def test_config_of_a_bare_board_is_written_and_nobody_claims_that_it_is_in_force(bare: Powered, pigtail: Any) -> None:
    status, out, _ = pigtail("config", "show", "--port", bare.port, "--json")
    assert status == 0 and json.loads(out)["wifi.password"] == "not set"
    status, out, _ = pigtail("config", "set", "--port", bare.port, "batch_ms=700")
    assert status == 1 and "no firmware runs that could say whether it is in force" in out
    assert on_flash(bare)["batch_ms"] == 700


def test_dry_run_writes_nothing_to_the_device(board: Powered, pigtail: Any, tmp_path: Path) -> None:
    before = image.read(board.flash, "/config.json")
    (tmp_path / "draft.json").write_text('{"batch_ms": 600}')
    status, out, _ = pigtail("config", "push", tmp_path / "draft.json", "--port", board.port, "--dry-run")
    assert status == 0 and "batch_ms: 5000 -> 600\n" in out and "mqtt.password: set -> default\n" in out
    assert image.read(board.flash, "/config.json") == before
