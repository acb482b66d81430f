"""LilyGO T-CAN485: a transceiver that must be fed and woken, an LED, perhaps a partition for the outbox."""

import esp32
import machine
import neopixel
from micropython import const

_STANDBY, _POWER, _LED = const(23), const(16), const(4)
_GREEN = (0, 16, 0)  # dim

_power = machine.Pin(_POWER, machine.Pin.OUT, value=1)
_standby = machine.Pin(_STANDBY, machine.Pin.OUT, value=0)
_led = neopixel.NeoPixel(machine.Pin(_LED), 1)


def make_can(bitrate):
    """The bus in listen-only mode: MODE_SILENT neither acknowledges nor sends. Its pins are those of the MicroPython build."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


def outbox_device():
    """The block device that the outbox has to itself; None where there is no such partition: then files on littlefs must do."""
    found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="outbox")
    return found[0] if found else None


def ignition():
    """The board does not sense it."""
    return None


def battery_mv():
    """The board does not sense it."""
    return None


def led(on):
    _led[0] = _GREEN if on else (0, 0, 0)
    _led.write()
