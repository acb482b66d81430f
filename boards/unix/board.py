"""The simulated board: a CAN controller that hears the virtual car, ignition and 12 V, perhaps a partition for the outbox.

/run/senses has what it senses: a byte for the ignition, `1` on, `0` off, `?` no such sense; u16 the 12 V in mV, 0 no such sense.
/run/led has a byte: 1 while the LED is lit.
"""

import machine
from _flash import Flash
from _map import mapped


def make_can(bitrate):
    """The bus in listen-only mode: MODE_SILENT neither acknowledges nor sends."""
    return machine.CAN(0, bitrate, mode=machine.CAN.MODE_SILENT)


def outbox_device():
    """The block device that the outbox has to itself; None where the board has none: then files on littlefs must do."""
    try:
        return Flash("/run/outbox.img")
    except OSError:
        return None


def _sensed():
    try:
        return mapped("/run/senses")
    except OSError:
        return b"1\0\0"


_senses = _sensed()
_led = mapped("/run/led", 1)


def ignition():
    """Whether the ignition is on, None where that is not sensed. Off is a warning: power may end shortly. To be polled; allocates
    nothing."""
    return None if _senses[0] == 63 else _senses[0] == 49


def battery_mv():
    """The car's 12 V, None where it is not measured."""
    return _senses[1] | _senses[2] << 8 or None


def led(on):
    _led[0] = on


def sleep(ms, on_bus, on_ignition):
    """Deep sleep: ends this boot. The next begins after `ms` (0: never), or when the bus or the ignition wakes it, if it may."""
    machine.deepsleep(ms, on_bus, on_ignition)
