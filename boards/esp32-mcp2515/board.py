"""An ESP32 with an MCP2515 on SPI, ignition, 12 V, an LED, perhaps a partition for the outbox."""

import machine
from chip import Chip
from pigtail.can.mcp2515 import MCP2515

_CS, _INTERRUPT = 5, 4


def _mcp2515(bitrate):
    """In listen-only mode the MCP2515 neither acknowledges nor sends. OSError when none answers."""
    sck, mosi, miso = [machine.Pin(number) for number in (18, 23, 19)]
    spi = machine.SPI(2, baudrate=10_000_000, polarity=0, phase=0, sck=sck, mosi=mosi, miso=miso)
    cs = machine.Pin(_CS, machine.Pin.OUT, value=1)
    interrupt = machine.Pin(_INTERRUPT, machine.Pin.IN, machine.Pin.PULL_UP)
    return MCP2515(spi, cs, bitrate, MCP2515.MODE_SILENT, interrupt, 8_000_000)  # by place: names get short, see build.py


_chip = Chip(_mcp2515, wake=_INTERRUPT, outputs=((_CS, 1, 1),), led=2, ignition=33, battery=34, upper_kohm=100, lower_kohm=15)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
sleep = _chip.sleep
