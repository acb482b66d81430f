"""Commands at the console, which is the serial port. Here is what waits for one; what takes, judges and runs it is loaded when
one begins, and forgotten. Bytes and reasons: SPEC section 4."""

import select
import sys
from asyncio import sleep_ms
from micropython import const
from pigtail import once

_BEGIN = const(0x10)
_LOOK_MS = const(100)
_PAUSE_MS = const(400)  # after a command: it loads code, in which no frame is read
_MOST = const(256)  # bytes at one look: a chip keeps no more
_NO_ROOM = '\x10.{"id":"","command":"","ok":false,"reason":"failed","text":"no memory"}'


class Console:
    """`parts`: outbox, profile, values, sampler, keeper, on which commands act; without a profile all but the first are None.
    `tester` and `status` come later."""

    def __init__(self, *parts):
        self.parts = parts
        self.run = self.dropped = 0  # commands; bytes that were none
        self.refused = {}
        self.tester = self.status = None

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
            self.refused["failed"] = self.refused.get("failed", 0) + 1
            print(_NO_ROOM)
        await sleep_ms(_PAUSE_MS)
