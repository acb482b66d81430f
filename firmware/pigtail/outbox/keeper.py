"""The keeper: sees that what is coded reaches the outbox in time. Closed batches go there at once; of open ones, what is new is
put on flash before it is as old as the bound on what a power cut may take, and all of it when the ignition goes off."""

import machine
from asyncio import sleep_ms
from micropython import const
from pigtail import uptime

_TURN_MS = const(100)
_MARGIN = const(2048)  # samples that a stream may take in one turn: numbers are reserved that far ahead
_HOLD_MS = const(5000)


class Keeper:
    """Of `batches` of `boot`, on a grid of `grid_ms`, into `outbox`. `clock` has `quality` and `utc_of_boot_ms`; `versions`:
    configuration, consent; `ignition()`: whether it is on, None where nothing tells. Nothing is to be sampled while `holding`:
    power may end."""

    def __init__(self, batches, outbox, boot: int, grid_ms: int, clock, versions, ignition):
        self._batches = batches
        self._outbox = outbox
        self._boot = boot
        self._grid_ms = grid_ms
        self._clock = clock
        self._versions = versions
        self._ignition = ignition
        self._kept_ms = [0] * len(batches)  # when each had a part put on flash
        self._was_on = True
        self.holding = False

    def deliver(self, batch) -> None:
        """Takes a batch that is to be closed."""
        outbox, clock = self._outbox, self._clock
        first, count = batch.sequence, batch.count
        try:
            if batch.parts:  # what went before is on flash; with its end there, too, nothing hangs on the RAM
                self._checkpoint(batch, True)
            record = batch.close(self._boot, clock.quality, clock.utc_of_boot_ms, self._versions)
            outbox.append(batch.stream, record, self._boot, first, count, batch.start * self._grid_ms)
        except MemoryError:
            outbox.ledger.add(self._boot, batch.stream, first, count, "overrun")

    def _checkpoint(self, batch, is_last):
        clock = self._clock
        part = batch.part(self._boot, clock.quality, clock.utc_of_boot_ms, self._versions)
        self._outbox.checkpoint(batch.stream, part, self._boot, batch.sequence, batch.count, is_last)

    async def run(self, beat) -> None:
        while True:
            self._turn(uptime.ms())
            beat()
            await sleep_ms(_TURN_MS)

    def hold(self, now: int) -> None:
        """Before the power goes, or the chip starts anew: puts everything on flash, and nothing is to be sampled for a while."""
        self.holding = True
        self._held_ms = now
        self._keep(now, 0)
        self._outbox.flush_all()

    def _turn(self, now):
        is_on = self._ignition() is not False
        if self._was_on and not is_on:
            self.hold(now)
        elif self.holding and (is_on or now - self._held_ms >= _HOLD_MS):
            self.holding = False  # power stays for now: the bound holds again
        self._was_on = is_on
        if self.holding:
            return
        for batch in self._batches:
            self._outbox.reserve(batch.stream, batch.sequence + batch.count + _MARGIN)
        self._keep(now, self._outbox.bound_ms)
        self._outbox.tidy(now)

    def _keep(self, now, age_ms):
        """Puts on flash what is new in open batches that have had none put there for `age_ms`."""
        for i, batch in enumerate(self._batches):
            since = max(self._kept_ms[i], batch.start * self._grid_ms)
            if now - since >= age_ms and not batch.is_empty:
                self._kept_ms[i] = now
                self._checkpoint(batch, False)


def restart(keeper) -> None:
    """Starts the chip anew, with everything on flash; `keeper` is None where there is nothing to keep."""
    try:
        if keeper:
            keeper.hold(uptime.ms())
    finally:
        machine.reset()
