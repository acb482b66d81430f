"""Partition tables for 4, 8 and 16 MB: read back by mp-image-tool-esp32, and damaged as a boot loader would not have them."""

import itertools
import struct
from dataclasses import replace

import pytest
from images import STOCK, board_of, read_by_mp_image_tool

from host_tools import boards
from host_tools.boards import SECTOR, Board
from host_tools.device import partitions
from host_tools.device.partitions import Partition

MIB = 1 << 20
PLANS = [(4, 1), (8, 4), (16, 8)]
REAL = [board for board in boards.load_all() if board.chip != boards.SIMULATED]


def made(flash: int, outbox: int, board: Board | None = None) -> list[Partition]:
    return partitions.plan(replace(board or board_of("esp32"), flash_size=flash * MIB, outbox_size=outbox * MIB))


@pytest.mark.parametrize("board", REAL, ids=lambda b: b.name)
@pytest.mark.parametrize(("flash", "outbox"), PLANS)
def test_mp_image_tool_reads_every_row_and_makes_the_same_table_of_them(board: Board, flash: int, outbox: int) -> None:
    table = made(flash, outbox, board)
    content = partitions.encode(table)
    read = read_by_mp_image_tool(content, flash * MIB)
    assert [Partition(p.name, p.type, p.subtype, p.offset, p.size, p.flags) for p in read] == table
    assert read.to_bytes() == content.ljust(SECTOR, b"\xff") and len(content) == 0xC00  # its MD5 is in it


@pytest.mark.parametrize(("flash", "outbox"), PLANS)
def test_table_fills_the_flash(flash: int, outbox: int) -> None:
    rows = [tuple(p) for p in read_by_mp_image_tool(partitions.encode(made(flash, outbox)), flash * MIB)]
    rows = [(label.rstrip(b"\0").decode(), *row) for _, *row, label, _ in rows]
    assert [row[0] for row in rows] == ["nvs", "phy_init", "factory", "vfs", "outbox"]
    assert rows[:3] == [("nvs", 1, 2, 0x9000, 0x6000), ("phy_init", 1, 1, 0xF000, 0x1000), ("factory", 0, 0, 0x10000, 0x1F0000)]
    assert all(row[3] + row[4] == following[3] for row, following in itertools.pairwise(rows))
    assert rows[3][1:4] == (1, 0x81, 0x200000)
    assert rows[4] == ("outbox", 1, 6, (flash - outbox) * MIB, outbox * MIB)


@pytest.mark.parametrize(("flash", "outbox"), [*PLANS, (4, 0)])
def test_table_is_read_as_it_was_made(flash: int, outbox: int) -> None:
    table = made(flash, outbox)
    assert partitions.decode(partitions.encode(table)) == table
    assert (partitions.find(table, "outbox") is None) == (outbox == 0)


@pytest.mark.parametrize("board", REAL, ids=lambda b: b.name)
def test_every_board_has_a_table(board: Board) -> None:
    table = partitions.plan(board)
    assert table[-1].end == board.flash_size
    assert [p.name for p in read_by_mp_image_tool(partitions.encode(table), board.flash_size)] == [p.name for p in table]


def changed(at: int, name: str = "", **fields: int) -> bytes:
    """The stock table with one row changed."""
    table = list(STOCK)
    table[at] = replace(table[at], name=name or table[at].name, **fields)
    return partitions.encode(table)


GOOD = partitions.encode(STOCK)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no end"),
        (GOOD[:96], "no end"),
        (b"\xff" * 4096, "blank"),
        (GOOD[:96] + b"\xff" * 4000, "no MD5 row"),
        (bytes([GOOD[0] ^ 1]) + GOOD[1:], "it is none"),
        (GOOD[:40] + bytes([GOOD[40] ^ 1]) + GOOD[41:], "MD5 does not match"),
        (GOOD[:127] + bytes([GOOD[127] ^ 1]) + GOOD[128:], "MD5 does not match"),
        (changed(0, offset=0x8000), "nvs overlaps"),
        (changed(2, offset=0xF000), "overlaps"),
        (changed(1, offset=0xF100, size=0x100), "phy_init is not aligned"),
        (changed(2, offset=0x11000), "factory is not aligned"),
    ],
)
def test_damaged_table_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        partitions.decode(content)


def test_table_whose_rows_never_end_is_refused() -> None:
    row = struct.pack("<HBBII16sI", 0x50AA, 1, 6, 0x9000, 0x1000, b"x", 0)
    with pytest.raises(ValueError, match="no end"):
        partitions.decode(row * 128)
