"""assembly in safe mode: neither profile nor bus, and a controller on SPI is not left as the crash left it."""
# heap: 512k

import board
import json
from mcp2515_model import CONFIGURATION, NORMAL, Chip
from packed import put
from pigtail.assembly import Assembly
from pigtail.can import mcp2515
from pigtail.can.bus import Bus
from pigtail.can.mcp2515 import MCP2515


def _safe(make_can):
    put("/config.json", json.dumps({"version": 1}))
    kept, board.make_can = board.make_can, make_can
    try:
        return Assembly("1.2.3", True)
    finally:
        board.make_can = kept


def test_controller_that_acknowledged_before_the_crash_is_silent_in_safe_mode():
    chip = Chip()
    mcp2515.sleep_ms = chip.sleep_ms

    def make_can(rate):
        return MCP2515(chip, chip.cs, rate, MCP2515.MODE_SILENT, chip.int)

    bus = Bus(make_can(500_000), 500_000)
    bus.listen(silent=False)  # the gate was open
    assert chip.mode == NORMAL
    assert _safe(make_can).bus is None  # the chip of the firmware was reset, this one was not
    chip.hears([(chip.now + 5000 * n, 0x100, 0, b"12345678") for n in range(1, 20)])
    chip.passes(20_000)
    assert (chip.mode, chip.dominant) == (CONFIGURATION, 0)


def test_safe_mode_outlives_a_controller_that_is_the_trouble():
    for error in OSError, ValueError, MemoryError, AttributeError:

        def make_can(rate, error=error):
            raise error

        assert _safe(make_can).bus is None
