"""main.py and fallback.py on a virtual board: what cannot be loaded restarts, is counted, and gives way to the other slot."""

from pathlib import Path

import pytest

from host_tools.device import connect, pairs
from host_tools.device.release import Release
from host_tools.sim import image
from tests.device.releases import files, small
from tests.device.virtual import Powered, flash, powered, wait_for

LAST = "ImportError: no module named 'nothing'"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return small(tmp_path_factory.mktemp("good"), 1)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return small(tmp_path_factory.mktemp("broken"), 2, "import nothing")


def both(in_force: Release, other: Release) -> dict[str, bytes]:
    """The files of a device that has these in slots b and a."""
    return files(other, "a", 1) | files(in_force, "b", 2)


def kept(board: Powered) -> bytes:
    copies: list[bytes | None] = []
    for copy in 0, 1:
        try:
            copies.append(image.read(board.flash, f"/crashes.{copy}"))
        except FileNotFoundError:
            copies.append(None)
    return pairs.newest(*copies)[1] or b""


def test_firmware_that_cannot_be_loaded_three_times_gives_way_to_the_other_slot(
    tmp_path: Path, good: Release, broken: Release
) -> None:
    flash(tmp_path, both(broken, good))
    with powered(tmp_path) as board:
        board.until_it_says('"state": "running"')
        assert board.board.console().count(LAST) == 3
        assert [life.death for life in board.board.lives[:-1]] == ["reset"] * 3
        assert (kept(board)[0], kept(board).endswith(LAST.encode() + b"\n")) == (3, True)
        board.cut_power()
        at = len(board.board.console())
        board.restore_power()
        board.until_it_says('"state": "running"', at)
        assert LAST not in board.board.console()[at:], "the pointer was not changed for good"


def test_module_that_is_no_code_gives_way_to_the_other_slot(tmp_path: Path, good: Release) -> None:
    rotten = Release(good.root, good.slot | {"pigtail/parts/first.mpy": bytes(64)})
    flash(tmp_path, both(rotten, good))
    with powered(tmp_path) as board:
        board.until_it_says('"state": "running"')
        assert board.board.console().count('{"state": "failed"}') == 3


def test_module_that_is_cut_off_hangs_until_the_watchdog_bites_and_gives_way_to_the_other_slot(
    tmp_path: Path, good: Release
) -> None:
    """The loader reads on behind the end for ever; Ctrl-C does not end that."""
    first = good.slot["pigtail/parts/first.mpy"]
    cut = Release(good.root, good.slot | {"pigtail/parts/first.mpy": first[: len(first) // 2]})
    main = good.root["/main.py"].replace(b"timeout=300_000", b"timeout=2_000")
    assert main != good.root["/main.py"]
    flash(tmp_path, both(cut, good) | {"/main.py": main})
    with powered(tmp_path) as board:
        board.until_it_says('"state": "running"')
        assert [life.death for life in board.board.lives[:-1]] == ["watchdog"] * 4
        assert kept(board) == bytes([4, 2, 0, 0, 0, 0]) + b"watchdog"


def test_memory_that_runs_out_while_it_is_loaded_is_kept_as_a_crash(tmp_path: Path) -> None:
    hungry = small(tmp_path, 3, "from pigtail import same\nsame.held = []\nwhile True:\n    same.held.append(bytearray(64))")
    flash(tmp_path / "board", files(hungry))
    with powered(tmp_path / "board") as board:
        board.until_it_says('{"state": "failed"}')
        wait_for(lambda: kept(board) != b"", "nothing is kept")
        assert b"\nMemoryError: memory allocation" in kept(board)


def test_while_it_waits_to_start_again_it_can_be_stopped_and_mended(tmp_path: Path, good: Release, broken: Release) -> None:
    flash(tmp_path, files(broken))
    with powered(tmp_path) as board:
        board.until_it_says('{"state": "failed"}')
        with connect(board.port) as device:
            for path, content in files(good).items():
                device.put(path, content)
            at = len(board.board.console())
        board.until_it_says('"state": "running"', at)
