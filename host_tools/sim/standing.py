"""A virtual board that stays: its flash in a folder, a serial port, a car on its bus, this machine's network.

The folder keeps what a chip keeps without power, `flash.img` and `outbox.img`; `port` in it is a link to the serial port as long
as the board has power. A new one has MicroPython and an empty file system, as a board after its first flashing.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import can

from host_tools.errors import InputError
from host_tools.sim import image
from host_tools.sim.board import VirtualBoard, compiled, facts
from host_tools.sim.car import VirtualCar
from host_tools.sim.ecus import Ecus
from host_tools.sim.ecus.facts import Facts
from host_tools.sim.serial_port import SerialPort
from host_tools.sim.wire import Wire

_STOCK_BOOT = b"# This file is executed on every boot (including wake-boot from deepsleep)\n"


@contextlib.asynccontextmanager
async def powered(
    folder: Path, device: str, frames: Iterator[can.Message], heap: str = "128k", ecus: Sequence[Facts] = ()
) -> AsyncIterator[tuple[VirtualBoard, SerialPort]]:
    """The board in `folder`, made where there is none, with power as long as the block runs; its bus carries `frames`, and what
    `ecus` answer. Raises InputError."""
    _, modules = compiled()
    with _only_one(folder):
        _make(folder)
        car = VirtualCar(frames, frozenset(), 1.0)
        wire = Wire(car, Ecus(ecus).answer)
        port = SerialPort(folder)
        places = await car.start(), await wire.start()
        board = VirtualBoard(folder, device, places[0], heap, 1.0, modules, wire_port=places[1], port=port)
        (folder / "names").unlink()  # names are this machine's
        link = folder / "port"
        link.unlink(missing_ok=True)
        link.symlink_to(port.path)
        running = asyncio.create_task(board.run())
        try:
            yield board, port
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            link.unlink()
            port.close()
            await wire.stop()
            await car.stop()


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Raises InputError where the board of this folder has power already, or the folder cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise InputError(f"cannot make a board in {folder}: {error.strerror}; name another folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"the board in {folder} is on already: use its port, or name another folder") from None
        yield


def _make(folder: Path) -> None:
    """The chips of a new board, where they are missing."""
    if not (folder / "flash.img").exists():
        image.write(folder / "flash.img", int(str(facts()["flash_size"])), {"/boot.py": _STOCK_BOOT})
    if not (folder / "outbox.img").exists():
        image.blank(folder / "outbox.img", int(str(facts()["outbox_size"])))
