"""Takes one command that begins at the console, has it run and tells the reply: loaded for it and forgotten.

The reply is told in short lines, so that frames of the bus are read meanwhile, and none of what others say on the console gets
amid it; and bit by bit, since a heap in pieces has no room for all of it as one text.
"""

import json
import sys
from asyncio import sleep_ms
from micropython import const
from pigtail import once
from pigtail.control.replies import Replies

_TURN_MS = const(4)
_PIECE = const(32)  # characters at one turn


class Typed(Replies):
    """What a command from `console` acts on, and its reply; counts there."""

    def __init__(self, console):
        self.outbox, self.profile, self.values, self.sampler, self.keeper = console.parts
        self.tester, self.status = console.tester, console.status
        self.run, self.refused = console.run, console.refused
        self.restarts = False


async def take(console, stdin, came, beat) -> None:
    """Raises MemoryError where there is no room for any of this."""
    heard = await once.call("pigtail.control.hearing", "hear", console, stdin, came, beat)
    command, reason, text = {"id": "", "command": ""}, heard, ""
    if type(heard) is bytes:
        command, reason, text = once.call("pigtail.control.forms", "typed", heard)
    typed = Typed(console)
    if reason:
        typed.answer(command, reason, text)
    else:
        for _ in once.call("pigtail.control.running", "run", typed, command):
            beat()
            await sleep_ms(_TURN_MS)
    try:
        await _tell(typed.reply, beat)
    except MemoryError:
        typed.run -= typed.reply["ok"]
        typed.answer(command, "failed", "no memory for the result")
        sys.stdout.write("\x10!\n")
        await _tell(typed.reply, beat)
    console.run = typed.run
    typed.end()


async def _tell(reply, beat):
    rest = ""
    for text in _texts(reply):
        rest += text
        while len(rest) > _PIECE:
            sys.stdout.write("\x10-" + rest[:_PIECE] + "\n")
            rest = rest[_PIECE:]
            beat()
            await sleep_ms(_TURN_MS)
    sys.stdout.write("\x10." + rest + "\n")
    await sleep_ms(_TURN_MS)


def _texts(value):
    """Its JSON in parts, none of them long."""
    if not isinstance(value, (dict, list)):
        yield json.dumps(value)
        return
    is_dict = isinstance(value, dict)
    before = "{" if is_dict else "["
    for each in value:
        yield before + json.dumps(each) + ":" if is_dict else before
        yield from _texts(value[each] if is_dict else each)
        before = ","
    yield ("" if value else before) + ("}" if is_dict else "]")
