"""An ESP32-S3 with a transceiver: its own CAN controller, ignition, 12 V, an LED, perhaps a partition for the outbox."""

import esp32
import machine
from micropython import const

_LED, _IGNITION, _BATTERY = const(2), const(6), const(7)
_UPPER_OHM, _LOWER_OHM = const(100), const(15)  # of the divider, in kilohms

_led = machine.Pin(_LED, machine.Pin.OUT, value=0)
_ignition = machine.Pin(_IGNITION, machine.Pin.IN, machine.Pin.PULL_DOWN)
_battery = machine.ADC(machine.Pin(_BATTERY), atten=machine.ADC.ATTN_11DB)


def make_can(bitrate):
    """The bus in listen-only mode: MODE_SILENT neither acknowledges nor sends. Its pins are those of the MicroPython build."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


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
