"""Sampling: which signals are due when, and when a batch is closed.

Time is a grid of `grid_ms` since boot; a period class is due on every tick that its period divides. A late loop catches up tick
by tick, so that a sample's place in the batch tells its time. Signals sampled on change come through `changes`.
"""


class Sampler:
    """Fills `batch` from the values of `profile`; `deliver()` is called when the batch is to be closed and handed on."""

    def __init__(self, profile, batch, tick_of, batch_ms: int, deliver):
        self._grid_ms = profile.grid_ms
        self._periods = [p // profile.grid_ms for p in profile.periods]
        self._batch = batch
        self._tick_of = tick_of
        self._ticks_per_batch = max(1, batch_ms // profile.grid_ms)
        self._close_after_ms = batch_ms if profile.grid_ms > batch_ms else 0  # where the grid alone would close it too late
        self._deliver = deliver
        self._next = 0
        self._opened = 0
        self._opened_ms = 0

    def start(self, now_ms: int) -> None:
        """Begins with the first grid tick after `now_ms` (uptime); hands on what was taken before."""
        self._next = now_ms // self._grid_ms + 1
        self._close()

    def _open(self):
        self._opened = self._next
        self._batch.open(self._next, self._tick_of(self._next * self._grid_ms))

    def run(self, now_ms: int) -> None:
        """Takes every tick that is due by `now_ms`."""
        while self._next * self._grid_ms <= now_ms:
            tick = self._tick_of(self._next * self._grid_ms)
            while not self._batch.silences(tick):
                self._close()
            due = self._due(self._next)
            while due and not self._batch.take(due, tick):
                self._close()
            self._next += 1
            if self._next - self._opened >= self._ticks_per_batch:
                self._close()
        if self._close_after_ms and now_ms - self._opened_ms >= self._close_after_ms:
            self._opened_ms = now_ms
            if not self._batch.is_empty:
                self._close()

    def _due(self, k):
        due = 0
        for c in range(len(self._periods)):  # enumerate would allocate
            period = self._periods[c]
            if period and k % period == 0:
                due |= 1 << c
        return due

    def changes(self, events, n: int) -> None:
        """Takes `n` changes (index, tick, raw, quality)."""
        i = 0
        while i < n:
            i = self._batch.events(events, i, n)
            if i < n:
                self._close()

    def _close(self):
        if not self._batch.is_empty:
            self._deliver()
        self._open()
