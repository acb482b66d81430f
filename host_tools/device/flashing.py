"""Writes MicroPython to a chip, with esptool's Python API: connects, refuses what does not fit, erases, writes, verifies, resets.

What esptool says itself goes nowhere; progress comes through `Watcher`. Until the chip, its fuses and the size of its flash are
known to be right nothing is changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import esptool
from esp_pylib.logger import EspLog, EspLogBase
from esptool.logger import log
from esptool.util import flash_size_bytes
from serial import SerialException

from host_tools.boards import MIB, Board
from host_tools.device import partitions
from host_tools.device.image import Image, chip_name
from host_tools.errors import InputError, SetupError
from host_tools.progress import Watcher

ATTEMPTS = 7  # to connect
PATIENCE_S = 3.0  # with a stub that does not report; esptool itself would wait for ever
BAUD = 460_800
_ROM_BAUD = 115_200
_TROUBLE = (RuntimeError, SerialException, OSError)  # esptool's FatalError and its like are the first
_UNTOUCHED = "nothing was changed"


class FlashFailed(Exception):
    """It went wrong when the chip had been erased already."""


class FlashStopped(KeyboardInterrupt):
    """Somebody stopped it when the chip had been erased already."""


@dataclass(frozen=True)
class Flashed:
    """What was done."""

    chip: str  # with its revision
    flash_size: int  # bytes that the chip has
    written: int  # bytes
    own_table: bool  # whether the partition table is the board's, not the image's


class _Quiet(EspLogBase):
    """In place of esptool's own log: passes the progress of a write on."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def progress_bar(self, cur_iter: int, total_iters: int, *rest: Any, **more: Any) -> None:
        self._watcher.written(cur_iter, total_iters)

    def _nothing(self, *args: Any, **more: Any) -> None:
        """What it says in words is told by us, or not at all."""

    print = err = warn = warning = error = note = hint = debug = set_verbosity = _nothing


def flash(
    board: Board, port: str, image: Image, watcher: Watcher,
    own_table: bool = False, stub: bool = True, baud: int = BAUD, attempts: int = ATTEMPTS,
) -> Flashed:  # fmt: skip
    """Erases the whole flash and writes `image`, with the board's partition table in it if `own_table`.

    `stub`: through esptool's own loader in the chip's RAM, which is faster than the one in its ROM. Raises SetupError when no
    chip answers, InputError when it is not one for this, both with the flash untouched; FlashFailed later.
    """
    with _logging_to(watcher), _connected(board, port, watcher, attempts) as rom:
        chip, name, size = _prepared(rom, board, stub, baud)
        try:
            watcher.step("erasing")
            _erase(chip, size)
            watcher.step("writing")
            written = _write(chip, board, image, own_table)
        except _TROUBLE as error:
            raise FlashFailed(_line(error)) from error
        except KeyboardInterrupt as asked:
            raise FlashStopped from asked
        watcher.step("resetting")
        with suppress(*_TROUBLE):  # all is there; who pulls the plug now resets it so
            esptool.reset_chip(chip, "hard-reset")
        return Flashed(name, size, written, own_table)


@contextmanager
def _logging_to(watcher: Watcher) -> Iterator[None]:
    before: Any = EspLog.instance
    before.set_verbosity("silent")  # some of its methods were bound when esptool was imported
    log.set_logger(_Quiet(watcher))
    try:
        yield
    finally:
        EspLog.instance = before
        before.set_verbosity("auto")


@contextmanager
def _connected(board: Board, port: str, watcher: Watcher, attempts: int) -> Iterator[Any]:
    watcher.step("connecting")
    try:
        rom = esptool.detect_chip(port, _ROM_BAUD, connect_attempts=attempts)
    except _TROUBLE as error:
        raise SetupError(
            f"no chip answers on {port} ({_line(error)}): is it the right port, and free? Else hold BOOT, press RESET, try again"
        ) from error
    try:
        rom._port.timeout = PATIENCE_S
        wanted = chip_name(board.chip)
        if wanted != rom.CHIP_NAME:
            raise InputError(f"the chip on {port} is an {rom.CHIP_NAME}, but {board.name} has an {wanted}; {_UNTOUCHED}")
        yield rom
    finally:
        rom._port.close()


def _prepared(rom: Any, board: Board, stub: bool, baud: int) -> tuple[Any, str, int]:
    """The chip ready to be written, what it is, and the size of its flash."""
    try:
        if rom.secure_download_mode or rom.get_flash_encryption_enabled() or rom.get_secure_boot_enabled():
            raise InputError(f"the chip has flash encryption or secure boot switched on, which is not served; {_UNTOUCHED}")
        name = str(rom.get_chip_description())
        chip = esptool.run_stub(rom) if stub else rom
        if baud != _ROM_BAUD:
            chip.change_baud(baud)
        esptool.attach_flash(chip)
        found = esptool.detect_flash_size(chip)
    except _TROUBLE as error:
        raise SetupError(f"the chip stopped answering ({_line(error)}): press RESET, try again; {_UNTOUCHED}") from error
    size = flash_size_bytes(found) if found else 0
    if size < board.flash_size:
        has = f"{size // MIB} MB" if size else "a size that cannot be told"
        raise InputError(f"the chip's flash has {has}, but {board.name} has {board.flash_size // MIB} MB; {_UNTOUCHED}")
    return chip, name, size


def _erase(chip: Any, size: int) -> None:
    if chip.IS_STUB:
        esptool.erase_flash(chip)
    else:  # the ROM has no command for it, but erases what is announced
        chip.flash_set_parameters(size)
        chip.flash_begin(size, 0)


def _write(chip: Any, board: Board, image: Image, own_table: bool) -> int:
    """esptool compares the MD5 of what it wrote with the chip's own."""
    content = image.with_table(partitions.plan(board)) if own_table else image.content
    size = f"{board.flash_size // MIB}MB" if own_table else "keep"  # the boot loader refuses partitions beyond it
    esptool.write_flash(chip, [(image.address, content)], flash_size=size)
    return len(content)


def _line(error: Exception) -> str:
    """The first line of what esptool says, which has many."""
    return str(error).strip().split("\n")[0].rstrip(".")
