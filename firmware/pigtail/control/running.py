"""Runs a command that was found good: loaded for it and forgotten, as is each of its steps."""

from micropython import const
from pigtail import once, uptime

_MOST = const(16)  # signals of a snapshot, ids of a capture
_LONGEST_MS, _MOST_FRAMES = const(60_000), const(100_000)


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
    if name == "capture":
        return _captured(commands, arguments["ids"], arguments["duration_ms"], arguments["frames"])
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


def _captured(commands, ids, ms, frames):
    """The frames follow on the topic `capture`."""
    if len(ids) > _MOST or not all([type(ident) is int and 0 <= ident < 1 << 30 for ident in ids]):
        raise ValueError("ids: takes up to %d ids, a 29-bit one with bit 29 set" % _MOST)
    if not 1 <= ms <= _LONGEST_MS or not 1 <= frames <= _MOST_FRAMES:
        raise ValueError("duration_ms: takes 1 to %d; frames: 1 to %d" % (_LONGEST_MS, _MOST_FRAMES))
    number = commands.captures + 1
    topic, boot = commands.base + "/capture", commands.outbox.boot
    commands.begin(once.call("pigtail.can.capture", "Capture", topic, boot, commands.clock, number, ids, ms, frames))
    return {"capture": number}
