"""The virtual board at its serial port: the real mpremote finds there what a chip with MicroPython would show it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from host_tools.device import connect
from host_tools.device import serial as device_serial
from host_tools.errors import InputError
from host_tools.sim import image, standing
from tests.device.virtual import Powered, flash, mpremote, powered, said

COUNTS_BOOTS = b"""
try:
    with open('/boots') as f: n = int(f.read())
except OSError:
    n = 0
with open('/boots', 'w') as f: f.write(str(n + 1))
print('boot', n + 1)
"""
RUNS = b"print('runs')\nimport time\nwhile True: time.sleep_ms(5)\n"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Powered]:
    """One whose boot.py counts, and that has no main.py."""
    flash(tmp_path, {"/boot.py": COUNTS_BOOTS})
    with powered(tmp_path) as board:
        yield board


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Powered]:
    """One whose main.py runs for ever."""
    flash(tmp_path, {"/boot.py": COUNTS_BOOTS, "/main.py": RUNS})
    with powered(tmp_path) as board:
        board.until_it_says("runs")
        yield board


def test_mpremote_execs_and_evals(board: Powered) -> None:
    assert said(board.port, "exec", "x = 6", "eval", "x * 7") == "42\n"
    assert said(board.port, "exec", "print('é')\nprint('" + "a" * 3000 + "')") == "é\n" + "a" * 3000 + "\n"


def test_mpremote_shows_the_traceback_of_what_fails(board: Powered) -> None:
    done = mpremote(board.port, "exec", "def f():\n    return 1 / 0\nf()")
    assert done.returncode == 1 and "ZeroDivisionError: divide by zero" in done.stdout + done.stderr
    assert mpremote(board.port, "exec", "no python").returncode == 1


def test_mpremote_copies_lists_shows_and_removes_files(board: Powered, tmp_path: Path) -> None:
    content = os.urandom(9000)
    (tmp_path / "there.bin").write_bytes(content)
    said(board.port, "fs", "mkdir", ":lib", "+", "fs", "cp", str(tmp_path / "there.bin"), ":lib/there.bin")
    assert "9000 there.bin" in said(board.port, "fs", "ls", ":lib")
    said(board.port, "fs", "cp", ":lib/there.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == content
    assert said(board.port, "fs", "cat", ":boot.py") == COUNTS_BOOTS.decode()
    said(board.port, "fs", "rm", ":lib/there.bin")
    assert "there.bin" not in said(board.port, "fs", "ls", ":lib")
    assert mpremote(board.port, "fs", "cat", ":nothing").returncode == 1


def test_mpremote_resets_softly_with_a_fresh_heap_boot_py_and_no_main_py(running: Powered) -> None:
    before = int(said(running.port, "eval", "open('/boots').read()"))
    told = said(running.port, "exec", "x = 1", "soft-reset", "exec", "print('x' in globals(), open('/boots').read())")
    assert told.split() == ["False", str(before + 2)]  # exec begins with a soft reset of its own
    assert said(running.port, "exec", "import machine; print(machine.reset_cause())") == "5\n"
    assert running.board.console().count("runs") == 1


def test_power_on_runs_main_py_and_a_soft_reset_at_the_prompt_runs_it_again(running: Powered) -> None:
    with serial.Serial(running.port, timeout=0.1) as wire:
        wire.write(b"\x03")
        running.until_it_says("KeyboardInterrupt")
        wire.write(b"1 + 1\r")
        running.until_it_says("\n2")
        at = len(running.board.console())
        wire.write(b"\x04")
        running.until_it_says("MPY: soft reboot\r\nboot 2\nruns", at)


def test_prompt_takes_blocks_and_corrections(board: Powered) -> None:
    with serial.Serial(board.port, timeout=0.1) as wire:
        wire.write(b"for i in range(3):\r  print('no', i + 10)\r\rprint('xy\x7fz')\r1/0\r")
        board.until_it_says("\nno 12\n")
        board.until_it_says("\nxz\n")
        board.until_it_says("ZeroDivisionError")


def test_firmware_that_talks_is_heard_at_the_port(tmp_path: Path) -> None:
    flash(tmp_path, {"/main.py": b"import time\nn = 0\nwhile True:\n n += 1\n print('line', n)\n time.sleep_ms(5)\n"})
    with powered(tmp_path) as board, serial.Serial(board.port, timeout=5) as wire:
        wire.readline()  # may be a part of one
        lines = [wire.readline() for _ in range(50)]
    first = int(lines[0].split()[1])
    assert lines == [b"line %d\r\n" % n for n in range(first, first + 50)]


def test_machine_reset_is_a_hard_one_and_the_port_stays(board: Powered) -> None:
    said(board.port, "reset")
    board.until_it_says("boot 3")  # 2: mpremote's own soft reset
    assert said(board.port, "resume", "exec", "import machine; print(machine.reset_cause())") == "2\n"
    assert [life.death for life in board.board.lives] == ["reset", ""]


def test_watchdog_outlives_a_soft_reset(board: Powered) -> None:
    said(board.port, "exec", "import machine; w = machine.WDT(timeout=2000)", "soft-reset")
    board.until_it_says("boot 4")
    assert [life.death for life in board.board.lives] == ["watchdog", ""]


def test_boot_loader_is_silent_until_power_is_cut(board: Powered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_serial, "INTERRUPT_S", 0.1)
    said(board.port, "exec", "--no-follow", "import machine; machine.bootloader()")
    with pytest.raises(InputError, match="does not answer"):
        connect(board.port)
    at = len(board.board.console())
    board.cut_power()
    board.restore_power()
    board.until_it_says("boot", at)
    assert said(board.port, "eval", "1 + 1") == "2\n"


def test_flash_stays_when_the_board_goes_off(tmp_path: Path) -> None:
    flash(tmp_path, {})
    with powered(tmp_path) as board:
        said(board.port, "exec", "with open('/kept', 'w') as f: f.write('kept')")
    assert image.read(tmp_path / "flash.img", "/kept") == b"kept"
    with powered(tmp_path) as board:
        assert said(board.port, "fs", "cat", ":kept") == "kept"


def test_fault_4_flash_without_a_file_system_leaves_the_prompt_and_shows_nothing_of_the_host(tmp_path: Path) -> None:
    image.blank(tmp_path / "flash.img", 16 * image.BLOCK_SIZE)
    with powered(tmp_path) as board:
        board.until_it_says("recovery: no file system can be mounted")
        assert said(board.port, "eval", "1 + 1") == "2\n"
        assert mpremote(board.port, "fs", "cat", ":/etc/hostname").returncode == 1
    assert not (tmp_path / "flash.img").read_bytes().strip(b"\xff")


def test_new_board_has_an_empty_file_system(tmp_path: Path) -> None:
    with powered(tmp_path / "new") as board:
        assert said(board.port, "eval", "__import__('os').listdir('/')") == "['board', 'run', 'boot.py']\n"


def test_same_board_is_not_powered_twice(tmp_path: Path) -> None:
    flash(tmp_path, {})
    with powered(tmp_path), pytest.raises(InputError, match="is on already"), standing._only_one(tmp_path):
        pass


def test_client_that_does_not_read_stalls_nobody(tmp_path: Path) -> None:
    flash(tmp_path, {"/main.py": b"n = 0\nwhile n < 3000:\n n += 1\n print('line', n)\nprint('done')\n"})
    with powered(tmp_path) as board, serial.Serial(board.port):
        board.cut_power()
        board.restore_power()
        board.until_it_says("done")


def test_board_without_a_console_has_no_repl(tmp_path: Path) -> None:
    from tests.host.test_board_image import said as said_without

    flash(tmp_path, {"/boot.py": b"", "/main.py": b"import sys; print('_repl' in sys.modules)"})
    assert said_without(tmp_path)[-1] == "False"


