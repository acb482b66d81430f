"""Supervision: every part is a task with a heartbeat. One that dies or stalls is started again, later each time, and counted;
the watchdog is fed only while all beat. Once a second the heap is looked at."""

import asyncio
import gc
import io
import sys
from micropython import const
from time import ticks_diff, ticks_ms

_CHECK_MS = const(1000)
_BLOCK = const(8192)  # largest piece of the heap that is looked for
_STALL_MS = const(30000)
_LEAST_WAIT_MS = const(500)
_MOST_WAIT_MS = const(60000)
_STEADY_MS = const(60000)  # a part that ran this long starts from the least wait again


class Part:
    """`run(beat)` is a coroutine function that does not return; `tell(kind, text)` is called when it has to be started again."""

    def __init__(self, name: str, run, tell):
        self.name = name
        self._tell = tell
        self.restarts = 0
        self.error = ""
        self._run = run
        self.beat_at = ticks_ms()
        self._task = None

    def beat(self) -> None:
        self.beat_at = ticks_ms()

    def stalled(self) -> bool:
        return ticks_diff(ticks_ms(), self.beat_at) > _STALL_MS

    def start(self) -> None:
        self.beat()
        self._task = asyncio.create_task(self._keep())

    def restart(self) -> None:
        self._note("stalled")
        self._task.cancel()
        self.start()

    def _note(self, error):
        self.restarts += 1
        try:
            self.error = error if isinstance(error, str) else repr(error)
            self._tell("part_restarted", "%s: %s" % (self.name, self.error))
        except MemoryError:
            pass  # begun anew it must be, told or not

    async def _keep(self):
        wait_ms = _LEAST_WAIT_MS
        while True:
            began = ticks_ms()
            try:
                await self._run(self.beat)
                self._note("ended")
            except Exception as error:  # whatever it was, this part begins anew and the others go on
                self._note(error)
                sys.print_exception(error)
            if ticks_diff(ticks_ms(), began) > _STEADY_MS:
                wait_ms = _LEAST_WAIT_MS
            for _ in range(wait_ms // _LEAST_WAIT_MS):
                self.beat()
                await asyncio.sleep_ms(_LEAST_WAIT_MS)
            wait_ms = min(2 * wait_ms, _MOST_WAIT_MS)


class Supervisor:
    """`feed()` feeds the watchdog, `tell(kind, text)` takes what happens to the parts. `heartbeats` are called with `feed`."""

    def __init__(self, feed, tell):
        self.heartbeats = [feed]
        self._tell = tell
        self.parts = []
        self.heap_used = 0
        self.heap_free = 1 << 29  # least since the start, after a collection, and so is the next one
        self.heap_block = _BLOCK  # largest piece that could be had, of those that are 256 B times a power of two

    def add(self, name: str, run) -> None:
        self.parts.append(Part(name, run, self._tell))

    async def run(self) -> None:
        self._look_at_heap()
        for part in self.parts:
            part.start()
        while True:
            await asyncio.sleep_ms(_CHECK_MS)
            stalled = [part for part in self.parts if part.stalled()]
            for part in stalled:
                part.restart()
            self._look_at_heap()
            if not stalled:
                for heartbeat in self.heartbeats[:]:  # one may take itself out
                    heartbeat()

    def _look_at_heap(self):
        gc.collect()  # here, at a known pace, rather than anywhere in the hot path
        self.heap_used = max(self.heap_used, gc.mem_alloc())
        self.heap_free = min(self.heap_free, gc.mem_free())
        gc.disable()  # what fails must not collect again
        while self.heap_block > 256:
            try:
                io.BytesIO(self.heap_block).close()  # gives it back at once, as a bytearray would not
                break
            except MemoryError:
                self.heap_block >>= 1
        gc.enable()

    def beats(self) -> dict:
        """How long ago each part has beaten, in ms: name to number."""
        now = ticks_ms()
        return {part.name: ticks_diff(now, part.beat_at) for part in self.parts}

    def restarts(self) -> dict:
        """Parts that had to be started again: name to number of times."""
        return {part.name: part.restarts for part in self.parts if part.restarts}

    def errors(self) -> dict:
        """What each of them last died of: name to text."""
        return {part.name: part.error for part in self.parts if part.error}
