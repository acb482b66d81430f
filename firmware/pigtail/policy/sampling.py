"""Sampling: which signals are due when, and when a batch is closed.

Time is a grid of `grid_ms` since boot; a period class is due on every tick that its period divides. A late loop catches up tick
by tick, so that a sample's place in the batch tells its time. Signals sampled on change come through `changes`.
"""

from micropython import const
from pigtail.signals.profile import CLASS_MASK, LOW_HALF, STREAM_SHIFT, UNSAMPLED

_STALE = const(2)


class Sampler:
    """Fills `batches`, one for each stream, from `values`; `deliver(batch)` is called when one is to be closed and handed on."""

    def __init__(self, profile, values, batches, tick_of, batch_ms: int, deliver):
        self._grid_ms = profile.grid_ms
        self._periods = [p // profile.grid_ms for p in profile.periods]
        self._profile = profile
        self._values = values
        self._batches = batches
        self._alerts = [batches[i] for i, stream in enumerate(profile.streams) if stream & 3 == 0]
        self._tick_of = tick_of
        self._ticks_per_batch = max(1, batch_ms // profile.grid_ms)
        self._close_after_ms = batch_ms if profile.grid_ms > batch_ms else 0  # where the grid alone would close it too late
        self._deliver = deliver
        self._next = 0
        self._closed_ms = 0

    def start(self, now_ms: int) -> None:
        """Begins with the first grid tick after `now_ms` (uptime); hands on what was taken before."""
        self._next = now_ms // self._grid_ms + 1
        self.close()

    def close(self) -> None:
        """Hands on what has been taken so far."""
        for batch in self._batches:
            self._close(batch)

    def run(self, now_ms: int) -> None:
        """Takes every tick that is due by `now_ms`."""
        while self._next * self._grid_ms <= now_ms:
            self._take(self._tick_of(self._next * self._grid_ms))
            self._next += 1
            for batch in self._batches:
                if self._next - batch.start >= self._ticks_per_batch:
                    self._close(batch)
        if self._close_after_ms and now_ms - self._closed_ms >= self._close_after_ms:
            self._closed_ms = now_ms
            for batch in self._batches:
                if not batch.is_empty:
                    self._close(batch)
        for batch in self._alerts:  # they wait for nothing
            if not batch.is_empty:
                self._close(batch)

    def _take(self, tick):
        self._mark_silent(tick)
        due = self._due(self._next)
        if due and self._values.judge:
            self._values.judge.limits()
        for batch in self._batches:
            while not batch.take(due, tick):
                self._close(batch)
        self._values.taken(due)

    def _due(self, k):
        due = 0
        for c in range(len(self._periods)):  # enumerate would allocate
            period = self._periods[c]
            if period and k % period == 0:
                due |= 1 << c
        return due

    def _mark_silent(self, tick):
        """Marks the signals of every row that has gone silent by `tick` as stale."""
        p, row = self._profile, 0
        while True:
            row = self._values.next_silent(row, tick)
            if row < 0:
                return
            for s in range(p.first(row), p.first(row) + p.count(row)):
                if p.classes[s] & CLASS_MASK != UNSAMPLED and not (s and p.classes[s - 1] & LOW_HALF):
                    batch = self._batches[p.classes[s] >> STREAM_SHIFT]
                    while not batch.mark(s, tick, _STALE):
                        self._close(batch)
            row += 1

    def changes(self, events, n: int) -> None:
        """Takes `n` changes (index, tick, raw, quality)."""
        i = 0
        while i < n:
            batch = self._batches[self._profile.classes[events[4 * i]] >> STREAM_SHIFT]
            after = batch.events(events, i, n)
            if after == i:
                self._close(batch)
            i = after

    def _close(self, batch):
        if not batch.is_empty:
            self._deliver(batch)
        batch.open(self._next, self._tick_of(self._next * self._grid_ms))
