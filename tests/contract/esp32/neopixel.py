"""MicroPython's `neopixel`, as far as boards use it: `shown` is what the LEDs were last told."""

shown = []


class NeoPixel:
    def __init__(self, pin, n):
        self.pin, self._colours = pin, [(0, 0, 0)] * n

    def __setitem__(self, i, colour):
        self._colours[i] = colour

    def write(self):
        shown[:] = self._colours
