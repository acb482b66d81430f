"""`pigtail deploy`, `devices` and `repl` as a user runs them, against a virtual board; the deployed firmware publishes."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from host_tools import cli
from host_tools.commands import devices
from host_tools.device import connect, ports
from host_tools.errors import InputError
from host_tools.paths import BUILD
from host_tools.reader import BatchEvent, Status, listen
from host_tools.sim import broker, drive, image
from tests.device.virtual import FLASH_SIZE, TIME_LIMIT_S, Powered, flash, powered, wait_for

PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Powered]:
    """A new one: MicroPython and no firmware."""
    flash(tmp_path / "board", {"/boot.py": b"# stock\n"}, FLASH_SIZE)
    with powered(tmp_path / "board", drive.frames()) as board:
        yield board


def pigtail(*words: str) -> str:
    """What the verb prints, where all goes well."""
    done = subprocess.run([*PIGTAIL, *words], capture_output=True, text=True, timeout=TIME_LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def published(port: str, folder: Path) -> tuple[dict[str, object], int, str]:
    """Deploys to a bare board that is told of a broker: its first status there, how many samples came, what `deploy` said."""
    async with broker.start(None, directory=folder) as server:
        config = {"device": "virtual", "mqtt.port": server.device_port, "clock.host": "", "batch_ms": 1000}
        with connect(port) as device:
            device.put("/config.json", json.dumps(config).encode())
        status, samples = {}, 0
        deployed = asyncio.create_task(asyncio.to_thread(pigtail, "deploy", "--port", port, "--vehicle", "demo-ev"))
        async with asyncio.timeout(TIME_LIMIT_S), aclosing(listen(server.url, "virtual")) as events:
            async for event in events:
                if isinstance(event, Status) and not status:
                    status = dict(event.fields)
                samples += len(event.batch.samples) if isinstance(event, BatchEvent) else 0
                if status and samples > 100:
                    break
        return status, samples, await deployed


def test_deployed_firmware_boots_and_publishes_and_another_deploy_sends_nothing(board: Powered, tmp_path: Path) -> None:
    status, samples, said = asyncio.run(published(board.port, tmp_path))
    assert "firmware 0.1.0 runs from /a, boot 1" in said and "without a profile" not in said
    assert status["state"] == "online" and status["reset"] == "soft" and samples > 100
    again = json.loads(pigtail("deploy", "--port", board.port, "--json"))
    assert again["healthy"] and again["status"]["boot"] == 2
    assert (again["slot"], again["sent"], again["flipped"]) == ("a", 0, False)
    assert image.read(board.flash, "/slot.1") == image.pair(b"a")
    assert not [life.death for life in board.board.lives if life.death]


def test_fault_45_deploy_stopped_by_ctrl_c_is_taken_up_again(board: Powered) -> None:
    blank = board.flash.read_bytes().count(b"\xff")
    process = subprocess.Popen([*PIGTAIL, "deploy", "--port", board.port], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: board.flash.read_bytes().count(b"\xff") < blank - 30_000, "nothing is sent")
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=TIME_LIMIT_S)
    assert (process.returncode, said, complaint.splitlines()[-1]) == (130, b"", b"stopped")
    with connect(board.port) as device:
        assert not device.hashes(["/slot.1"]) and device.hashes(["/a"])
    result = json.loads(pigtail("deploy", "--port", board.port, "--json"))
    every = sum(path.is_file() for path in (BUILD / "unix" / "firmware").rglob("*"))
    assert result["healthy"] and 0 < result["sent"] < every


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deploy", "--port", "/dev/nothing"], "no port /dev/nothing: `pigtail devices` lists those that there are"),
        (["repl", "--port", "/dev/nothing"], "repl is for a terminal: a script takes `mpremote exec`, or host_tools.device"),
    ],
)
def test_fault_45_wrong_port_or_way_is_one_line_and_status_2(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        cli.main(words)
    *steps, error = capsys.readouterr().err.splitlines()
    assert exit.value.code == 2 and error == f"pigtail: error: {said}" and steps in ([], ["connecting"])


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[SimpleNamespace]:
    """The serial ports of a machine, to be filled, and no virtual board."""
    found: list[SimpleNamespace] = []
    monkeypatch.setattr(ports.list_ports, "comports", lambda: found)
    monkeypatch.setattr(ports, "VIRTUAL_BOARDS", tmp_path)
    return found


def usb(path: str, vid: int | None, pid: int | None) -> SimpleNamespace:
    return SimpleNamespace(device=path, vid=vid, pid=pid, serial_number=None)


def test_devices_lists_boards_first_with_a_guess(known: list[SimpleNamespace], tmp_path: Path) -> None:
    known += [usb("/dev/ttyS0", None, None), usb("/dev/ttyACM0", 0x303A, 0x1001), usb("/dev/ttyUSB0", 0x10C4, 0xEA60)]
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "port").symlink_to("/dev/null")
    said = CliRunner().invoke(devices.command).output.splitlines()
    assert [line.split()[0] for line in said] == ["/dev/null", "/dev/ttyACM0", "/dev/ttyUSB0", "/dev/ttyS0"]
    assert "virtual board first" in said[0] and "ESP32-S3" in said[1] and "303a:1001" in said[1] and "no known board" in said[3]
    rows = json.loads(CliRunner().invoke(devices.command, ["--json"]).output)
    assert rows[2] == {"path": "/dev/ttyUSB0", "board": ports.CHIPS[0x10C4, 0xEA60], "serial_number": "", "usb": "10c4:ea60"}


def test_ports_stand_by_their_numbers(known: list[SimpleNamespace]) -> None:
    known += [usb(path, 0x10C4, 0xEA60) for path in ("COM10", "COM9", "/dev/pts/8", "/dev/pts/10", "/dev/pts")]
    assert [port.path for port in ports.all_ports()] == ["/dev/pts", "/dev/pts/8", "/dev/pts/10", "COM9", "COM10"]


def test_port_need_not_be_named_where_there_is_one_board(known: list[SimpleNamespace]) -> None:
    with pytest.raises(InputError, match="no board found at any serial port"):
        ports.only(None)
    known += [usb("/dev/ttyS0", None, None), usb("/dev/ttyUSB0", 0x1A86, 0x7523)]
    assert ports.only(None) == "/dev/ttyUSB0" and ports.only("/dev/ttyS0") == "/dev/ttyS0"
    known.append(usb("/dev/ttyUSB1", 0x1A86, 0x7523))
    with pytest.raises(InputError, match="boards at /dev/ttyUSB0, /dev/ttyUSB1: say which with --port"):
        ports.only(None)


def test_repl_is_mpremotes_own(board: Powered) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen([*PIGTAIL, "repl", "--port", board.port], stdin=slave, stdout=slave, stderr=slave)
    said = b""

    def answers() -> bool:
        nonlocal said
        os.write(master, b"print(6 * 7)\r")  # again and again: what comes before it has begun is lost
        while select.select([master], [], [], 0.2)[0]:
            said += os.read(master, 1000)
        return b"\n42" in said

    wait_for(answers, "no answer")
    os.write(master, b"\x1d")
    assert process.wait(TIME_LIMIT_S) == 0
    os.close(master)
    os.close(slave)
