"""The device's own state while it is not plainly driving: charging, parked, asleep. Loaded then, and forgotten when it drives on.

It goes by what no signal can claim: frames on the bus, the ignition, the 12 V. Limits and what they cost: docs/power.md.
"""

import asyncio
import machine
from micropython import const
from pigtail import once

_DEEP_SLEEP = const(4)
_STEADY = const(10)  # looks: so long without a frame the bus is silent; so many in a row make the 12 V charging, or no more so
_LOW = const(60)  # looks in a row that make it low
_HYSTERESIS_MV = const(200)
_BRIEFLY = const(60)  # looks until it sleeps again, when only the timer has woken it
_FORGOTTEN = const(6)  # as many times as long a silence is waited for while the ignition is on


class Power:
    """`limits` are the configuration's low_mv, charging_mv, quiet_s, parked_s and wake_s. When the device is to sleep,
    `power.sleep` sees to it with `parts`. `unheard`: there has been no frame in this boot."""

    def __init__(self, limits, parts, unheard: bool):
        self._limits = limits
        self._parts = parts
        self._briefly = unheard and machine.reset_cause() == _DEEP_SLEEP
        self._low = _LOW - _STEADY if self._briefly else 0
        self._off = 0
        self._charges = -_STEADY
        self._task = None
        self.state = "driving"
        self.reason = ""  # why it is to sleep

    def look(self, is_on, mv, silent: int) -> bool:
        """To be called once a second, with the ignition and the 12 V, each perhaps None, and how often the bus was silent in a
        row. False: it drives, and there is nothing to remember."""
        if self._briefly and (is_on or not silent):
            self._briefly, self._low = False, 0
        self._off = self._off + 1 if is_on is False else 0
        if mv is not None:
            self._weigh(mv)
        self.reason = self._why(is_on, silent)
        before, self.state = self.state, self._state(is_on, silent)
        if self.state != before:
            self._parts[3].add("power", self.state + (self.reason and ": " + self.reason))
        if self.reason and (self._task is None or self._task.done()):
            entering = once.call("pigtail.power.sleep", "enter", self, is_on, self._limits[4], *self._parts)
            self._task = asyncio.create_task(entering)
        return self.state != "driving" or self._low > 0

    def _state(self, is_on, silent):
        if self.reason:
            return "asleep"
        if is_on or (is_on is None and silent < _STEADY):
            return "driving"
        return "charging" if self._charges > 0 else "parked"

    def _weigh(self, mv):
        low_mv, charging_mv = self._limits[:2]
        # after a sleep, or about to, it must have got well above the limit
        self._low = self._low + 1 if mv < low_mv + (_HYSTERESIS_MV if self._low >= _LOW - _STEADY else 0) else 0
        # charging from +10 on, no more so from -10 on: above 0 it counts down from 10 before it turns, below 0 up
        if mv >= charging_mv - (_HYSTERESIS_MV if self._charges > 0 else 0):
            self._charges = _STEADY if self._charges >= -1 else self._charges + 1
        else:
            self._charges = -_STEADY if self._charges <= 1 else self._charges - 1

    def _why(self, is_on, silent):
        quiet_s, parked_s = self._limits[2:4]
        if self._low >= _LOW:
            return "low battery"
        if quiet_s and silent >= (min(quiet_s, _BRIEFLY) if self._briefly else quiet_s * (_FORGOTTEN if is_on else 1)):
            return "quiet"
        return "parked" if parked_s and self._off >= parked_s else ""
