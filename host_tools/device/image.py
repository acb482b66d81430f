"""An image of MicroPython for an ESP32: what it is, and whether it fits a board. Nothing is written before it was read here.

A complete image begins at the board's `flash_offset` with the boot loader; at 0x8000 of the flash lies its partition table, and
where that says so the app. Boot loader and app each carry a checksum and a SHA-256, and the chip that they are for.
"""

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esptool.bin_image import LoadFirmwareImage
from esptool.targets import ROM_LIST
from esptool.util import FatalError

from host_tools import boards
from host_tools.boards import SECTOR, Board
from host_tools.device import partitions
from host_tools.device.partitions import Partition
from host_tools.errors import InputError

_MAGIC = 0xE9
_HEADER = 24
_CHIPS: dict[int, str] = {rom.IMAGE_CHIP_ID: rom.CHIP_NAME for rom in ROM_LIST if rom.IMAGE_CHIP_ID is not None}
_BANNER = re.compile(rb"MicroPython v?(\d+\.\d+(?:\.\d+)?)\S* on \d{4}-\d\d-\d\d")
_CAN = b"get_counters"  # a method that machine.CAN alone has


def chip_name(chip: str) -> str:
    """What esptool calls a board's chip: ESP32-S3 for esp32s3."""
    return next(name for name in _CHIPS.values() if name.replace("-", "").lower() == chip)


@dataclass(frozen=True)
class Image:
    """A complete image that fits its board."""

    path: Path
    content: bytes
    address: int  # where on the flash it begins
    micropython: str  # version
    table: list[Partition]
    has_can: bool

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.content).hexdigest()

    def with_table(self, table: list[Partition]) -> bytes:
        """The content with another partition table in it."""
        at = partitions.ADDRESS - self.address
        sector = partitions.encode(table).ljust(SECTOR, b"\xff")
        return self.content[:at] + sector + self.content[at + SECTOR :]


def read(path: Path, board: Board, sha256: str = "") -> Image:
    """The image for this board. `sha256`: what its file must have, in hex; empty: whatever it has.

    Raises InputError with one line when it is missing, damaged, of another chip, too old or too large.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}; {board.name} takes {board.wanted}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if sha256 and (found := hashlib.sha256(content).hexdigest()) != sha256.lower():
        raise InputError(f"{path}: its SHA-256 is {found}: it is not the file that you named, get it again")
    try:
        return _image(path, content, board)
    except ValueError as error:
        raise InputError(f"{path}: {error}; {board.name} takes {board.wanted}") from error


def _image(path: Path, content: bytes, board: Board) -> Image:
    """Checks all; raises ValueError."""
    _part("boot loader", content, board)
    at = partitions.ADDRESS - board.flash_offset
    try:
        table = partitions.decode(content[at : at + SECTOR])
    except ValueError as error:
        raise ValueError(f"no complete image: where its partition table should be, {error}") from error
    app = _app(table)
    planned = _app(partitions.plan(board))
    begin = app.offset - board.flash_offset
    length = _part("app", content[begin:], board)
    room = min(app.size, planned.size)
    if app.offset != planned.offset or length > room or board.flash_offset + len(content) > planned.end:
        raise ValueError(f"its app of {length:,} bytes at {app.offset:#x} does not fit into the {room:,} that there are for it")
    version = _version(content[begin : begin + length])
    if boards.version(version) < boards.version(board.micropython):
        raise ValueError(f"it is MicroPython {version}, which is too old")
    return Image(path, content, board.flash_offset, version, table, _CAN in content)


def _app(table: list[Partition]) -> Partition:
    found = [partition for partition in table if partition.type == partitions.APP]
    if not found:
        raise ValueError("its partition table has no app")
    return min(found, key=lambda partition: partition.offset)


def _part(what: str, content: bytes, board: Board) -> int:
    """Length of a boot loader or an app that is whole and of this board's chip. Raises ValueError."""
    if len(content) < _HEADER or content[0] != _MAGIC:
        raise ValueError(f"no image: there is no {what} in it")
    chip = _CHIPS.get(struct.unpack_from("<H", content, 12)[0], "an unknown chip")
    if chip != chip_name(board.chip):
        raise ValueError(f"its {what} is for {chip}, not for {chip_name(board.chip)}")
    try:
        part: Any = LoadFirmwareImage(chip, content)
    except (FatalError, struct.error, RuntimeError, IndexError, TypeError) as error:
        raise ValueError(f"its {what} is damaged or cut short") from error
    if not part.append_digest:
        raise ValueError(f"its {what} carries no SHA-256")
    if part.stored_digest != part.calc_digest:
        raise ValueError(f"its {what} is damaged: the SHA-256 in it does not match")
    if part.checksum != part.calculate_checksum():
        raise ValueError(f"its {what} is damaged: the checksum in it does not match")
    length: int = part.data_length + len(part.stored_digest)
    return length


def _version(app: bytes) -> str:
    found = _BANNER.search(app)
    if not found:
        raise ValueError("there is no MicroPython in it")
    return found[1].decode()
