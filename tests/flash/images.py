"""Images of MicroPython as its ESP32 port makes them, with little in them: boot loader, partition table, app."""

import random
from typing import Any

from esptool import bin_image
from mp_image_tool_esp32.partition_table import PartitionTable

from host_tools import boards
from host_tools.boards import Board
from host_tools.device import partitions
from host_tools.device.partitions import Partition

KINDS = {
    "esp32": (bin_image.ESP32FirmwareImage, 0x40080000),
    "esp32s3": (bin_image.ESP32S3FirmwareImage, 0x40378000),
    "esp32c3": (bin_image.ESP32C3FirmwareImage, 0x40380000),
}
STOCK = [
    Partition("nvs", 1, 2, 0x9000, 0x6000),
    Partition("phy_init", 1, 1, 0xF000, 0x1000),
    Partition("factory", 0, 0, 0x10000, 0x1F0000),
]


def part(chip: str, content: bytes, digest: bool = True) -> bytes:
    """A boot loader or an app."""
    kind, address = KINDS[chip]
    image: Any = kind(append_digest=digest)
    image.entrypoint = address
    image.segments = [bin_image.ELFSection(b".iram0.text", address, content, 0)]
    image.flash_size_freq = 0x20  # 4 MB
    made: bytes = image.save(None)
    return made


def app(version: str = "1.29.0", size: int = 10_000, can: bool = True) -> bytes:
    """What is in an app; half of it does not compress."""
    banner = f"MicroPython v{version} on 2025-04-15; Generic".encode() + (b"\0get_counters\0" if can else b"")
    return banner + random.Random(1).randbytes(size // 2) + bytes(size // 2)


def image(
    board: Board, content: bytes | None = None, table: list[Partition] | None = None, loader: bytes = bytes(range(256)) * 20
) -> bytes:  # fmt: skip
    """A complete image for this board, with stock MicroPython's table unless told otherwise."""
    pieces = [
        (board.flash_offset, part(board.chip, loader)),
        (partitions.ADDRESS, partitions.encode(STOCK if table is None else table)),
        (0x10000, part(board.chip, app() if content is None else content)),
    ]
    made = b""
    for address, piece in pieces:
        made = made.ljust(address - board.flash_offset, b"\xff") + piece
    return made


def board_of(chip: str) -> Board:
    """A board with that chip."""
    return next(board for board in boards.load_all() if board.chip == chip)


def read_by_mp_image_tool(table: bytes, flash_size: int) -> PartitionTable:
    """What another parser finds in a table. Raises what it raises: no table, MD5, overlap, alignment, more than the flash has."""
    found = PartitionTable.from_bytes(table, flash_size)
    found.check()
    return found
