"""Commands at the console, which is the serial port. Here is what waits for one; what takes, judges and runs it is loaded when
one begins, and forgotten. Bytes and reasons: SPEC section 4."""

import select
import sys
from asyncio import sleep_ms
from micropython import const
from pigtail import once
from pigtail.outbox.keeper import restart

_BEGIN = const(0x10)
_LOOK_MS = const(100)
_PAUSE_MS = const(400)  # after a command: it loads code, in which no frame is read
_MOST = const(256)  # bytes at one look: a chip keeps no more
_NO_ROOM = '\x10.{"id":"","command":"","ok":false,"reason":"failed","text":"no memory"}'


class Replies:
    """What became of commands, and the reply to the latest. `keeper` is None without a profile."""

    run: int
    refused: dict
    restarts: bool
    keeper: object

    def refuse(self, reason: str) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def answer(self, command: dict, reason: str = "", text: str = "", result=None) -> None:
        """Counts it as run, or, where there is a reason, as refused, and replies."""
        self.reply = reply = {"id": command["id"], "command": command["command"], "ok": not reason}
        if reason:
            self.refuse(reason)
            reply["reason"] = reason
            reply["text"] = text
        else:
            self.run += 1
            reply["result"] = result

    def end(self) -> None:
        """The reply has come to whoever asked; a restart may follow."""
        self.reply = None
        if self.restarts:
            restart(self.keeper)


class Console(Replies):
    """The arguments are what commands act on, without a profile all but the first None; `tester` and `status` come later."""

    def __init__(self, outbox, profile, values, sampler, keeper):
        self.outbox = outbox
        self.profile = profile
        self.values = values
        self.sampler = sampler
        self.keeper = keeper
        self.run = self.dropped = 0  # commands; bytes that were none
        self.refused = {}
        self.restarts = False
        self.reply = self.tester = self.status = None

    async def listen(self, beat) -> None:
        """A part for the supervisor."""
        stdin, came, byte = sys.stdin.buffer, select.poll(), bytearray(1)
        came.register(stdin, select.POLLIN)
        while True:
            left = _MOST
            while left and any(came.ipoll(0)):
                left -= 1
                if not stdin.readinto(byte):
                    came.unregister(stdin)  # there is no console
                elif byte[0] == _BEGIN:
                    await self._take(stdin, came, beat)
                else:
                    self.dropped += 1
            beat()
            await sleep_ms(_LOOK_MS)

    async def _take(self, stdin, came, beat):
        try:
            await once.call("pigtail.control.typed", "take", self, stdin, came, beat)
        except MemoryError:
            self.refuse("failed")
            print(_NO_ROOM)
        await sleep_ms(_PAUSE_MS)
