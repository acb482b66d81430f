"""`pigtail flash` and `pigtail boards` as a person or a script meets them: what they print, ask, and end with."""

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from images import STOCK, app, image
from rom_loader import ESP32, ESP32S3, RomLoader

from host_tools import boards, cli
from host_tools.device import partitions

BOARD = "esp32-mcp2515"
Plug = Callable[[RomLoader], RomLoader]


def ended(*arguments: object) -> object:
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An image that fits the board."""
    (tmp_path / "mp.bin").write_bytes(image(boards.load(BOARD), app("1.25.0", can=False)))
    return tmp_path / "mp.bin"


class Answers(io.StringIO):
    """A terminal at which somebody types."""

    def isatty(self) -> bool:
        return True


def test_json_is_all_that_is_on_stdout(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = plug(RomLoader(ESP32))
    arguments = ["--board", BOARD, "--port", loader.port, "--image", path, "--partition-table", "--yes", "--json"]
    assert ended("flash", *arguments) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert (facts["micropython"], facts["table"], facts["outbox_size"], facts["can"]) == ("1.25.0", "board", 1 << 20, False)
    assert facts["written"] == path.stat().st_size and facts["chip"].startswith("ESP32")
    assert err.split() == ["connecting", "erasing", "writing", "resetting"]


def test_words(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = plug(RomLoader(ESP32))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--yes") == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"MicroPython 1.25.0 is on the ESP32-D0WDQ6 (revision v0.0) at {loader.port}: ")
    assert "warning: the image's partition table has no outbox, so that will keep files" in err
    assert partitions.decode(bytes(loader.flash[0x8000:0x9000])) == STOCK


def test_nobody_to_ask(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    loader = plug(RomLoader(ESP32))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path) == 2
    assert "there is nobody to ask: give --yes" in capsys.readouterr().err
    assert loader.is_untouched and loader.commands == []


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 2), ("", 2)])
def test_question_is_heeded(
    plug: Plug, path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    loader = plug(RomLoader(ESP32))
    monkeypatch.setattr("sys.stdin", Answers(answer + "\n"))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--json") == status
    out, err = capsys.readouterr()
    assert "will be erased" in err and (loader.commands == []) == (status == 2)
    assert bool(out) == (status == 0)


def test_build_without_can_for_native_can_is_warned_of(
    plug: Plug, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, board = tmp_path / "mp.bin", boards.load("esp32-sn65hvd230")
    path.write_bytes(image(board, app(can=False), partitions.plan(board)))
    loader = plug(RomLoader(ESP32))
    assert ended("flash", "--board", board.name, "--port", loader.port, "--image", path, "--yes") == 0
    err = capsys.readouterr().err
    assert "has no machine.CAN" in err and "outbox" not in err.replace("docs", "")


def test_wrong_chip_ends_with_2_and_one_line(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = plug(RomLoader(ESP32S3))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--yes", "--json") == 2
    out, err = capsys.readouterr()
    assert out == "" and loader.is_untouched
    assert err.splitlines()[-1] == (
        f"pigtail: error: the chip on {loader.port} is an ESP32-S3, but {BOARD} has an ESP32; nothing was changed"
    )


def test_failed_write_ends_with_1(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loader = plug(RomLoader(ESP32, refuses={"FLASH_DEFL_BEGIN": 0x08}))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--yes", "--json") == 1
    out, err = capsys.readouterr()
    assert out == "" and "there is nothing whole on the chip now, flash it again" in err


def test_stopped_while_it_writes_says_what_is_left(plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def asks(name: str, packet: bytes) -> bytes:
        if name == "FLASH_DEFL_DATA":
            os.kill(os.getpid(), signal.SIGINT)
        return packet

    loader = plug(RomLoader(ESP32, on_request=asks))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--yes") == 130
    told = [line for line in capsys.readouterr().err.splitlines() if line]
    assert told[-2:] == ["pigtail: there is nothing whole on the chip now, flash it again", "stopped"]


def test_stopped_while_it_connects_says_nothing_of_the_chip(
    plug: Plug, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def asks(name: str, packet: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return packet

    loader = plug(RomLoader(ESP32, on_request=asks))
    assert ended("flash", "--board", BOARD, "--port", loader.port, "--image", path, "--yes") == 130
    assert "nothing whole" not in capsys.readouterr().err and loader.is_untouched


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--board", "esp8266"], "there is no board 'esp8266'"),
        (["--board", "unix"], "unix is the simulator's board, there is nothing to flash"),
        (["--board", BOARD], "name the image with --image: esp32-mcp2515 takes ESP32_GENERIC 1.25 or newer"),
        (["--board", BOARD, "--image", "none.bin"], "there is no none.bin; esp32-mcp2515 takes ESP32_GENERIC 1.25 or newer"),
        (["--image", "none.bin"], "Missing option '--board'"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("flash", "--port", "/dev/null", *arguments) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1


def test_boards_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("boards") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[0] == "board" and [row.split()[0] for row in rows] == boards.names()
    assert "8 MB" in next(row for row in rows if row.startswith("esp32s3-can"))


def test_boards_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("boards", "--json") == 0
    found = {board["name"]: board for board in json.loads(capsys.readouterr().out)}
    assert found["unix"]["partitions"] == []
    assert found[BOARD]["partitions"][-1] == {
        "name": "outbox", "type": 1, "subtype": 6, "offset": 3 << 20, "size": 1 << 20, "flags": 0,
    }  # fmt: skip
    assert found["esp32c3-can"]["arch"] == "rv32imc"
