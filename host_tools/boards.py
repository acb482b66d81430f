"""The boards that the firmware knows: what `boards/<board>/board.toml` says of each, checked.

The file says what a board is; its `board.py` is what the firmware imports as `board`. docs/boards.md tells how to add one.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from host_tools import paths
from host_tools.errors import InputError

SIMULATED = "unix"
SECTOR = 4096  # of the flash: what is erased at once
MIB = 1 << 20
_CHIPS = {"esp32": ("xtensawin", 0x1000), "esp32s3": ("xtensawin", 0), "esp32c3": ("rv32imc", 0)}  # -march, boot loader's address
_CONTROLLERS = ("native", "mcp2515")
_FLASH_SIZES = (4 * MIB, 8 * MIB, 16 * MIB)
_PINS = (
    "can_tx", "can_rx", "can_standby", "can_power", "sck", "mosi", "miso", "cs", "interrupt", "led", "ignition", "battery"
)  # fmt: skip
_OUTPUTS = {"can_tx", "can_standby", "can_power", "sck", "mosi", "cs", "led"}
# From the "GPIO Summary" of ESP-IDF's guide, API reference, Peripherals, of each chip.
_FREE_PINS = {  # there, and not the flash's or the PSRAM's
    "esp32": (*range(6), *range(12, 20), *range(21, 24), *range(25, 28), *range(32, 40)),
    "esp32s3": (*range(22), *range(33, 49)),
    "esp32c3": (*range(12), *range(18, 22)),
}
_INPUT_ONLY = {"esp32": range(34, 40), "esp32s3": (), "esp32c3": ()}
_ADC1 = {"esp32": range(32, 40), "esp32s3": range(1, 11), "esp32c3": range(5)}
WAKE_PINS = {  # those that wake the chip from deep sleep
    "esp32": (0, 2, 4, *range(12, 16), *range(25, 28), *range(32, 40)), "esp32s3": range(22), "esp32c3": range(6),
}  # fmt: skip


@dataclass(frozen=True)
class Divider:
    """From the car's 12 V to the pin `battery`."""

    upper_ohm: int
    lower_ohm: int


@dataclass(frozen=True)
class Board:
    """One board. Sizes and addresses are in bytes; of `unix` the fields after `rx_queue` say nothing."""

    name: str
    title: str
    chip: str  # esp32, esp32s3, esp32c3; unix
    micropython: str  # least version
    flash_size: int
    outbox_size: int  # of a partition that the outbox has to itself; 0: none, it keeps files on littlefs
    rx_queue: int  # frames that the controller or its driver holds
    controller: str = "native"
    build: str = ""  # of MicroPython
    stock: bool = False  # whether micropython.org has that build with all it needs
    file: str = ""  # its name there, of a version that will do
    flash_offset: int = 0  # of the image
    crystal_hz: int = 0  # of the CAN controller; 0: the chip's own
    sleeps: bool = True  # whether its bus, and its ignition where it is sensed, can wake it from deep sleep
    ignition_low: bool = False  # whether that pin is low while the ignition is on
    pins: Mapping[str, int] | None = None
    divider: Divider | None = None

    @property
    def arch(self) -> str:
        """What mpy-cross calls the chip (-march); empty for `unix`, whose MicroPython says so itself."""
        return _CHIPS[self.chip][0] if self.chip in _CHIPS else ""

    @property
    def bus_pin(self) -> str:
        """Name of the pin that goes low with the first frame on the bus."""
        return "can_rx" if self.controller == "native" else "interrupt"

    @property
    def folder(self) -> Path:
        """Where its `board.py` lies."""
        return paths.BOARDS / self.name

    @property
    def wanted(self) -> str:
        """Which MicroPython to get, in words."""
        if self.chip == SIMULATED:
            return f"MicroPython's Unix port {self.micropython} or newer, which make setup brings"
        if self.stock:
            return f"{self.build} {self.micropython} or newer from micropython.org's download page, such as {self.file}"
        return f"{self.build} {self.micropython} or newer, built with machine.CAN as docs/boards.md shows"


def names() -> list[str]:
    """All boards, in alphabetical order."""
    return sorted(path.parent.name for path in paths.BOARDS.glob("*/board.toml"))


def load(name: str) -> Board:
    """The board of that name. Raises InputError with one line when there is none, or when its file makes no sense."""
    path = paths.BOARDS / name / "board.toml"
    if name not in names():
        raise InputError(f"there is no board {name!r}; there are {', '.join(names())}")
    try:
        facts = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"boards/{name}/board.toml: {error}") from error
    try:
        return _board(name, facts)
    except ValueError as error:
        raise InputError(f"boards/{name}/board.toml: {error}") from error


def load_all() -> list[Board]:
    """Every board. Raises InputError for the first whose file makes no sense."""
    return [load(name) for name in names()]


def version(text: str) -> tuple[int, int]:
    """Major and minor of "1.25" or "1.25.0". Raises ValueError."""
    parts = text.split(".")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise ValueError(f"{text!r} is no version: write it as 1.25")
    return int(parts[0]), int(parts[1])


def _board(folder: str, facts: dict[str, Any]) -> Board:
    """Checks all; raises ValueError."""
    if facts.get("chip") == SIMULATED:
        facts = {"title": "the simulator's", **facts}
        for own in "heap", "stand_ins", "repl", "block_size":  # the simulator's, see host_tools/sim/board.py
            facts.pop(own, None)
    known = {field.name: field for field in fields(Board)}
    for key in facts:
        if key not in known:
            raise ValueError(f"{key} is not known here; there are {', '.join(known)}")
    divider = facts.pop("divider", None)
    for key, value in facts.items():
        _check_type(key, value, Mapping if key == "pins" else known[key].type)
    missing = [field.name for field in known.values() if field.default is MISSING and field.name not in facts]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    board = Board(**facts, divider=_divider(divider))
    if board.name != folder:
        raise ValueError(f"name is {board.name!r}, but the folder is {folder!r}")
    version(board.micropython)
    if board.rx_queue < 1:
        raise ValueError("rx_queue: a controller holds one frame at least")
    if board.chip != SIMULATED:
        _check_chip(board)
    return board


def _check_type(key: str, value: object, wanted: Any) -> None:
    if type(value) is bool if wanted is int else not isinstance(value, wanted):
        raise ValueError(f"{key}: {value!r} is no {wanted.__name__.lower()}")
    if wanted is int and not isinstance(value, int):
        raise ValueError(f"{key}: {value!r} is no integer")


def _check_chip(board: Board) -> None:
    if board.chip not in _CHIPS:
        raise ValueError(f"chip: {board.chip!r} is none of {', '.join([*_CHIPS, SIMULATED])}")
    if board.flash_offset != _CHIPS[board.chip][1]:
        raise ValueError(f"flash_offset: the ROM of an {board.chip} starts what lies at {_CHIPS[board.chip][1]:#x}")
    if board.flash_size not in _FLASH_SIZES:
        raise ValueError(f"flash_size: {board.flash_size} is none of 4, 8 and 16 MiB")
    if board.outbox_size % SECTOR or not 0 <= board.outbox_size <= board.flash_size // 2:
        raise ValueError(f"outbox_size: whole sectors of {SECTOR} bytes, and half of the flash at most")
    if not board.build:
        raise ValueError("build is missing: which MicroPython it needs, such as ESP32_GENERIC")
    if board.stock and not board.file.startswith(board.build + "-"):
        raise ValueError("file: name one of micropython.org's that will do")
    if board.controller not in _CONTROLLERS:
        raise ValueError(f"controller: {board.controller!r} is none of {', '.join(_CONTROLLERS)}")
    if (board.controller == "mcp2515") != (board.crystal_hz > 0):
        raise ValueError("crystal_hz: an MCP2515 has one, and native CAN has none of its own")
    if board.stock and board.controller == "native":
        raise ValueError("stock: micropython.org's builds for these chips have no machine.CAN")
    _check_pins(board)


def _check_pins(board: Board) -> None:
    pins = dict(board.pins or {})
    needed = ("can_tx", "can_rx") if board.controller == "native" else ("sck", "mosi", "miso", "cs", "interrupt")
    for pin in needed:
        if pin not in pins:
            raise ValueError(f"pins: {pin} is missing")
    for pin, number in pins.items():
        if pin not in _PINS:
            raise ValueError(f"pins: {pin} is not known here; there are {', '.join(_PINS)}")
        _check_pin(board.chip, pin, number)
    if len(set(pins.values())) < len(pins):
        raise ValueError("pins: two have the same number")
    if ("battery" in pins) != (board.divider is not None):
        raise ValueError("divider: a pin battery needs one, and no other does")
    if board.sleeps:
        _check_waking(board, {pin: pins[pin] for pin in (board.bus_pin, "ignition") if pin in pins})


def _check_pin(chip: str, pin: str, number: object) -> None:
    if type(number) is not int or number not in _FREE_PINS[chip]:
        raise ValueError(f"pins: {pin} is {number!r}, but an {chip} has {_told(_FREE_PINS[chip])} to use")
    if pin in _OUTPUTS and number in _INPUT_ONLY[chip]:
        raise ValueError(f"pins: {pin} is {number}, but {_told(_INPUT_ONLY[chip])} of an {chip} are inputs only")
    if pin == "battery" and number not in _ADC1[chip]:
        raise ValueError(f"pins: {pin} is {number}, but beside Wi-Fi an {chip} measures at {_told(_ADC1[chip])} only (ADC1)")


def _told(pins: Iterable[int]) -> str:
    return ", ".join(map(str, pins))


def _check_waking(board: Board, wakes: Mapping[str, int]) -> None:
    able = WAKE_PINS[board.chip]
    for pin, number in wakes.items():
        if number not in able:
            told = _told(able)
            raise ValueError(f"pins: {pin} is {number}, but an {board.chip} is woken by {told} only; or say sleeps = false")
    if board.chip == "esp32c3" and "ignition" in wakes and not board.ignition_low:
        raise ValueError("ignition_low: the bus wakes an esp32c3 by a low pin, so the ignition must, too; or say sleeps = false")


def _divider(facts: object) -> Divider | None:
    if facts is None:
        return None
    if not isinstance(facts, dict) or set(facts) != {"upper_ohm", "lower_ohm"}:
        raise ValueError("divider: give upper_ohm and lower_ohm")
    if not all(type(ohm) is int and ohm > 0 for ohm in facts.values()):
        raise ValueError("divider: ohms are integers above 0")
    return Divider(**facts)
