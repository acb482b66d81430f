"""The console at a serial port, as `pigtail logs` shows it: read, and not a byte written."""

import json
import os
import select
import threading
import time
import tty
from collections.abc import Iterator

import pytest

from host_tools import cli
from host_tools.device.console import follow
from host_tools.errors import InputError

SAYS = [b"MicroPython v1.25\r\n", b'{"state": "running", "boot": 3}\r\n', b"{no JSON\r\n", b"[2J\xff\r\n", b"and not"]


@pytest.fixture
def wire() -> Iterator[tuple[int, str]]:
    """A device that talks as soon as somebody listens: its end of the wire, and the port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def talking(master: int) -> None:
    def talk() -> None:
        time.sleep(0.3)  # until the port is open: what was said before is not shown
        for words in SAYS:
            os.write(master, words)

    threading.Thread(target=talk).start()


def test_lines_come_with_their_meaning_and_nothing_is_written(wire: tuple[int, str]) -> None:
    talking(wire[0])
    lines = list(follow(wire[1], 1.0))
    texts = ["MicroPython v1.25", '{"state": "running", "boot": 3}', "{no JSON", "[2J\N{REPLACEMENT CHARACTER}"]
    assert [line.text for line in lines] == texts
    assert [line.said for line in lines] == [None, {"state": "running", "boot": 3}, None, None]
    assert not select.select([wire[0]], [], [], 0)[0], "the firmware would stop"


def test_logs_are_the_console_as_lines_or_json(wire: tuple[int, str], capsys: pytest.CaptureFixture[str]) -> None:
    talking(wire[0])
    assert run("logs", "--port", wire[1], "--for", "1", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(told) == 4 and told[1]["said"]["boot"] == 3 and told[0]["text"] == "MicroPython v1.25"
    talking(wire[0])
    assert run("logs", "--port", wire[1], "--for", "1") == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["MicroPython v1.25", '{"state": "running", "boot": 3}']


def run(*words: str) -> object:
    with pytest.raises(SystemExit) as exit:
        cli.main([*words])
    return exit.value.code or 0


@pytest.mark.parametrize("verb", ["logs", "monitor"])
def test_cable_and_broker_at_once_are_refused(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--port", "/dev/ttyUSB0", "--device", "kona") == 2
    assert "name one of the two" in capsys.readouterr().err


def test_fault_45_port_that_goes_away_while_it_is_read() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    port = os.ttyname(slave)
    threading.Timer(0.3, lambda: [os.close(end) for end in (slave, master)]).start()
    with pytest.raises(InputError, match="the connection broke"):
        list(follow(port))
