"""The real esptool against a model of the boot loaders of an ESP32, an S3 and a C3: what it sends, and what comes of faults."""

import struct
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from random import Random

import esptool
import pytest
from images import STOCK, app, board_of, image, read_by_mp_image_tool
from rom_loader import ESP32, ESP32C3, ESP32S3, Chip, RomLoader

from host_tools.boards import SECTOR, Board
from host_tools.device import flashing, partitions
from host_tools.device import image as images
from host_tools.device.flashing import Flashed, FlashFailed
from host_tools.errors import InputError, SetupError

CHIPS = {"esp32": ESP32, "esp32s3": ESP32S3, "esp32c3": ESP32C3}
Plug = Callable[[RomLoader], RomLoader]


class Steps:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def step(self, what: str) -> None:
        self.steps.append(what)

    def written(self, done: int, total: int) -> None:
        self.progress.append((done, total))


def flashed(
    tmp_path: Path, loader: RomLoader, board: Board, own_table: bool = False, stub: bool = True, watcher: Steps | None = None,
    content: bytes = b"",
) -> Flashed:  # fmt: skip
    path = tmp_path / "image.bin"
    path.write_bytes(content or image(board))
    found = images.read(path, board)
    return flashing.flash(board, loader.port, found, watcher or Steps(), own_table, stub, attempts=1)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_image_is_on_the_flash_and_nothing_else(tmp_path: Path, plug: Plug, chip: str, stub: bool) -> None:
    board = board_of(chip)
    loader, watcher = plug(RomLoader(CHIPS[chip], board.flash_size)), Steps()
    done = flashed(tmp_path, loader, board, stub=stub, watcher=watcher)
    content = image(board)
    assert loader.violations == []
    begin, end = board.flash_offset, board.flash_offset + len(content)
    assert loader.flash[begin:end] == content
    assert set(loader.flash[:begin] + loader.flash[end:]) == {0xFF}
    assert done.chip.startswith(CHIPS[chip].name) and (done.flash_size, done.written) == (board.flash_size, len(content))
    assert watcher.steps == ["connecting", "erasing", "writing", "resetting"]
    assert watcher.progress == sorted(watcher.progress) and watcher.progress[-1][0] == watcher.progress[-1][1]


@pytest.mark.parametrize("chip", CHIPS)
def test_order_of_commands_with_the_stub(tmp_path: Path, plug: Plug, chip: str) -> None:
    board = board_of(chip)
    loader = plug(RomLoader(CHIPS[chip], board.flash_size))
    flashed(tmp_path, loader, board)
    asked = [] if chip == "esp32" else ["GET_SECURITY_INFO"]
    loaded = ["MEM_BEGIN", "MEM_DATA", "MEM_BEGIN", "MEM_DATA", "MEM_END", "CHANGE_BAUDRATE"]
    written = ["ERASE_FLASH", "SPI_SET_PARAMS", "FLASH_DEFL_BEGIN", "FLASH_DEFL_DATA", "FLASH_DEFL_END", "SPI_FLASH_MD5"]
    assert loader.names() == ["SYNC", *asked, *loaded, *written]
    size = len(image(board))
    begin = next(numbers for name, *numbers in loader.commands if name == "FLASH_DEFL_BEGIN")
    assert (begin[0], begin[3]) == (size, board.flash_offset)
    assert ("SPI_FLASH_MD5", board.flash_offset, size, 0, 0) in loader.commands


@pytest.mark.parametrize("chip", CHIPS)
def test_order_of_commands_with_the_loader_in_rom(tmp_path: Path, plug: Plug, chip: str) -> None:
    board = board_of(chip)
    loader = plug(RomLoader(CHIPS[chip], board.flash_size))
    flashed(tmp_path, loader, board, stub=False)
    asked = [] if chip == "esp32" else ["GET_SECURITY_INFO"]
    assert loader.names() == [
        "SYNC", *asked, "CHANGE_BAUDRATE", "SPI_ATTACH", "SPI_SET_PARAMS", "FLASH_BEGIN", "SPI_SET_PARAMS",
        "FLASH_BEGIN", "FLASH_DATA", "SPI_FLASH_MD5",
    ]  # fmt: skip
    size = len(image(board))
    erase, write = [numbers for name, *numbers in loader.commands if name == "FLASH_BEGIN"]
    assert (erase[0], erase[3]) == (board.flash_size, 0)
    assert write[:4] == [size, -(-size // 1024), 1024, board.flash_offset]


@pytest.mark.parametrize("chip", CHIPS)
def test_table_of_the_board_and_the_size_of_its_flash(tmp_path: Path, plug: Plug, chip: str) -> None:
    board = board_of(chip)
    loader = plug(RomLoader(CHIPS[chip], board.flash_size))
    done = flashed(tmp_path, loader, board, own_table=True)
    assert done.own_table and loader.violations == []
    assert partitions.decode(bytes(loader.flash[0x8000:0x9000])) == partitions.plan(board)
    assert loader.flash[board.flash_offset + 3] >> 4 == {4 << 20: 2, 8 << 20: 3}[board.flash_size]
    path = tmp_path / "read.bin"
    path.write_bytes(loader.flash[board.flash_offset : 0x1F0000])
    assert images.read(path, board).table == partitions.plan(board)  # digests and all


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("stub", [True, False], ids=["stub", "rom"])
def test_esptool_reads_the_table_back_and_mp_image_tool_reads_its_rows(
    tmp_path: Path, plug: Plug, chip: str, stub: bool
) -> None:
    board = board_of(chip)
    written = plug(RomLoader(CHIPS[chip], board.flash_size))
    flashed(tmp_path, written, board, own_table=True)
    loader = plug(RomLoader(CHIPS[chip], board.flash_size))  # after a reset
    loader.flash[:] = written.flash
    content = read_by_esptool(loader, partitions.ADDRESS, SECTOR, stub)
    assert loader.violations == [] and loader.names()[-1] == ("READ_FLASH" if stub else "READ_FLASH_SLOW")
    rows = [(p.name, p.type, p.subtype, p.offset, p.size, p.flags) for p in read_by_mp_image_tool(content, board.flash_size)]
    assert rows == [astuple(p) for p in partitions.plan(board)]


def read_by_esptool(loader: RomLoader, address: int, size: int, stub: bool) -> bytes:
    """As `esptool read-flash` does."""
    rom = esptool.detect_chip(loader.port, connect_attempts=1)
    try:
        chip = esptool.run_stub(rom) if stub else rom
        esptool.attach_flash(chip)
        return esptool.read_flash(chip, address, size, flash_size="detect")
    finally:
        rom._port.close()


def test_table_of_the_image_stays_unless_asked(tmp_path: Path, plug: Plug) -> None:
    board = board_of("esp32s3")
    loader = plug(RomLoader(ESP32S3, board.flash_size))
    assert not flashed(tmp_path, loader, board).own_table
    assert partitions.decode(bytes(loader.flash[0x8000:0x9000])) == STOCK
    assert loader.flash[3] >> 4 == 2


def test_larger_flash_than_the_boards_will_do(tmp_path: Path, plug: Plug) -> None:
    board = board_of("esp32c3")
    loader = plug(RomLoader(ESP32C3, 16 << 20))
    assert flashed(tmp_path, loader, board).flash_size == 16 << 20


@pytest.mark.parametrize(("chip", "there"), [("esp32", ESP32S3), ("esp32s3", ESP32C3), ("esp32c3", ESP32)])
def test_wrong_chip_is_refused_and_left_as_it_was(tmp_path: Path, plug: Plug, chip: str, there: Chip) -> None:
    loader = plug(RomLoader(there))
    with pytest.raises(InputError, match=f"is an {there.name}, but .* has an {CHIPS[chip].name}; nothing was changed"):
        flashed(tmp_path, loader, board_of(chip))
    assert loader.is_untouched


def test_smaller_flash_is_refused_and_left_as_it_was(tmp_path: Path, plug: Plug) -> None:
    loader = plug(RomLoader(ESP32S3, 4 << 20))
    with pytest.raises(InputError, match="the chip's flash has 4 MB, but esp32s3-can has 8 MB; nothing was changed"):
        flashed(tmp_path, loader, board_of("esp32s3"))
    assert loader.is_untouched


@pytest.mark.parametrize("chip", CHIPS)
def test_encrypted_flash_is_refused_and_left_as_it_was(tmp_path: Path, plug: Plug, chip: str) -> None:
    counted = {"esp32": 1 << 20, "esp32s3": 1 << 18, "esp32c3": 1 << 18}[chip]
    board = board_of(chip)
    loader = plug(RomLoader(CHIPS[chip], board.flash_size, registers={CHIPS[chip].crypt: counted}))
    with pytest.raises(InputError, match="encryption or secure boot switched on"):
        flashed(tmp_path, loader, board)
    assert loader.is_untouched


def test_silent_port(tmp_path: Path, plug: Plug) -> None:
    loader = plug(RomLoader(ESP32, on_request=lambda name, packet: b""))
    with pytest.raises(SetupError, match=f"no chip answers on {loader.port} .*hold BOOT"):
        flashed(tmp_path, loader, board_of("esp32"))
    assert loader.is_untouched


def test_port_that_is_not_there(tmp_path: Path, plug: Plug) -> None:
    loader = RomLoader(ESP32)
    loader.close()
    with pytest.raises(SetupError, match="no chip answers"):
        flashed(tmp_path, loader, board_of("esp32"))


def test_busy_port(tmp_path: Path, plug: Plug) -> None:
    import serial

    loader = plug(RomLoader(ESP32))
    with serial.Serial(loader.port, exclusive=True), pytest.raises(SetupError, match="no chip answers .*busy"):
        flashed(tmp_path, loader, board_of("esp32"))
    assert loader.is_untouched


def once(name: str, nth: int, change: Callable[[bytes], bytes]) -> tuple[Callable[[str, bytes], bytes], list[bytes]]:
    """A hook that changes the `nth` packet or frame of that name, and all of that name that it saw."""
    seen: list[bytes] = []

    def hook(this: str, content: bytes) -> bytes:
        if this == name:
            seen.append(content)
        return change(content) if this == name and len(seen) == nth else content

    return hook, seen


def cut(content: bytes) -> bytes:
    return content[:-7]


def flip(content: bytes) -> bytes:
    return content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize(("stub", "name"), [(True, "FLASH_DEFL_DATA"), (False, "FLASH_DATA")])
def test_lost_or_wrong_bytes_of_a_block_are_sent_again(
    tmp_path: Path, plug: Plug, stub: bool, name: str, damage: Callable[[bytes], bytes]
) -> None:
    board = board_of("esp32c3")
    content = image(board, app(size=80_000 if stub else 10_000))
    hook, sent = once(name, 2, damage)
    loader = plug(RomLoader(ESP32C3, on_request=hook))
    flashed(tmp_path, loader, board, stub=stub, content=content)
    assert sent[1] == sent[2] and len(set(sent)) == len(sent) - 1
    assert loader.violations == [] and loader.flash[: len(content)] == content


@pytest.mark.parametrize("damage", [lambda frame: b"", lambda frame: b"\x55" + frame[1:], lambda frame: b"\xc0\xdb\x01\xc0"])
@pytest.mark.parametrize(("stub", "name"), [(True, "FLASH_DEFL_DATA"), (False, "FLASH_DATA")])
def test_lost_or_damaged_answer_ends_the_write_and_is_told(
    tmp_path: Path, plug: Plug, stub: bool, name: str, damage: Callable[[bytes], bytes]
) -> None:
    loader = plug(RomLoader(ESP32C3, on_answer=once(name, 1, damage)[0]))
    with pytest.raises(FlashFailed):  # esptool does not listen again
        flashed(tmp_path, loader, board_of("esp32c3"), stub=stub)


def test_chip_that_falls_silent_while_it_is_written(tmp_path: Path, plug: Plug) -> None:
    loader = plug(RomLoader(ESP32C3, on_answer=lambda name, frame: b"" if name == "FLASH_DEFL_DATA" else frame))
    with pytest.raises(FlashFailed):
        flashed(tmp_path, loader, board_of("esp32c3"))


def test_chip_that_falls_silent_before_anything_is_erased(tmp_path: Path, plug: Plug) -> None:
    loader = plug(RomLoader(ESP32C3, on_answer=lambda name, frame: b"" if name == "MEM_DATA" else frame))
    with pytest.raises(SetupError, match="the chip stopped answering .*nothing was changed"):
        flashed(tmp_path, loader, board_of("esp32c3"))
    assert loader.is_untouched


def test_stub_that_does_not_report_is_not_waited_for_for_ever(
    tmp_path: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashing, "PATIENCE_S", 0.3)
    loader = plug(RomLoader(ESP32C3, on_answer=lambda name, frame: b"" if name == "OHAI" else frame))
    with pytest.raises(SetupError, match=r"the chip stopped answering \(Failed to start stub flasher.*nothing was changed"):
        flashed(tmp_path, loader, board_of("esp32c3"))
    assert loader.is_untouched


@pytest.mark.parametrize("seed", range(8))
def test_answer_mangled_anywhere_is_written_right_or_told(
    tmp_path: Path, plug: Plug, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flashing, "PATIENCE_S", 0.3)
    random, answers = Random(seed), 0
    at, board = random.randrange(3, 90), board_of("esp32c3")

    def mangled(name: str, frame: bytes) -> bytes:
        nonlocal answers
        answers += 1
        place = random.randrange(len(frame))
        changes = [frame[:place], frame[:place] + random.randbytes(5) + frame[place:], frame[:place] + frame[place + 1 :]]
        return random.choice(changes) if answers == at else frame

    loader = plug(RomLoader(ESP32C3, on_answer=mangled))
    try:
        flashed(tmp_path, loader, board)
    except SetupError:
        assert loader.is_untouched
    except FlashFailed:
        assert not loader.is_untouched
    else:
        assert loader.flash[: len(image(board))] == image(board)


@pytest.mark.parametrize(("stub", "name"), [(True, "ERASE_FLASH"), (False, "FLASH_BEGIN")])
def test_refused_erase_writes_nothing(tmp_path: Path, plug: Plug, stub: bool, name: str) -> None:
    loader = plug(RomLoader(ESP32, refuses={name: 0x08}))
    with pytest.raises(FlashFailed, match="Failed to "):
        flashed(tmp_path, loader, board_of("esp32"), stub=stub)
    assert not {"FLASH_DATA", "FLASH_DEFL_DATA"} & set(loader.names())


def test_flash_that_does_not_keep_what_was_written(tmp_path: Path, plug: Plug) -> None:
    board = board_of("esp32")
    loader = RomLoader(ESP32)

    def rots(name: str, packet: bytes) -> bytes:
        if name == "SPI_FLASH_MD5":
            at, size = struct.unpack_from("<II", packet, 8)
            loader.flash[at + size // 2] ^= 1
        return packet

    loader.on_request = rots
    with pytest.raises(FlashFailed, match="MD5"):
        flashed(tmp_path, plug(loader), board)


def test_reset_that_fails_takes_nothing_back(tmp_path: Path, plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(*arguments: object) -> None:
        raise OSError("unplugged")

    monkeypatch.setattr("esptool.reset_chip", unplugged)
    board = board_of("esp32c3")
    loader = plug(RomLoader(ESP32C3))
    assert flashed(tmp_path, loader, board).written == len(image(board))


def test_unknown_size_of_flash_is_refused(tmp_path: Path, plug: Plug) -> None:
    board = board_of("esp32c3")
    loader = RomLoader(ESP32C3)
    loader.flash_size = 3  # of no size that a flash chip tells
    with pytest.raises(InputError, match="a size that cannot be told"):
        flashed(tmp_path, plug(loader), board)
