"""A device is found by its id among those at serial ports; the others are stopped for that alone, and run again."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from host_tools.commands import deploy as command
from host_tools.config import ids
from host_tools.device import connect, ports
from host_tools.errors import InputError
from tests.device.releases import files, said_by, small
from tests.device.virtual import Powered, flash, powered

CHIP = b"virtual".hex()  # what each of these boards calls itself
RUNS = '"state": "running"'


@pytest.fixture
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Powered, Powered]]:
    """Two at serial ports, with a firmware that runs: one that is told that it is kona, and one that is told nothing."""
    monkeypatch.setattr(ports.list_ports, "comports", list)
    monkeypatch.setattr(ports, "VIRTUAL_BOARDS", tmp_path)
    firmware = files(small(tmp_path / "release", 1))
    flash(tmp_path / "a", firmware | {"/config.json": b'{"device": "kona"}'})
    flash(tmp_path / "b", firmware)
    with powered(tmp_path / "a") as kona, powered(tmp_path / "b") as other:
        kona.until_it_says(RUNS)
        other.until_it_says(RUNS)
        yield kona, other


def said(board: Powered) -> int:
    """How much there is on its console, in bytes."""
    return len(board.board.console().encode())


def test_device_is_found_by_its_id_and_the_others_run_again(boards: tuple[Powered, Powered]) -> None:
    for one, other, name in (*boards, "kona"), (*reversed(boards), CHIP):
        before = said(other)
        with ids.connected(None, name) as device:
            assert device.port == one.port and device.eval("1 + 1") == 2
            other.until_it_says(RUNS, before)  # while this one is stopped
            before = said(one)
        one.until_it_says(RUNS, before)


def test_id_that_no_device_has_or_two_is_one_line_that_says_which_there_are(boards: tuple[Powered, Powered]) -> None:
    kona, other = boards
    before = [said(board) for board in boards]
    with pytest.raises(InputError) as none:
        ids.connected(None, "leaf")
    first, second = sorted((kona.port, other.port), key=lambda port: int(port.rpartition("/")[2]))
    names = {kona.port: "kona", other.port: CHIP}
    there = f"{names[first]} at {first}; {names[second]} at {second}"
    assert str(none.value) == f"--device leaf: at no serial port; there are: {there}; over the air comes with signed updates"
    for board, at in zip(boards, before, strict=True):
        board.until_it_says(RUNS, at)
    with connect(other.port) as device:
        device.put("/config.json", b'{"device": "kona"}')
    before = [said(board) for board in boards]
    with pytest.raises(InputError) as two:
        ids.connected(None, "kona")
    assert str(two.value) == f"--device kona: at {first} and {second} there is one each: say which with --port"
    for board, at in zip(boards, before, strict=True):
        board.until_it_says(RUNS, at)


def test_fault_45_port_where_nothing_answers_is_told_and_does_not_hide_the_device(
    boards: tuple[Powered, Powered], monkeypatch: pytest.MonkeyPatch
) -> None:
    kona, _ = boards
    found = [SimpleNamespace(device=path, vid=0x10C4, pid=0xEA60, serial_number=None) for path in (kona.port, "/dev/nothing")]
    monkeypatch.setattr(ports.list_ports, "comports", lambda: found)
    monkeypatch.setattr(ports, "VIRTUAL_BOARDS", Path("/none"))
    with ids.connected(None, "kona") as device:
        assert device.port == kona.port
    with pytest.raises(InputError, match="there are: no port /dev/nothing: .*; kona at "):
        ids.connected(None, "leaf")


def test_deploy_by_id_leaves_the_other_as_it_is(
    boards: tuple[Powered, Powered], pigtail: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (kona, other), second = boards, small(tmp_path / "second", 2)
    monkeypatch.setattr(command, "made", lambda arch, board: second)
    before = kona.flash.read_bytes()
    status, out, err = pigtail("deploy", "--device", CHIP, "--json")
    assert status == 0, err
    done = json.loads(out)
    assert (done["port"], done["status"]) == (other.port, said_by(2)) and kona.flash.read_bytes() == before


def test_port_of_an_id_is_that_of_a_device_that_runs_again(boards: tuple[Powered, Powered]) -> None:
    kona, other = boards
    before = said(other)
    assert ids.port(None, CHIP) == other.port and ids.port(kona.port, None) == kona.port
    other.until_it_says(RUNS, before)


def test_no_board_at_all_and_both_ways_at_once(monkeypatch: pytest.MonkeyPatch, pigtail: Any, tmp_path: Path) -> None:
    monkeypatch.setattr(ports.list_ports, "comports", list)
    monkeypatch.setattr(ports, "VIRTUAL_BOARDS", tmp_path)
    none = "pigtail: error: --device kona: at no serial port; there is no board at any; over the air comes with signed updates\n"
    assert pigtail("deploy", "--device", "kona") == (2, "", f"connecting\n{none}")
    both = "pigtail: error: give one of --port and --device\n"
    for verb, steps in ("deploy", "connecting\n"), ("repl", ""):
        assert pigtail(verb, "--device", "kona", "--port", "/dev/x") == (2, "", steps + both)
