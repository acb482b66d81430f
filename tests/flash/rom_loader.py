"""A model of the boot loader in an ESP32's ROM, and of esptool's stub, on a pseudo-terminal: SLIP frames in, SLIP frames out.

It keeps a flash chip with NOR's ways, checks each command against what came before, and writes down in `violations` what a chip
would have choked on. `commands` are those that it took, with their numbers. Protocol: Espressif's "Serial Protocol" pages.
"""

import hashlib
import os
import select
import struct
import threading
import tty
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

OPS = {
    0x02: "FLASH_BEGIN", 0x03: "FLASH_DATA", 0x04: "FLASH_END", 0x05: "MEM_BEGIN", 0x06: "MEM_END", 0x07: "MEM_DATA",
    0x08: "SYNC", 0x09: "WRITE_REG", 0x0A: "READ_REG", 0x0B: "SPI_SET_PARAMS", 0x0D: "SPI_ATTACH", 0x0E: "READ_FLASH_SLOW",
    0x0F: "CHANGE_BAUDRATE", 0x10: "FLASH_DEFL_BEGIN", 0x11: "FLASH_DEFL_DATA", 0x12: "FLASH_DEFL_END", 0x13: "SPI_FLASH_MD5",
    0x14: "GET_SECURITY_INFO", 0xD0: "ERASE_FLASH", 0xD1: "ERASE_REGION", 0xD2: "READ_FLASH",
}  # fmt: skip
CHANGES = {"FLASH_BEGIN", "FLASH_DATA", "FLASH_DEFL_BEGIN", "FLASH_DEFL_DATA", "ERASE_FLASH", "ERASE_REGION"}
_STUB_ONLY = {"ERASE_FLASH", "ERASE_REGION", "READ_FLASH"}
_SLOW_BLOCK = 64  # bytes that the ROM reads at once
_CHIP_MAGIC = 0x40001000
_SPI_USR = 1 << 18  # in SPI_CMD
_SYNCED = 0x20120707
_INVALID, _WRONG, _CHECKSUM = 0x05, 0x06, 0x07  # ROM's reasons
_SECTOR = 4096
_USED = 0xA5  # what lies on the flash before


@dataclass(frozen=True)
class Chip:
    """What differs between the chips."""

    name: str
    chip_id: int | None  # in its answer to GET_SECURITY_INFO; None: the ROM does not know that command
    magic: int
    spi: int  # address of SPI_CMD of the flash's controller
    usr2: int  # offset of the register with the flash chip's command
    w0: int  # offset of the data
    begin_words: int  # of FLASH_BEGIN
    crypt: int = 0  # address of the fuses that count flash encryption


ESP32 = Chip("ESP32", None, 0x00F01D83, 0x3FF42000, 0x24, 0x80, 4, 0x3FF5A000)
ESP32S3 = Chip("ESP32-S3", 9, 0, 0x60002000, 0x20, 0x58, 5, 0x60007034)
ESP32C3 = Chip("ESP32-C3", 5, 0, 0x60002000, 0x20, 0x58, 5, 0x60008834)


class Refused(Exception):
    """The answer is a failure, for this reason."""


@dataclass
class _Write:
    """One FLASH_BEGIN or FLASH_DEFL_BEGIN, and how far its data came."""

    at: int
    left: int  # bytes
    blocks: int
    block: int
    inflate: "zlib._Decompress | None"
    sequence: int = -1


@dataclass
class RomLoader:
    """A chip at `port`, with `flash`. The hooks change what arrives or what is answered, by the command's name; `refuses` maps a
    name to the reason of its failure."""

    chip: Chip
    flash_size: int = 4 << 20
    on_request: Callable[[str, bytes], bytes] = lambda name, packet: packet
    on_answer: Callable[[str, bytes], bytes] = lambda name, frame: frame
    refuses: dict[str, int] = field(default_factory=dict)
    registers: dict[int, int] = field(default_factory=dict)
    commands: list[tuple[object, ...]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    is_stub: bool = False

    def __post_init__(self) -> None:
        self.flash = bytearray([_USED]) * self.flash_size
        self._attached = self._synced = False
        self._size = 0  # of the flash, as far as the loader was told
        self._ram: dict[int, bytearray] = {}
        self._loading: bytearray | None = None
        self._write: _Write | None = None
        self._unread: list[bytes] = []  # what READ_FLASH still has to hand over, its MD5 last
        self._read = 0  # bytes
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes the chip from the port."""
        self._over.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def names(self) -> list[str]:
        """The commands, without those that are repeated at once, and without registers."""
        found: list[str] = []
        for name, *_ in self.commands:
            if name not in ("READ_REG", "WRITE_REG", *found[-1:]):
                found.append(str(name))
        return found

    @property
    def is_untouched(self) -> bool:
        """Whether the flash is as it was."""
        return self.flash == bytes([_USED]) * self.flash_size and not CHANGES & {str(name) for name, *_ in self.commands}

    def _run(self) -> None:
        frame, escaped = None, False
        while not self._over.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            for byte in os.read(self._master, 65536):
                if byte == 0xC0:
                    if frame:
                        self._heard(bytes(frame))
                    frame = None if frame else bytearray()
                elif frame is not None:
                    if escaped:
                        frame.append({0xDC: 0xC0, 0xDD: 0xDB}.get(byte, byte))
                    elif byte != 0xDB:
                        frame.append(byte)
                    escaped = byte == 0xDB and not escaped

    def _heard(self, packet: bytes) -> None:
        if self._unread:
            return self._hand_over(packet)
        name = OPS.get(packet[1] if len(packet) > 1 else -1, "?")
        packet = self.on_request(name, packet)
        if len(packet) < 8 or packet[0] != 0:
            return None
        op, size, check = struct.unpack_from("<xBHI", packet)
        data = packet[8:]
        if not self._knows(name):
            for _ in range(8):
                self._answer(name, struct.pack("<BBHI", 1, 0xFF, 4, 0) + bytes([1, _INVALID, 0, 0]))
            return None
        try:
            if size != len(data):
                raise Refused(_INVALID)
            if name in self.refuses:
                raise Refused(self.refuses[name])
            value, body = self._obey(name, data, check)
            status = bytes(2)
        except Refused as refusal:
            value, body, status = 0, b"", bytes([1, refusal.args[0]])
        if not self.is_stub or name == "MEM_END":
            status += bytes(2)
        answer = struct.pack("<BBHI", 1, op, len(body) + len(status), value) + body + status
        for _ in range(8 if name == "SYNC" else 1):
            self._answer(name, answer)
        if name == "MEM_END" and self.is_stub:
            self._answer("OHAI", b"OHAI")
        if self._unread:
            self._hand_over(None)
        return None

    def _knows(self, name: str) -> bool:
        if name == "GET_SECURITY_INFO":
            return self.chip.chip_id is not None
        return name != "?" and (self.is_stub or name not in _STUB_ONLY)

    def _answer(self, name: str, packet: bytes) -> None:
        frame = b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
        if frame := self.on_answer(name, frame):
            os.write(self._master, frame)

    def _obey(self, name: str, data: bytes, check: int) -> tuple[int, bytes]:
        """Value and body of the answer."""
        if name.endswith("_DATA"):
            header, block = struct.unpack_from("<II", data), data[16:]
            self.commands.append((name, *header))
            if len(block) != header[0]:
                raise Refused(_INVALID)
            if check != _sum(block):
                raise Refused(_CHECKSUM)
            self._take(name, header[1], block)
            return 0, b""
        words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
        self.commands.append((name, *words))
        if name == "SYNC":
            self._synced = True
            return _SYNCED, b""
        if not self._synced:
            self._violated(f"{name} before SYNC")
        reply = getattr(self, "_" + name.lower())(*words)
        return reply if isinstance(reply, tuple) else (reply or 0, b"")

    def _violated(self, what: str) -> None:
        self.violations.append(what)
        raise Refused(_WRONG)

    # Registers: the flash chip's own commands go through its controller

    def _read_reg(self, address: int) -> int:
        return self.chip.magic if address == _CHIP_MAGIC else self.registers.get(address, 0)

    def _write_reg(self, address: int, value: int, mask: int, delay_us: int) -> None:
        self.registers[address] = self.registers.get(address, 0) & ~mask | value & mask
        if address == self.chip.spi and value & _SPI_USR:
            self.registers[address] = 0  # done
            code = self.registers.get(self.chip.spi + self.chip.usr2, 0) & 0xFF
            answers = {0x9F: 0x4020 | (self.flash_size.bit_length() - 1) << 16, 0x5A: 0x50444653}  # RDID, RDSFDP
            self.registers[self.chip.spi + self.chip.w0] = answers.get(code, 0)

    def _get_security_info(self) -> tuple[int, bytes]:
        return 0, struct.pack("<I8BII", 0, *[0] * 8, self.chip.chip_id, 0)

    def _change_baudrate(self, baud: int, before: int) -> None:
        if bool(before) != self.is_stub:
            self._violated("CHANGE_BAUDRATE: only the stub is told the rate before")

    # RAM: where the stub goes

    def _mem_begin(self, size: int, blocks: int, block: int, address: int) -> None:
        self._ram[address] = self._loading = bytearray()

    def _mem_end(self, stays: int, entry: int) -> None:
        if not any(begin <= entry < begin + len(loaded) for begin, loaded in self._ram.items()):
            self._violated("MEM_END: jumps to where nothing was loaded")
        self.is_stub = self._attached = not stays

    # Flash

    def _spi_attach(self, pins: int, legacy: int = 0) -> None:
        self._attached = True

    def _spi_set_params(self, ident: int, size: int, block: int, sector: int, page: int, mask: int) -> None:
        if (block, sector, page, mask) != (65536, _SECTOR, 256, 0xFFFF):
            self._violated("SPI_SET_PARAMS: not of such a flash")
        self._size = size

    def _check_readable(self, at: int, size: int) -> None:
        if not self._attached or not self._size or at + size > min(self._size, self.flash_size):
            self._violated(f"reads {size:#x} bytes at {at:#x}")

    def _read_flash_slow(self, at: int, size: int) -> tuple[int, bytes]:
        self._check_readable(at, size)
        if size > _SLOW_BLOCK:
            self._violated("READ_FLASH_SLOW: more than the ROM reads at once")
        return 0, bytes(self.flash[at : at + size]).ljust(_SLOW_BLOCK, b"\0")

    def _read_flash(self, at: int, size: int, block: int, window: int) -> None:
        self._check_readable(at, size)
        content, self._read = bytes(self.flash[at : at + size]), 0
        self._unread = [content[i : i + block] for i in range(0, size, block)] + [hashlib.md5(content).digest()]

    def _hand_over(self, acknowledgement: bytes | None) -> None:
        """The next block, when the bytes that came so far have been acknowledged."""
        if acknowledgement is not None and acknowledgement != struct.pack("<I", self._read):
            self.violations.append(f"READ_FLASH: {acknowledgement.hex()} acknowledges other than {self._read} bytes")
        block = self._unread.pop(0)
        self._read += len(block)
        self._answer("READ_FLASH", block)

    def _erase_flash(self) -> None:
        self.flash[:] = b"\xff" * self.flash_size

    def _erase_region(self, at: int, size: int) -> None:
        self._erase(at, size)

    def _erase(self, at: int, size: int) -> None:
        if not self._attached or not self._size:
            self._violated("flash before SPI_ATTACH and SPI_SET_PARAMS")
        if at % _SECTOR or at + size > min(self._size, self.flash_size):
            self._violated(f"erases {size:#x} bytes at {at:#x}")
        end = (at + size + _SECTOR - 1) // _SECTOR * _SECTOR
        self.flash[at:end] = b"\xff" * (end - at)

    def _flash_begin(self, size: int, blocks: int, block: int, at: int, *encrypted: int) -> None:
        self._begin(size, blocks, block, at, encrypted, None)

    def _flash_defl_begin(self, size: int, blocks: int, block: int, at: int, *encrypted: int) -> None:
        self._begin(size, blocks, block, at, encrypted, zlib.decompressobj())

    def _begin(
        self, size: int, blocks: int, block: int, at: int, more: tuple[int, ...], inflate: "zlib._Decompress | None"
    ) -> None:
        if 4 + len(more) != (5 if self.is_stub else self.chip.begin_words) or any(more):
            self._violated("FLASH_BEGIN: not the numbers that this loader takes")
        self._erase(at, size)
        self._write = _Write(at, size, blocks, block, inflate)

    def _flash_end(self, stays: int) -> None:
        if self._write is None or self._write.left:
            self._violated("FLASH_END before all that was announced has come")

    _flash_defl_end = _flash_end

    def _take(self, name: str, sequence: int, block: bytes) -> None:
        if name == "MEM_DATA":
            if self._loading is None:
                return self._violated("MEM_DATA before MEM_BEGIN")
            self._loading += block
            return None
        write = self._write
        if write is None or (write.inflate is None) != (name == "FLASH_DATA"):
            return self._violated(f"{name} before its BEGIN")
        if sequence == write.sequence:
            return None  # again: its answer was lost
        if sequence != write.sequence + 1 or sequence >= write.blocks or len(block) > write.block:
            return self._violated(f"{name}: block {sequence} of {len(block)} bytes after {write.sequence}")
        write.sequence = sequence
        content = write.inflate.decompress(block) if write.inflate else block[: write.left]
        if set(self.flash[write.at : write.at + len(content)]) - {0xFF}:
            return self._violated(f"{name}: programs what is not erased, at {write.at:#x}")
        if len(content) > write.left:
            return self._violated(f"{name}: more than was announced")
        self.flash[write.at : write.at + len(content)] = content
        write.at, write.left = write.at + len(content), write.left - len(content)
        return None

    def _spi_flash_md5(self, at: int, size: int, *zero: int) -> tuple[int, bytes]:
        digest = hashlib.md5(self.flash[at : at + size])
        return 0, digest.digest() if self.is_stub else digest.hexdigest().encode()


def _sum(block: bytes) -> int:
    check = 0xEF
    for byte in block:
        check ^= byte
    return check
