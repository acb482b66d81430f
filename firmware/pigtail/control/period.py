"""Sets a signal's period in the configuration; it is in force after the restart that follows."""

from pigtail import once
from pigtail.control.names import find


def set_period(commands, signal: str, period_ms: int):
    """A generator; its value is the result. Raises ValueError for what cannot be, OSError when the flash refuses."""
    found = yield from find(commands.profile, [signal])
    if signal not in found:
        raise ValueError("signal: the profile has no such")
    index, _ = found[signal]
    error = once.call("pigtail.signals.reschedule", "fault", commands.profile, index, period_ms)
    if error:
        raise ValueError(error)
    version = once.call("pigtail.config.store", "set_in", "periods", signal, period_ms)
    commands.restarts = True
    return {"version": version}
