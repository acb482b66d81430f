"""LilyGO T-CAN485: a transceiver that must be fed and woken, an LED, perhaps a partition for the outbox."""

import machine
import neopixel
from chip import Chip, native

_POWER, _STANDBY = (16, 1, 1), (23, 0, 0)  # asleep as awake: an SN65HVD231 in standby is deaf
_pixel = neopixel.NeoPixel(machine.Pin(4), 1)


def _led(on):
    _pixel[0] = (0, 16, 0) if on else (0, 0, 0)  # green, dim
    _pixel.write()


_chip = Chip(native, wake=26, outputs=(_POWER, _STANDBY), led=_led)
make_can, outbox_device, ignition, battery_mv, led = _chip.functions()
sleep = _chip.sleep
