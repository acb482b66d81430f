"""Each chip's `board.py` as the firmware meets it, in MicroPython, with stand-ins for `machine` and `esp32`."""

import ast
from pathlib import Path

import pytest
from on_device import run

from host_tools import boards
from host_tools.boards import Board
from host_tools.paths import BOARDS, ROOT

STAND_INS = ROOT / "tests" / "contract" / "esp32"
CHIPS = [board for board in boards.load_all() if board.chip != boards.SIMULATED]
NATIVE = [board for board in CHIPS if board.controller == "native"]
SENSING = [board for board in CHIPS if board.divider]


def said(board: Board, script: str, has_switch: bool = True) -> list[str]:
    """What a script says that finds this board's folder first; `machine`, `esp32` and `network` are the stand-ins."""
    return said_with(board.folder, board.chip, script, has_switch)


def said_with(folder: Path, chip: str, script: str, has_switch: bool = True) -> list[str]:
    paths = [str(ROOT / "tests" / "firmware"), str(folder), str(BOARDS), str(STAND_INS)]
    begin = f"import sys\nsys.path[:0] = {paths[::-1]}\nimport esp32, machine\nesp32.become({chip!r}, {has_switch})\n"
    return run(["-c", begin + script]).splitlines()


def by_name(found: list[Board]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("board", found, ids=[board.name for board in found])


@by_name(NATIVE)
def test_native_controller_is_made_in_listen_only_mode(board: Board) -> None:
    script = "import board\nboard.make_can(500_000)\nprint(machine.made == [(0, 500_000, machine.CAN.MODE_SILENT)])"
    assert said(board, script) == ["True"]


@by_name(CHIPS)
def test_outbox_has_its_partition_or_none(board: Board) -> None:
    script = "import board, esp32\nprint(board.outbox_device())\nesp32.table['outbox'] = 'its own'\nprint(board.outbox_device())"
    assert said(board, script) == ["None", "its own"]


@by_name(SENSING)
def test_ignition_is_its_pin_and_a_look_at_it_takes_nothing_of_the_heap(board: Board) -> None:
    assert board.pins
    script = f"""
import board, micropython
on = None  # a new name takes room
pin = machine.pins[{board.pins["ignition"]}]
print(pin.mode == machine.Pin.IN, pin.pull == machine.Pin.{"PULL_UP" if board.ignition_low else "PULL_DOWN"})
for pin.level in {(0, 1) if board.ignition_low else (1, 0)}:
    micropython.heap_lock()
    on = board.ignition()
    micropython.heap_unlock()
    print(on)
"""
    assert said(board, script) == ["True True", "True", "False"]


@by_name(SENSING)
def test_battery_is_what_the_divider_of_board_toml_makes_of_it(board: Board) -> None:
    assert board.divider and board.pins
    ratio = board.divider.lower_ohm / (board.divider.upper_ohm + board.divider.lower_ohm)
    script = f"""
import board
print(*[adc.pin.id for adc in machine.adcs])
for machine.ADC.uv in ({int(12e6 * ratio)}, {int(16e6 * ratio)}, 3_300_000):
    print(board.battery_mv())
"""
    pin, *shown = (int(line) for line in said(board, script))
    assert pin == board.pins["battery"]
    for mv, is_mv in zip(shown, (12_000, 16_000, 3300 / ratio), strict=True):
        assert abs(mv - is_mv) <= 1 / ratio


@by_name([board for board in CHIPS if not board.divider])
def test_board_that_senses_neither_says_none(board: Board) -> None:
    assert said(board, "import board\nprint(board.ignition(), board.battery_mv())") == ["None None"]


@by_name(CHIPS)
def test_led_goes_on_and_off(board: Board) -> None:
    assert board.pins
    script = f"""
import board, neopixel
for on in (True, False):
    board.led(on)
    print(bool(machine.pins[{board.pins["led"]}].level or any([any(colour) for colour in neopixel.shown])))
"""
    assert said(board, script) == ["True", "False"]


@by_name(CHIPS)
def test_board_can_sleep_where_its_file_says_so(board: Board) -> None:
    assert said(board, "import board\nprint(hasattr(board, 'sleep'))") == [str(board.sleeps)]


SLEEPS = """
import board
def asleep(*how):
    try:
        board.sleep(*how)
    except machine.Asleep:
        return machine.log[-1]
"""


@pytest.mark.parametrize("on_ignition", [True, False])
@pytest.mark.parametrize("on_bus", [True, False])
@by_name(CHIPS)
def test_asleep_it_is_woken_by_the_bus_going_low_and_by_the_ignition_if_they_may(
    board: Board, on_bus: bool, on_ignition: bool
) -> None:
    assert board.pins
    bus = [board.pins[board.bus_pin]] if on_bus else []
    ignition = [board.pins["ignition"]] if on_ignition and "ignition" in board.pins else []
    low, on = False, not board.ignition_low
    found = {"gpio": ([*bus, *ignition], low)} if board.chip == "esp32c3" else {"ext1": (bus, low), "ext0": (ignition, on)}
    script = f"print(asleep(5000, {on_bus}, {on_ignition}), [esp32.wakes.get(source) for source in {[*found]}], len(esp32.wakes))"
    wakes = [wake if wake[0] else None for wake in found.values()]
    assert said(board, SLEEPS + script) == [f"('asleep', 5000) {wakes} {sum(wake is not None for wake in wakes)}"]


@by_name(CHIPS)
def test_without_a_time_no_timer_wakes_it(board: Board) -> None:
    assert said(board, SLEEPS + "print(asleep(0, True, True))") == ["('asleep', None)"]


@by_name(NATIVE)
def test_controller_is_off_the_bus_before_the_transceiver_is_touched_and_before_the_sleep(board: Board) -> None:
    script = SLEEPS + "board.make_can(500_000)\nmachine.log.clear()\nasleep(0, True, True)\nprint(machine.log)"
    log = ast.literal_eval(said(board, script)[0])
    assert log[:2] == ["off the air", "off the bus"] and log[-1] == ("asleep", None)


@pytest.mark.parametrize("has_switch", [True, False])
@by_name(CHIPS)
def test_asleep_every_output_is_held_and_the_led_is_off(board: Board, has_switch: bool) -> None:
    assert board.pins
    levels = {"can_standby": 0 if board.name == "lilygo-t-can485" else 1, "can_power": 1, "cs": 1}
    script = SLEEPS + f"""
import neopixel
board.led(True)
asleep(0, True, True)
print(sorted(machine.latched.items()))
print(esp32.held)
print(machine.pins[{board.pins["led"]}].level, any([any(colour) for colour in neopixel.shown]))
"""
    held = sorted((board.pins[pin], level) for pin, level in levels.items() if pin in board.pins)
    assert said(board, script, has_switch) == [str(held), "[False, True]" if has_switch else "[]", "0 False"]


@by_name(CHIPS)
def test_awake_again_nothing_is_held_and_the_bus_has_its_pin_back(board: Board) -> None:
    assert board.pins
    script = SLEEPS + f"""
asleep(0, True, True)
del sys.modules["board"], sys.modules["chip"]
machine.pins.clear()
import board
print(machine.latched, esp32.held[-1], machine.pins[{board.pins[board.bus_pin]}].mode == machine.Pin.IN)
print(machine.pins[{board.pins.get("can_standby", board.pins["led"])}].level)
"""
    assert said(board, script) == ["{} False True", "0"]


def test_board_that_was_never_on_the_bus_sleeps_too() -> None:
    assert said(boards.load("esp32-mcp2515"), SLEEPS + "print(asleep(5000, True, True))") == ["('asleep', 5000)"]


def test_transceiver_of_the_t_can485_is_fed_and_awake() -> None:
    board = boards.load("lilygo-t-can485")
    assert board.pins
    pins = board.pins["can_power"], board.pins["can_standby"]
    script = f"import board\nprint(*[machine.pins[n].level for n in {pins}])"
    assert said(board, script) == ["1 0"]


MODEL = """
from mcp2515_model import Chip, LISTEN_ONLY
from pigtail.can import mcp2515
chip = Chip([(20_000, 0x123, 0, b"\\x01\\x02")], crystal_hz={crystal})
machine.spi, mcp2515.sleep_ms = chip, chip.sleep_ms
class Pin(machine.Pin):
    def __init__(self, id, *more, **named):
        super().__init__(id, *more, **named)
        self.of_chip = {{{cs}: chip.cs, {interrupt}: chip.int}}.get(id)
machine.Pin = Pin
import board
can = board.make_can(500_000)
"""


def test_mcp2515_is_made_in_listen_only_mode_and_hears() -> None:
    board = boards.load("esp32-mcp2515")
    pins = dict(board.pins or {})
    script = MODEL.format(crystal=board.crystal_hz, cs=pins["cs"], interrupt=pins["interrupt"])
    script += """
print(machine.made)
can.set_filters(None)
print(chip.mode == LISTEN_ONLY, chip.rate)
chip.passes(1_000_000)
frame = can.recv()
print(frame and (frame[0], bytes(frame[1])))
"""
    made, mode, frame = said(board, script)
    assert made == str([(2, 10_000_000, 0, 0, pins["sck"], pins["mosi"], pins["miso"])])
    assert mode == "True 500000"
    assert frame == str((0x123, b"\x01\x02"))


def test_mcp2515_sleeps_with_its_host_and_its_int_goes_low_for_the_first_frame() -> None:
    board = boards.load("esp32-mcp2515")
    pins = dict(board.pins or {})
    script = MODEL.format(crystal=board.crystal_hz, cs=pins["cs"], interrupt=pins["interrupt"]) + SLEEPS
    script += """
from mcp2515_model import SLEEP
can.set_filters(None)
chip.passes(1_000_000)
print(asleep(0, True, True), chip.mode == SLEEP, chip.int.value())
chip.hears([(chip.now + 20_000, 0x123, 0, b"\\x01")])
chip.passes(1_000_000)
print(chip.int.value(), chip.dominant)
"""
    assert said(board, script) == ["('asleep', None) True 1", "0 0"]


def test_mcp2515_that_does_not_answer_keeps_nothing_awake() -> None:
    board = boards.load("esp32-mcp2515")
    pins = dict(board.pins or {})
    script = MODEL.format(crystal=board.crystal_hz, cs=pins["cs"], interrupt=pins["interrupt"]) + SLEEPS
    assert said(board, script + "chip._read = lambda address: 0xFF\nprint(asleep(5000, True, True))") == ["('asleep', 5000)"]


@by_name(CHIPS)
def test_pins_in_board_py_are_those_of_board_toml(board: Board) -> None:
    assert board.pins
    of_build = {"can_tx"} if board.controller == "native" else set()
    script = f"import board\n{'' if board.controller == 'native' else MODEL_MAKES}print(sorted(machine.pins))"
    assert said(board, script) == [str(sorted(number for pin, number in board.pins.items() if pin not in of_build))]


MODEL_MAKES = "try:\n    board.make_can(500_000)\nexcept AttributeError:\n    pass  # no chip there\n"


def test_frozen_modules_are_there() -> None:
    frozen: list[Path] = []
    for board in CHIPS:
        words = {
            "include": lambda path: None,
            "require": lambda name: None,
            "module": lambda name, base_path=".", opt=None, at=board.folder: frozen.append(at / base_path / name),
            "package": lambda name, base_path=".", opt=None, at=board.folder.parent: frozen.append(at / base_path / name),
        }
        text = (board.folder / "manifest.py").read_text()
        assert 'include("../manifest.py")' in text
        exec(text, words)
        shared = {**words, "module": words["package"]}
        exec((board.folder.parent / "manifest.py").read_text(), shared)
    assert len(frozen) == 6 * len(CHIPS)
    assert [path for path in frozen if not path.exists()] == []


def test_board_py_in_the_documents_is_whole(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "boards.md").read_text()
    (tmp_path / "board.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    script = """
import board
board.make_can(500_000)
board.led(True)
print(machine.made == [(0, 500_000, machine.CAN.MODE_SILENT)], board.ignition(), board.battery_mv(), board.outbox_device())
"""
    assert said_with(tmp_path, "esp32c3", script) == ["True None None None"]


def test_schema_lets_those_pins_wake_a_chip_that_can() -> None:
    taken = ast.literal_eval(said(CHIPS[0], "print(esp32.RTC_PINS)")[0])
    assert {chip: [*pins] for chip, pins in boards.WAKE_PINS.items()} == {chip: [*pins] for chip, pins in taken.items()}
