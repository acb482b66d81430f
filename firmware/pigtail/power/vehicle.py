"""The vehicle's state, as far as it is known: whether asking it does harm. What is not known counts as not awake."""

from micropython import const
from time import ticks_ms

_OLD_MS = const(5000)  # a state that no frame has told for as long is not known, whatever period the owner gave the signal
_TICK_MASK = const(0x0FFFFFFF)
_SILENT = const(15)  # data length of a row that has gone silent


class Vehicle:
    """`states` are those that the profile knows by a signal: name to (row, index, raw values). `ignition()` is True, False, or
    None where the board has no sense of it, `battery_mv()` the car's 12 V or None. Below `low_mv` nothing is asked whatever
    else is true; from `charging_mv` on somebody charges a car that is off."""

    def __init__(self, values, states, ignition, battery_mv, low_mv, charging_mv):
        self._values = values
        self._states = states
        self._ignition = ignition
        self._battery_mv = battery_mv
        self._low_mv = low_mv
        self._charging_mv = charging_mv
        self._old = {}  # by state: tick of the frame that was found to be too old, since ticks come round

    def state(self) -> str:
        """ "awake", "locked", "charging", "asleep" or "unknown"; "low", which no profile can call harmless."""
        on, mv = self._ignition(), self._battery_mv()
        if mv is not None and mv < self._low_mv:
            return "low"
        for name in "locked", "charging":
            if name in self._states:
                is_so = self._is(name)
                if is_so is None:
                    return "unknown"
                if is_so:
                    return name
        if on is None:
            return "awake" if "awake" in self._states and self._is("awake") else "unknown"
        if on:
            return "awake"
        return "asleep" if mv is None or mv < self._charging_mv else "charging"

    def _is(self, name):
        """None while the signal was not heard, or is old, or its value is out of range or of a frame that does not check."""
        row, index, raws = self._states[name]
        heard = self._values.ticks[row]
        if heard == 0 or heard >> 28 == _SILENT or self._values.quality[index]:
            return None
        tick = heard & _TICK_MASK
        if self._old.get(name) == tick:
            return None
        if ticks_ms() - tick & _TICK_MASK > _OLD_MS:
            self._old[name] = tick
            return None
        return self._values.raw[index] in raws
