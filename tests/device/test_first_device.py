"""docs/first-device.md: each of its commands, run as it stands there against a virtual board, prints what stands there."""

import asyncio
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can
import pytest

from host_tools.device import connect
from host_tools.paths import ROOT, VIRTUAL_BOARDS
from host_tools.sim import broker, drive, sntp
from tests.device.virtual import TIME_LIMIT_S, wait_for
from tests.host.test_verbs import VERBS

PAGE = (ROOT / "docs" / "first-device.md").read_text(encoding="utf-8")
PORT, HOST, BROKER_PORT = "/dev/ttyUSB0", "192.0.2.7", 1883
KEY = "5a" * 32
PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]


@dataclass(frozen=True)
class Command:
    """A line that begins with `$`, and what it prints. `stays`: it goes on while others run."""

    words: str
    expected: list[str]

    @property
    def stays(self) -> bool:
        return self.words.endswith("&")

    @property
    def status(self) -> int:
        return 1 if any(line.startswith("error") for line in self.expected) else 0


def commands(page: str) -> list[Command]:
    found: list[Command] = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Command(line[2:], []))
            else:
                found[-1].expected.append(line)
    return found


COMMANDS = commands(PAGE)


def pattern(expected: list[str]) -> "re.Pattern[str]":
    """A line `…` is any number of lines; elsewhere it is what varies in its line. Runs of spaces are one."""
    text = ""
    for line in expected:
        line = re.sub(r"\s+", " ", line).strip()
        text += r"(.*\n)*?" if line == "…" else r"[^\n]*".join(map(re.escape, line.split("…"))) + "\n"
    return re.compile(text)


class Desk:
    """The machine on which the page is followed. Its board, its port and its broker are called otherwise than on the page."""

    def __init__(self, folder: Path, broker_port: int, clock_port: int) -> None:
        self.folder = folder
        self.results: list[tuple[int, str]] = []  # status and output of each command
        self._staying: list[subprocess.Popen[bytes]] = []
        self.board = f"test-{os.getpid()}"
        self.port = ""
        self.broker = f"mqtt://127.0.0.1:{broker_port}"
        here = {"mqtt.host": "127.0.0.1", "mqtt.port": broker_port, "clock.host": "127.0.0.1", "clock.port": clock_port}
        self._settings = " ".join(f"{key}={value}" for key, value in here.items())

    def follow(self, page: list[Command]) -> None:
        """Runs all commands; those that stay are ended in the end, as with Ctrl-C."""
        outputs = []
        for number, command in enumerate(page):
            output = self.folder / f"{number}.out"
            outputs.append(output)
            process = self._start(command.words, output, command.stays)
            if not command.stays:
                status, steps = process.wait(2 * TIME_LIMIT_S), output.with_suffix(".err").read_text()
                self.results.append((status, steps + output.read_text()))
                continue
            self._staying.append(process)
            self.results.append((0, ""))
            wait_for(lambda output=output: output.read_text().endswith("\n"), f"{command.words} says nothing")
            self.port = self.port or output.read_text().split()[4].rstrip(";")
        self.stop(but=1)
        for number, command in enumerate(page):
            if command.stays:
                self.results[number] = 0, outputs[number].read_text()

    def take_commands(self) -> None:
        """Gives the device a command key, which the page does not."""
        (self.folder / "key").write_text(KEY)
        with connect(self.port) as device:
            config = json.loads(device.get("/config.json") or b"")
            device.put("/config.json", json.dumps(config | {"command.key": KEY}).encode())
        wait_for(lambda: self.run(f"pigtail command {COMMANDED} --wait 2 ping")[0] == 0, "it takes no commands")

    def stop(self, but: int = 0) -> None:
        """Ends what goes on, but for so many: the board, which is the first."""
        while len(self._staying) > but:
            process = self._staying.pop()
            process.send_signal(signal.SIGINT)
            process.wait(TIME_LIMIT_S)

    def run(self, words: str) -> tuple[int, str]:
        """Status and stdout of a command in the page's words."""
        with (self.folder / "stderr").open("wb") as errors:
            done = subprocess.run(self._argv(words), stdout=subprocess.PIPE, stderr=errors, **self._around())
        return done.returncode, done.stdout.decode()

    def _start(self, words: str, output: Path, stays: bool) -> "subprocess.Popen[bytes]":
        """What it says on stderr, which on a terminal is drawn over, comes first where the command ends."""
        with output.open("wb") as file, output.with_suffix(".err").open("wb") as errors:
            return subprocess.Popen(self._argv(words), stdout=file, stderr=file if stays else errors, **self._around())

    def _around(self) -> dict[str, Any]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return {"cwd": self.folder, "env": environment, "stdin": subprocess.DEVNULL}

    def _argv(self, words: str) -> list[str]:
        words = words.replace(f"mqtt.host={HOST}", self._settings)
        words = words.replace("build/boards/first", str(VIRTUAL_BOARDS / self.board)).replace(PORT, self.port)
        return [*PIGTAIL, *shlex.split(words.replace(f"mqtt://{HOST}", self.broker).rstrip("& "))[1:]]

    def as_on_page(self, text: str) -> str:
        """What was printed, in the page's words and with single spaces."""
        names = {self.broker: f"mqtt://{HOST}:{BROKER_PORT}", "127.0.0.1": HOST, self.port: PORT, self.board: "first"}
        for here, there in names.items():
            text = text.replace(here, there)
        lines = [line for line in text.splitlines() if not line.startswith(("clock.", "mqtt.port:"))]  # set here only
        return "".join(re.sub(r"\s+", " ", line).strip() + "\n" for line in lines)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One at which the page was followed to its end; the board is still on."""
    folder = tmp_path_factory.mktemp("desk")
    desks: list[Desk] = []
    is_ready, done = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with broker.start(None, directory=folder) as server, sntp.start(time.time) as clock:
            desks.append(Desk(folder, server.device_port, clock.port))
            loops.append(asyncio.get_running_loop())
            is_ready.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert is_ready.wait(TIME_LIMIT_S)
    try:
        desks[0].follow(COMMANDS)
        yield desks[0]
    finally:
        desks[0].stop()
        loops[0].call_soon_threadsafe(done.set)
        thread.join(TIME_LIMIT_S)
        shutil.rmtree(VIRTUAL_BOARDS / desks[0].board, ignore_errors=True)


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[command.words for command in COMMANDS])
def test_first_device_command_prints_what_the_page_says(desk: Desk, number: int) -> None:
    command, (status, said) = COMMANDS[number], desk.results[number]
    said = desk.as_on_page(said)
    assert pattern(command.expected).fullmatch(said), f"{command.words} printed\n{said}"
    assert status == command.status


AT_BROKER = f"--broker mqtt://{HOST} --device first"
COMMANDED = f"{AT_BROKER} --command-key key"
JSON: dict[tuple[str, ...], tuple[str, int]] = {  # by verb: its words, and how it ends
    ("boards",): ("", 0),
    ("config", "get"): (f"--port {PORT} mqtt.host", 0),
    ("config", "show"): (f"--port {PORT}", 0),
    ("provision",): ("--offline --device kona --broker mqtt://h --insecure", 0),
    ("config", "set"): ("--file draft.json batch_ms=900", 0),
    ("config", "reset"): ("--file draft.json batch_ms", 0),
    ("config", "pull"): (f"draft.json --port {PORT}", 0),
    ("config", "push"): (f"draft.json --port {PORT} --dry-run", 0),
    ("command",): (f"{COMMANDED} ping", 0),
    ("deploy",): (f"--port {PORT}", 0),
    ("devices",): ("", 0),
    ("diag",): (f"{COMMANDED} forbid", 0),
    ("doctor",): ("--port /dev/nothing", 1),
    ("logs",): (f"--port {PORT} --for 1", 0),
    ("monitor",): (f"{AT_BROKER} --for 2", 0),
    ("signals", "check"): ("demo-ev --log drive.log", 0),
    ("signals", "show"): ("demo-ev", 0),
}


def offers_json() -> list[tuple[str, ...]]:
    """The verbs whose --json is a switch; `sim --json FILE`, `flash` and `capture` have tests of their own."""
    switches = {path for path, verb in VERBS.items() for option in verb.params if "--json" in option.opts and option.is_flag}
    return sorted(switches - {("flash",), ("capture",)})


@pytest.fixture(scope="module")
def commanded(desk: Desk) -> Desk:
    """The same, whose device takes commands now."""
    desk.take_commands()
    return desk


@pytest.mark.parametrize("path", offers_json(), ids=" ".join)
def test_json_of_every_verb_that_offers_it_parses(commanded: Desk, path: tuple[str, ...]) -> None:
    assert path in JSON, "a verb offers --json: say here how to run it"
    with can.CanutilsLogWriter(commanded.folder / "drive.log", channel="can0") as log:
        for frame in itertools.islice(drive.frames(), 1000):
            log.on_message_received(frame)
    words, expected = JSON[path]
    status, out = commanded.run(f"pigtail {' '.join(path)} {words} --json")
    assert status == expected, (commanded.folder / "stderr").read_text()
    told = [json.loads(line) for line in out.splitlines()] if path in [("logs",), ("monitor",)] else [json.loads(out)]
    assert told or path == ("logs",)
