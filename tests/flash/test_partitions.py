"""Partition tables for 4, 8 and 16 MB: read back by another reader, and damaged as a boot loader would not have them."""

import hashlib
import itertools
import struct
from dataclasses import replace

import pytest
from images import STOCK, board_of

from host_tools import boards
from host_tools.device import partitions
from host_tools.device.partitions import Partition

MIB = 1 << 20
PLANS = [(4, 1), (8, 4), (16, 8)]
# SHA-256 of the tables, whose bytes mp-image-tool-esp32 0.1.1 makes alike from what it reads in them.
GOLDEN = {
    4: "6b563d72759acea79877ee6665dd4c3113fe8413ecb05367f8d4444de7e0f130",
    8: "d44da81870ad76ac6ef4b35b0150c4eb408b21b55c88ffd10375c79321a73dde",
    16: "dc5b45df615e9bb53e6859756dcfde7f9b3f3a679f14aaf5d4e24063db2162f8",
}


def made(flash: int, outbox: int) -> list[Partition]:
    return partitions.plan(replace(board_of("esp32"), flash_size=flash * MIB, outbox_size=outbox * MIB))


def rows_of(content: bytes) -> list[tuple[str, int, int, int, int]]:
    """As ESP-IDF's guide to partition tables has it: name, type, subtype, offset, size."""
    rows = []
    for i in range(len(content) // 32):
        row = content[32 * i : 32 * i + 32]
        if row[:2] == b"\xeb\xeb":
            assert row[16:].hex() == hashlib.md5(content[: 32 * i]).hexdigest()
            assert set(content[32 * i + 32 :]) == {0xFF}
            return rows
        assert row[:2] == b"\xaa\x50"
        offset, size = (int.from_bytes(row[at : at + 4], "little") for at in (4, 8))
        rows.append((row[12:28].rstrip(b"\0").decode(), row[2], row[3], offset, size))
    raise AssertionError("no MD5")


@pytest.mark.parametrize(("flash", "outbox"), PLANS)
def test_table_reads_back_and_fills_the_flash(flash: int, outbox: int) -> None:
    content = partitions.encode(made(flash, outbox))
    assert len(content) == 0xC00 and hashlib.sha256(content).hexdigest() == GOLDEN[flash]
    rows = rows_of(content)
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


@pytest.mark.parametrize("board", [b for b in boards.load_all() if b.chip != boards.SIMULATED], ids=lambda b: b.name)
def test_every_board_has_a_table(board: boards.Board) -> None:
    assert partitions.plan(board)[-1].end == board.flash_size


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
