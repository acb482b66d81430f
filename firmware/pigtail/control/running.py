"""Runs a command that was found good: loaded for it and forgotten."""

from pigtail import once, uptime


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
        return (yield from once.call("pigtail.control.snapshot", "snapshot", commands, arguments["signals"]))
    if name == "set_period":
        setting = once.call("pigtail.control.period", "set_period", commands, arguments["signal"], arguments["period_ms"])
        return (yield from setting)
    if name == "reboot":
        commands.restarts = True
        return {}
    if name == "flush":
        if commands.sampler:
            commands.sampler.close()
        return {"bytes": commands.outbox.bytes}
    return {"uptime_ms": uptime.ms()}  # ping
