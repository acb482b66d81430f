"""The ESP32's clock on the Unix port: the epoch is 2000, the time is whole seconds, and it is 2000-01-01 at power-on.

Ticks and sleeps are the port's own. `machine.RTC` sets the calendar through `_set`; nothing else moves it, least of all ticks.
A clock that kept some time, right or wrong, is told by PIGTAIL_RTC (seconds since 1970).
"""

from utime import *  # noqa: F403
import utime as _utime
from os import getenv as _getenv

_EPOCH_2000 = 946684800
_56_YEARS = 1767225600  # s
_step_ns = int(_getenv("PIGTAIL_RTC") or _EPOCH_2000) * 1_000_000_000 - _utime.time_ns()


def time_ns():
    """Nanoseconds since 2000-01-01 00:00 UTC, as the device believes."""
    return _utime.time_ns() + _step_ns - _EPOCH_2000 * 1_000_000_000


def time():
    return time_ns() // 1_000_000_000


def gmtime(seconds=None):
    # 56 years on, the calendar is the same and within the 32 bits that the port's own has: to 2068, as on the chip.
    shifted = _utime.gmtime((time() if seconds is None else seconds) + _EPOCH_2000 - _56_YEARS)
    return (shifted[0] + 56,) + shifted[1:8]


localtime = gmtime


def mktime(parts):
    days = _days(parts[0], parts[1], parts[2]) - _days(2000, 1, 1)
    return ((days * 24 + parts[3]) * 60 + parts[4]) * 60 + parts[5]


def _days(year, month, day):
    """Days since an arbitrary day (proleptic Gregorian calendar)."""
    if month < 3:
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day


def set_clock(seconds, microseconds):
    global _step_ns
    _step_ns += (seconds * 1_000_000 + microseconds) * 1000 - time_ns()
