"""Runs a command that was found good, and answers it: loaded for it and forgotten, as is what it is about."""

from pigtail import once

_ASKING = "allow", "unmute", "gate", "ask", "clear"
_SHOWING = "status", "values", "profile"


def run(commands, command):
    """A generator that goes on until the command is done and answered."""
    name, given, result = command["command"], command["arguments"], None
    reason = text = ""
    try:
        if name in _ASKING:
            result = yield from once.call("pigtail.control.questions", "run", commands, name, given)
        elif name in _SHOWING:
            result = once.call("pigtail.control.showing", name, commands, given)
        else:
            result = yield from once.call("pigtail.control.acting", "run", commands, name, given)
    except ValueError as error:
        reason, text = "bad_arguments", str(error)
    except MemoryError:
        reason, text = "failed", "no memory"
    except OSError as error:
        reason, text = "failed", str(error)
    commands.answer(command, reason, text, result)
