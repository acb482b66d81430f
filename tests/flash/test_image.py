"""What is said of an image before anything is erased: it is missing, damaged, of another chip, too old, too large."""

import hashlib
from pathlib import Path

import pytest
from images import STOCK, app, board_of, image, part

from host_tools import boards
from host_tools.device import image as images
from host_tools.device import partitions
from host_tools.device.partitions import Partition
from host_tools.errors import InputError

ESP32, S3, STOCK_BOARD = boards.load("esp32-sn65hvd230"), board_of("esp32s3"), boards.load("esp32-mcp2515")


def said(tmp_path: Path, content: bytes, board: boards.Board = ESP32, sha256: str = "") -> str:
    """What is wrong with this image, in one line."""
    path = tmp_path / "image.bin"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        images.read(path, board, sha256)
    told = str(caught.value)
    assert str(path) in told and "\n" not in told
    return told


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
def test_good_image_is_read(tmp_path: Path, chip: str) -> None:
    board = board_of(chip)
    path = tmp_path / "image.bin"
    path.write_bytes(image(board))
    found = images.read(path, board, hashlib.sha256(path.read_bytes()).hexdigest().upper())
    assert (found.address, found.table, found.has_can) == (board.flash_offset, STOCK, True)
    assert boards.version(found.micropython) >= boards.version(board.micropython)


def test_build_without_can_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(image(ESP32, app(can=False)))
    assert not images.read(path, ESP32).has_can


def test_other_table_takes_the_place_of_the_own_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(image(ESP32))
    found = images.read(path, ESP32)
    table = partitions.plan(ESP32)
    changed = found.with_table(table)
    assert len(changed) == len(found.content)
    assert {i // 4096 for i, (a, b) in enumerate(zip(changed, found.content, strict=True)) if a != b} == {0x7000 // 4096}
    path.write_bytes(changed)
    assert images.read(path, ESP32).table == table


def test_missing_image_says_which_to_get(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes ESP32_GENERIC 1.25 or newer .*ESP32_GENERIC-20250415-v1.25.0.bin"):
        images.read(tmp_path / "none.bin", STOCK_BOARD)
    with pytest.raises(InputError, match=r"takes ESP32_GENERIC 1.29 or newer, built with machine.CAN as docs/boards.md shows"):
        images.read(tmp_path / "none.bin", ESP32)
    with pytest.raises(InputError, match="cannot read"):
        images.read(tmp_path, ESP32)


def test_other_sha256(tmp_path: Path) -> None:
    content = image(ESP32)
    assert hashlib.sha256(content).hexdigest() in said(tmp_path, content, sha256="0" * 64)


def test_image_of_another_chip(tmp_path: Path) -> None:
    assert "its boot loader is for ESP32, not for ESP32-S3" in said(tmp_path, image(ESP32), S3)
    mixed = bytearray(image(ESP32))
    mixed[0xF000:] = part("esp32c3", app())
    assert "its app is for ESP32-C3, not for ESP32" in said(tmp_path, bytes(mixed))


def test_image_that_is_too_old(tmp_path: Path) -> None:
    assert "it is MicroPython 1.24.1, which is too old" in said(tmp_path, image(ESP32, app("1.24.1")))


def test_app_without_micropython(tmp_path: Path) -> None:
    assert "there is no MicroPython in it" in said(tmp_path, image(ESP32, bytes(5000)))


@pytest.mark.parametrize("content", [b"", b"\xe9", b"\xe9" + bytes(30), bytes(5000), b"<html>" * 900, b"\xe9" * 5000])
def test_no_image_at_all(tmp_path: Path, content: bytes) -> None:
    assert "image" in said(tmp_path, content) or "boot loader" in said(tmp_path, content)


def test_app_alone_is_no_complete_image(tmp_path: Path) -> None:
    assert "no complete image: where its partition table should be" in said(tmp_path, part("esp32", app()))


@pytest.mark.parametrize("kept", [0x800, 0x5000, 0x7010, 0x7FFF, 0xF000, 0xF017, 0xF400, -40, -32, -1])
def test_truncated_image(tmp_path: Path, kept: int) -> None:
    said(tmp_path, image(ESP32)[:kept])


@pytest.mark.parametrize("at", [100, 0x1000, 0x7004, 0x7070, 0xF020, 0xF100, 0xF000 + 9_000, -33, -1])
def test_flipped_bit(tmp_path: Path, at: int) -> None:
    content = bytearray(image(ESP32))
    content[at] ^= 4
    said(tmp_path, bytes(content))


def test_wrong_checksum_under_a_right_digest(tmp_path: Path) -> None:
    content, loader = bytearray(image(ESP32)), len(part("esp32", bytes(range(256)) * 20))
    content[loader - 33] ^= 1  # the checksum is the last byte before the digest
    content[loader - 32 : loader] = hashlib.sha256(content[: loader - 32]).digest()
    assert "its boot loader is damaged: the checksum" in said(tmp_path, bytes(content))


def test_image_without_a_digest(tmp_path: Path) -> None:
    content = bytearray(image(ESP32))
    content[0xF000:] = part("esp32", app(), digest=False)
    assert "its app carries no SHA-256" in said(tmp_path, bytes(content))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ([Partition("nvs", 1, 2, 0x9000, 0x6000)], "has no app"),
        ([Partition("factory", 0, 0, 0x20000, 0x100000)], "no app in it"),
        ([Partition("factory", 0, 0, 0x10000, 0x2000)], "does not fit into the 8,192"),
    ],
)
def test_app_that_is_elsewhere_or_has_no_room(tmp_path: Path, table: list[Partition], says: str) -> None:
    assert says in said(tmp_path, image(ESP32, table=table))


def test_app_at_another_address(tmp_path: Path) -> None:
    content = image(ESP32, table=[Partition("factory", 0, 0, 0x20000, 0x100000)]).ljust(0x1F000, b"\xff")
    assert "bytes at 0x20000 does not fit" in said(tmp_path, content + part("esp32", app()))


def test_app_that_is_too_large_for_the_plan(tmp_path: Path) -> None:
    roomy = [Partition("factory", 0, 0, 0x10000, 0x300000)]
    assert "does not fit into the 2,031,616" in said(tmp_path, image(ESP32, app(size=2_100_000), roomy))


def test_more_behind_the_app_than_there_is_room_for(tmp_path: Path) -> None:
    assert "does not fit" in said(tmp_path, image(ESP32).ljust(0x1FF001, b"\0"))
