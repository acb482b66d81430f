"""LilyGO T-CAN485: a transceiver that must be fed and woken, an LED, perhaps a partition for the outbox."""

import machine
import neopixel
from chip import Chip, native

_power = machine.Pin(16, machine.Pin.OUT, value=1)
_standby = machine.Pin(23, machine.Pin.OUT, value=0)
_pixel = neopixel.NeoPixel(machine.Pin(4), 1)


def _led(on):
    _pixel[0] = (0, 16, 0) if on else (0, 0, 0)  # green, dim
    _pixel.write()


_chip = Chip(native, led=_led)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
