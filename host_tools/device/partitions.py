"""Partition tables in ESP-IDF's format: made from a board's plan, and read from an image.

A table is a sector at 0x8000: rows of 32 bytes, at their end one with the MD5 of those before it, then 0xFF. What MicroPython
looks for: `nvs` and `phy_init` for the radio, the app at 0x10000 (`factory`), littlefs in `vfs`. pigtail adds `outbox`.
"""

import hashlib
import struct
from dataclasses import dataclass

from host_tools.boards import SECTOR, Board

ADDRESS = 0x8000
APP, DATA = 0, 1
FACTORY, PHY, NVS, UNDEFINED, FAT = 0x00, 0x01, 0x02, 0x06, 0x81
_ROW = struct.Struct("<HBBII16sI")
_MAGIC = 0x50AA
_MD5 = b"\xeb\xeb" + b"\xff" * 14
_TABLE_SIZE = 0xC00  # the rest of the sector is for a signature
_APP_ALIGNMENT = 0x10000
_VFS = 0x200000  # where stock tables begin it, too


@dataclass(frozen=True)
class Partition:
    """One row; offset and size in bytes."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


def plan(board: Board) -> list[Partition]:
    """The table for this board: stock MicroPython's, with the outbox at the end and the file system in what is left."""
    outbox = board.flash_size - board.outbox_size
    table = [
        Partition("nvs", DATA, NVS, 0x9000, 0x6000),
        Partition("phy_init", DATA, PHY, 0xF000, 0x1000),
        Partition("factory", APP, FACTORY, 0x10000, _VFS - 0x10000),
        Partition("vfs", DATA, FAT, _VFS, outbox - _VFS),
    ]
    if board.outbox_size:
        table.append(Partition("outbox", DATA, UNDEFINED, outbox, board.outbox_size))
    return table


def encode(table: list[Partition]) -> bytes:
    """The sector's first 3 KiB."""
    rows = b"".join(
        _ROW.pack(_MAGIC, p.type, p.subtype, p.offset, p.size, p.name.encode(), p.flags) for p in table
    )
    return (rows + _MD5 + hashlib.md5(rows).digest()).ljust(_TABLE_SIZE, b"\xff")


def decode(content: bytes) -> list[Partition]:
    """The rows of a table. Raises ValueError with what is wrong with it."""
    table: list[Partition] = []
    for at in range(0, min(len(content), _TABLE_SIZE) - _ROW.size + 1, _ROW.size):
        row = content[at : at + _ROW.size]
        if row == b"\xff" * _ROW.size:
            raise ValueError("it has no MD5 row" if table else "it is blank")
        if row[:16] == _MD5:
            if row[16:] != hashlib.md5(content[:at]).digest():
                raise ValueError("its MD5 does not match")
            _check(table)
            return table
        magic, kind, subtype, offset, size, name, flags = _ROW.unpack(row)
        if magic != _MAGIC:
            raise ValueError("it is none")
        label = name.split(b"\0")[0].decode("ascii", "replace")
        table.append(Partition(label, kind, subtype, offset, size, flags))
    raise ValueError("it has no end")


def find(table: list[Partition], name: str) -> Partition | None:
    """The partition of that name, if there is one."""
    return next((partition for partition in table if partition.name == name), None)


def _check(table: list[Partition]) -> None:
    """Whether the boot loader takes it: in order, aligned, no two in the same place."""
    end = ADDRESS + SECTOR
    for partition in sorted(table, key=lambda p: p.offset):
        if partition.offset < end:
            raise ValueError(f"its partition {partition.name} overlaps another")
        if partition.offset % (_APP_ALIGNMENT if partition.type == APP else SECTOR):
            raise ValueError(f"its partition {partition.name} is not aligned")
        end = partition.end
