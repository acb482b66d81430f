"""Virtual boards with a serial port for tests: in a thread of this process, so that the test can be their client."""

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import can

from host_tools.sim import image, standing
from host_tools.sim.board import VirtualBoard, facts
from host_tools.sim.ecus.facts import Facts

TIME_LIMIT_S = 30
SMALL = 64 * image.BLOCK_SIZE  # bytes of flash: quick to copy
FLASH_SIZE = int(str(facts()["flash_size"]))


class Powered:
    """A board that is on; `port` is its serial port's path."""

    def __init__(self, board: VirtualBoard, port: str, loop: asyncio.AbstractEventLoop) -> None:
        self.board, self.port, self._loop = board, port, loop

    @property
    def flash(self) -> Path:
        return self.board.folder / "flash.img"

    def cut_power(self) -> None:
        """Returns when it is off."""
        self._loop.call_soon_threadsafe(self.board.cut_power)
        wait_for(lambda: self.board.pid is None, "the board goes on without power")

    def restore_power(self) -> None:
        """Returns when it is on, not when it has booted."""
        self._loop.call_soon_threadsafe(self.board.restore_power)
        wait_for(lambda: self.board.pid is not None, "the board has power and is not on")

    def until_it_says(self, words: str, after: int = 0) -> None:
        """Waits for words on its console, from that byte on."""
        wait_for(lambda: words in self.board.console(after), f"it does not say {words!r}")


def wait_for(what: Callable[[], bool], otherwise: str) -> None:
    """Fails the test when it does not come true."""
    until = time.monotonic() + TIME_LIMIT_S
    while not what():
        assert time.monotonic() < until, otherwise
        time.sleep(0.005)


def flash(folder: Path, files: Mapping[str, bytes], size: int = SMALL) -> None:
    """The flash of a board that is to be powered in `folder`, with these files."""
    folder.mkdir(exist_ok=True)
    image.write(folder / "flash.img", size, files)


@contextlib.contextmanager
def powered(folder: Path, frames: Iterable[can.Message] = (), ecus: Sequence[Facts] = ()) -> Iterator[Powered]:
    """The board in `folder`, on, with these frames on its bus, and these ECUs."""
    boards: list[Powered] = []
    is_on, off = threading.Event(), asyncio.Event()

    async def stay() -> None:
        try:
            async with standing.powered(folder, "virtual", iter(frames), ecus=ecus) as (board, port):
                boards.append(Powered(board, port.path, asyncio.get_running_loop()))
                while board.pid is None:
                    await asyncio.sleep(0.005)
                is_on.set()
                await off.wait()
        finally:
            is_on.set()

    thread = threading.Thread(target=asyncio.run, args=(stay(),))
    thread.start()
    is_on.wait(TIME_LIMIT_S)
    assert boards, "the board does not come on"
    try:
        yield boards[0]
    finally:
        boards[0]._loop.call_soon_threadsafe(off.set)
        thread.join(TIME_LIMIT_S)


def mpremote(port: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """The real one, its command line."""
    return subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", port, *words],
        capture_output=True, text=True, timeout=TIME_LIMIT_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def said(port: str, *words: str) -> str:
    """What mpremote prints where all goes well."""
    done = mpremote(port, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.replace("\r\n", "\n")
