"""What the bench would measure on a real board from outside: written to /run/meter.bin, never seen by the firmware.

Eight u32: frames arrived at the controller, handed to the firmware, overrun, filtered out, time in 0.1 ms of the last look,
largest heap in use after a collection (bytes), ms from power-on to the first set filter, and those of the arrived frames
that are answers to the device's own.
"""

import utime
from array import array

_POWER_ON = utime.ticks_ms()
busy = array("I", [0, 0])  # 0.1 ms that flash chips would have been busy since the last look at the bus; 1 when it is open


class _Meter:
    def __init__(self):
        self._row = array("I", [0] * 8)
        self._file = None

    def bus(self, counters):
        """`counters`: the figures of the bus, in the order of the row, the last one last."""
        row = self._row
        for i in range(5):
            row[i] = counters[i]
        row[7] = counters[5]
        self._write()

    def heap(self, used):
        if used > self._row[5]:
            self._row[5] = used
            self._write()

    def booted(self):
        if not self._row[6]:
            self._row[6] = utime.ticks_diff(utime.ticks_ms(), _POWER_ON)
            self._write()

    def _write(self):
        if self._file is None:
            self._file = open("/run/meter.bin", "wb")
        self._file.seek(0)
        self._file.write(self._row)


meter = _Meter()
