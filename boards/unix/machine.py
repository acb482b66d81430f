"""The chip, as far as the firmware uses it: MicroPython's `machine` on an ESP32, in a process."""

import ffi
import gc
import micropython
import os
import time
from array import array
from struct import pack

from _can import CAN  # noqa: F401
from _meter import meter

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_RESET_STATUS = 42  # exit status by which the host knows a reset from a crash
_BOOTLOADER_STATUS = 44
_ASLEEP_STATUS = 45
_WDT_REAL_US = 2_000_000  # least real time before a watchdog bites: below it the host's own jitter would
_SPEED = float(os.getenv("PIGTAIL_SPEED") or "1")
_TELLS_HEAP = bool(os.getenv("PIGTAIL_TELLS_HEAP"))  # on the console, whenever the watchdog is fed: after a collection

_libc = ffi.open("libc.so.6")
_exit = _libc.func("v", "_exit", "i")
_setitimer = _libc.func("i", "setitimer", "ipp")


def reset():
    _exit(_RESET_STATUS)


def bootloader(timeout=0):
    """In the ROM's loader there is no MicroPython until power is cut."""
    _exit(_BOOTLOADER_STATUS)


def soft_reset():
    raise SystemExit


def deepsleep(ms=0, on_bus=False, on_ignition=False):
    """What is to wake the chip is in /run/asleep: u32 ms, 0 for no timer, then a byte each for the bus and the ignition."""
    with open("/run/asleep", "wb") as file:
        file.write(pack("<IBB", ms, on_bus, on_ignition))
    _exit(_ASLEEP_STATUS)


def reset_cause():
    return int(os.getenv("PIGTAIL_RESET_CAUSE") or PWRON_RESET)


def unique_id():
    return (os.getenv("PIGTAIL_DEVICE") or "sim001").encode()


class WDT:
    """Bites through the kernel's interval timer: SIGALRM ends the process, whatever it is doing."""

    def __init__(self, id=0, timeout=5000):
        us = max(int(timeout * 1000 / _SPEED), _WDT_REAL_US)
        self._timer = array("i", [0, 0, us // 1_000_000, us % 1_000_000])
        self.feed()

    def feed(self):
        _setitimer(0, self._timer, None)
        meter.heap(gc.mem_alloc())
        if _TELLS_HEAP:
            micropython.mem_info()


class RTC:
    """Calendar clock. The tuple is (year, month, day, weekday, hours, minutes, seconds, microseconds), UTC."""

    def datetime(self, parts=None):
        if parts is None:
            y, mo, d, h, mi, s, wd, _ = time.gmtime()
            return (y, mo, d, wd, h, mi, s, time.time_ns() // 1000 % 1_000_000)
        y, mo, d, _, h, mi, s, us = parts
        time.set_clock(time.mktime((y, mo, d, h, mi, s)), us)


class Pin:
    """A pin that remembers its level; inputs read what was last set, low at power-on."""

    IN, OUT, OPEN_DRAIN = 0, 1, 2
    PULL_UP, PULL_DOWN = 1, 2

    def __init__(self, id, mode=-1, pull=-1, value=0):
        self._level = value

    def value(self, level=None):
        if level is None:
            return self._level
        self._level = level

    def on(self):
        self._level = 1

    def off(self):
        self._level = 0
