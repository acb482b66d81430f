"""Serial ports of this machine, and which board may be at them."""

import os
import re
from dataclasses import dataclass

from serial.tools import list_ports

from host_tools.errors import InputError
from host_tools.paths import VIRTUAL_BOARDS

# What a USB chip tells of the board behind it: (vendor, product).
CHIPS = {
    (0x303A, 0x1001): "ESP32-S3, C3 or C6, its own USB",
    (0x303A, 0x4001): "ESP32-S2 or S3 with MicroPython",
    (0x303A, 0x0002): "ESP32-S2, ROM loader",
    (0x303A, 0x0009): "ESP32-S3, ROM loader",
    (0x10C4, 0xEA60): "CP210x, as on most ESP32 boards",
    (0x1A86, 0x7523): "CH340, as on many ESP32 boards",
    (0x1A86, 0x55D3): "CH343, as on many ESP32-S3 boards",
    (0x1A86, 0x55D4): "CH9102, as on LilyGO's T-CAN485",
    (0x0403, 0x6001): "FT232",
    (0x0403, 0x6010): "FT2232, as on ESP-WROVER-KIT",
    (0x0403, 0x6015): "FT231X",
}
VIRTUAL = "virtual board"


@dataclass(frozen=True)
class Port:
    """One serial port; `board` is a guess, empty where nothing speaks for a board."""

    path: str
    board: str
    serial_number: str = ""
    usb: str = ""  # vendor:product in hex


def all_ports() -> list[Port]:
    """All serial ports, those with a known chip and the virtual boards first."""
    found = [
        Port(
            port.device,
            CHIPS.get((port.vid or 0, port.pid or 0), ""),
            port.serial_number or "",
            f"{port.vid:04x}:{port.pid:04x}" if port.vid is not None and port.pid is not None else "",
        )
        for port in list_ports.comports()
    ]
    links = sorted(VIRTUAL_BOARDS.glob("*/port"))
    found += [Port(os.readlink(link), f"{VIRTUAL} {link.parent.name}") for link in links if link.exists()]
    return sorted(found, key=lambda port: (not port.board, _by_number(port.path)))


def _by_number(path: str) -> list[tuple[str, int]]:
    """Sorts COM9 before COM10."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", path)]


def only(path: str | None) -> str:
    """`path`, or else the one port with a board. Raises InputError where there is none or more than one, or `path` is empty."""
    if path == "":
        raise InputError("no port '': is a variable unset? `pigtail devices` lists those that there are")
    if path is not None:
        return path
    boards = [port.path for port in all_ports() if port.board]
    if not boards:
        raise InputError("no board found at any serial port: plug one in, power a virtual one (pigtail board), or give --port")
    if len(boards) > 1:
        raise InputError(f"boards at {', '.join(boards)}: say which with --port")
    return boards[0]
