"""Runs a command that was found good: loaded for it and forgotten, as is each of its steps."""

from micropython import const
from pigtail import once, uptime

_MOST = const(16)  # signals of a snapshot


def run(commands, command):
    """A generator that goes on until the command is done and answered."""
    result = None
    reason = text = ""
    try:
        result = yield from _made(commands, command["command"], command["arguments"])
    except ValueError as error:
        reason, text = "bad_arguments", str(error)
    except MemoryError:
        reason, text = "failed", "no memory"
    except OSError as error:
        reason, text = "failed", str(error)
    commands.answer(command, reason, text, result)


def _made(commands, name, arguments):
    """The result, by a generator. Raises ValueError, with one line, for arguments that it cannot take, or OSError."""
    if name == "snapshot":
        found = yield from _found(commands.profile, arguments["signals"])
        return once.call("pigtail.control.snapshot", "snapshot", commands.profile, commands.values, found)
    if name == "set_period":
        signal, period_ms = arguments["signal"], arguments["period_ms"]
        found = yield from _found(commands.profile, [signal])
        fault = once.call("pigtail.signals.reschedule", "fault", commands.profile, found[signal][0], period_ms)
        if fault:
            raise ValueError(fault)
        version = once.call("pigtail.config.change", "set_period", signal, period_ms)
        commands.restarts = True
        return {"version": version}
    if name == "reboot":
        commands.restarts = True
        return {}
    if name == "flush":
        if commands.sampler:
            commands.sampler.close()
        return {"bytes": commands.outbox.bytes}
    return {"uptime_ms": uptime.ms()}  # ping


def _found(profile, names):
    if not 1 <= len(names) <= _MOST or not all([type(name) is str for name in names]):
        raise ValueError("signals: takes 1 to %d names" % _MOST)
    if profile is None:
        raise ValueError("there is no profile")
    found = yield from once.call("pigtail.control.names", "find", profile, names)
    for name in names:
        if name not in found:
            raise ValueError("the profile has no " + name)
    return found
