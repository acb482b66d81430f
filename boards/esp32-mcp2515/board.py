"""An ESP32 with an MCP2515 on SPI, ignition, 12 V, an LED, perhaps a partition for the outbox."""

import esp32
import machine
from micropython import const
from pigtail.can.mcp2515 import MCP2515

_SPI, _SPI_HZ = const(2), const(10_000_000)
_SCK, _MOSI, _MISO, _CS, _INTERRUPT = const(18), const(23), const(19), const(5), const(4)
_CRYSTAL_HZ = const(8_000_000)
_LED, _IGNITION, _BATTERY = const(2), const(33), const(34)
_UPPER_OHM, _LOWER_OHM = const(100), const(15)  # of the divider, in kilohms

_led = machine.Pin(_LED, machine.Pin.OUT, value=0)
_ignition = machine.Pin(_IGNITION, machine.Pin.IN, machine.Pin.PULL_DOWN)
_battery = machine.ADC(machine.Pin(_BATTERY), atten=machine.ADC.ATTN_11DB)


def make_can(bitrate):
    """The bus in listen-only mode, in which the MCP2515 neither acknowledges nor sends. OSError when none answers."""
    pins = [machine.Pin(number) for number in (_SCK, _MOSI, _MISO)]
    spi = machine.SPI(_SPI, baudrate=_SPI_HZ, polarity=0, phase=0, sck=pins[0], mosi=pins[1], miso=pins[2])
    cs = machine.Pin(_CS, machine.Pin.OUT, value=1)
    interrupt = machine.Pin(_INTERRUPT, machine.Pin.IN, machine.Pin.PULL_UP)
    return MCP2515(spi, cs, bitrate, MCP2515.MODE_SILENT, interrupt, _CRYSTAL_HZ)  # by place: names get short, see build.py


def outbox_device():
    """The block device that the outbox has to itself; None where there is no such partition: then files on littlefs must do."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
    return found[0] if found else None


def ignition():
    """Whether the ignition is on. Off is a warning: power may end shortly. To be polled; allocates nothing."""
    return _ignition.value() == 1


def battery_mv():
    """The car's 12 V."""
    return _battery.read_uv() * (_UPPER_OHM + _LOWER_OHM) // (1000 * _LOWER_OHM)


def led(on):
    _led.value(on)
