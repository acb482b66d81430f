"""The form of commands: which there are, and what they take. Loaded to judge one and forgotten."""

import json
from micropython import const

_LONGEST_ID = const(36)
_ARGUMENTS = {
    "ping": (), "flush": (), "reboot": (), "set_period": (("signal", str), ("period_ms", int)), "snapshot": (("signals", list),),
    "capture": (("ids", list), ("duration_ms", int), ("frames", int)), "allow": (("requests", bool),), "unmute": (),
    "gate": (("skip", int),), "ask": (("ecu", str), ("request", str)), "clear": (("ecu", str), ("request", str)),
    "config": (("set", dict),), "settings": (("skip", int),),
}  # fmt: skip
# At the console: what MQTT tells by itself is asked for, and there is no way for a capture.
_TYPED = {"status": (), "values": (("skip", int),), "profile": (("skip", int),), "capture": None}


def typed(message):
    """(command, reason, text) of what came at the console. Whoever holds that has the device in hand: no key, nonce or time."""
    try:
        command = json.loads(message)
    except (ValueError, MemoryError):
        command = None
    if not is_command(command, ("id", "command", "arguments"), [str, str, dict]):
        return {"id": "", "command": ""}, "malformed", ""
    reason, text = unfit(command, _TYPED)
    return command, reason, text


def is_command(command, fields, types) -> bool:
    """Whether it is an object of these fields with values of these types."""
    if type(command) is not dict or [type(command.get(name)) for name in fields] != types or len(command) != len(fields):
        return False
    return 1 <= len(command["id"]) <= _LONGEST_ID


def unfit(command, besides=()):
    """(reason, text), (None, "") where the device knows the command and its arguments; `besides` goes before what all know."""
    name, arguments = command["command"], command["arguments"]
    wanted = besides[name] if name in besides else _ARGUMENTS.get(name)
    if wanted is None:
        return "unknown_command", ""
    if len(arguments) != len(wanted):
        return "bad_arguments", "takes " + (", ".join([name for name, _ in wanted]) or "none")
    for name, kind in wanted:
        if type(arguments.get(name)) is not kind:
            return "bad_arguments", "%s: takes %s" % (name, kind.__name__)
    return None, ""
