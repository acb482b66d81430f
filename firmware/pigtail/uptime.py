"""This boot's own time: milliseconds since power-on, never stepped, wider than `ticks_ms`."""

from time import ticks_diff, ticks_ms

_last = ticks_ms()
_ms = 0


def ms() -> int:
    """Milliseconds since this module was loaded at boot. Must be called at least once in six days (ticks wrap at 2^30)."""
    global _last, _ms
    now = ticks_ms()
    _ms += ticks_diff(now, _last)
    _last = now
    return _ms


def tick_of(uptime_ms: int) -> int:
    """The value that `ticks_ms` had, or will have, at `uptime_ms`."""
    return (_last + (uptime_ms - _ms)) & 0x3FFFFFFF
