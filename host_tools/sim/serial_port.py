"""The serial port of a virtual board: a pseudo-terminal that outlives resets, and the way from it to the firmware's console.

What the board says while nobody has the port open is lost, as on a wire. Ctrl-C becomes a signal while the board runs code that
it may interrupt (`interruptible`, see boards/unix/_repl.py), and is a byte like others at a prompt. A chip raises
KeyboardInterrupt between two instructions; the Unix port wherever the signal finds it, and where that is amid a garbage
collection its heap stays locked for good. So the signal waits until the process does.
"""

import asyncio
import contextlib
import os
import re
import select
import signal
import time
import tty
from pathlib import Path
from typing import BinaryIO

_CTRL_C = 3
_LOOK_S = 0.02  # between two looks for somebody who opens the port
_PATIENCE_S = 0.5  # with somebody who has it open and does not read
_BUSY_S = 1.0  # for which a program that never waits is not interrupted
_BUSY_LOOK_S = 0.001
_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")
_PIECE = 4096


class SerialPort:
    """A port for the board in `folder`; `path` is what a client opens."""

    def __init__(self, folder: Path) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self._master, False)
        self._flag = folder / "interruptible"
        self._is_read = True

    def close(self) -> None:
        """A client that has it open finds it gone."""
        os.close(self._master)

    def switched_on(self) -> None:
        """To be called before the board's process starts."""
        self._flag.write_bytes(b"\0")

    async def serve(self, device: asyncio.subprocess.Process, log: BinaryIO) -> None:
        """Connects the port with the console of `device` until that ends; what it says goes to `log` as well."""
        assert device.stdout is not None
        listening = asyncio.create_task(self._listen(device))
        before = b""
        try:
            while said := await device.stdout.read(_PIECE):
                log.write(said)
                log.flush()
                # as MicroPython does on a chip
                await self._say(_BARE_NEWLINE.sub(b"\r\n", before + said)[len(before) :])
                before = said[-1:].replace(b"\n", b"")
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _is_open(self) -> bool:
        watch = select.poll()
        watch.register(self._master, 0)
        return not any(happened & select.POLLHUP for _, happened in watch.poll(0))

    async def _say(self, text: bytes) -> None:
        until = time.monotonic() + _PATIENCE_S
        while text and self._is_open():
            try:
                text = text[os.write(self._master, text) :]
                self._is_read = True
            except BlockingIOError:
                self._is_read = self._is_read and time.monotonic() < until
                if not self._is_read:
                    return
                await asyncio.sleep(_LOOK_S)

    async def _listen(self, device: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._is_open():
                await asyncio.sleep(_LOOK_S)
            readable = asyncio.Event()
            loop.add_reader(self._master, readable.set)
            try:
                while True:
                    await readable.wait()
                    readable.clear()
                    await self._hand_over(os.read(self._master, _PIECE), device)
            except BlockingIOError:
                continue
            except OSError:  # the client has closed it
                await asyncio.sleep(_LOOK_S)
            finally:
                loop.remove_reader(self._master)

    async def _hand_over(self, typed: bytes, device: asyncio.subprocess.Process) -> None:
        assert device.stdin is not None
        while typed:
            before, ctrl_c, typed = typed.partition(bytes([_CTRL_C]))
            device.stdin.write(before)
            if ctrl_c and not await self._interrupted(device):
                device.stdin.write(ctrl_c)

    async def _interrupted(self, device: asyncio.subprocess.Process) -> bool:
        """Whether there was something to interrupt."""
        until = time.monotonic() + _BUSY_S
        while self._flag.read_bytes() == b"\1":
            if _waits(device.pid) or time.monotonic() > until:
                with contextlib.suppress(ProcessLookupError):
                    device.send_signal(signal.SIGINT)
                return True
            await asyncio.sleep(_BUSY_LOOK_S)
        return False


def _waits(pid: int) -> bool:
    """Whether the process is in a system call that waits, as proc(5) tells; so is one that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "SZ"
    except OSError:
        return True
