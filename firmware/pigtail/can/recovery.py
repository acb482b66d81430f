"""What follows bus-off: listening at once, sending again after a wait, and never again after three times in ten minutes."""

from micropython import const

_WITHIN_MS = const(600_000)
_TIMES = const(3)
_WAIT_MS = const(5_000)  # twice as long the second time


class Recovery:
    """Of `bus`; sets its `muted`, which stays until the owner takes it back."""

    def __init__(self, bus):
        self._bus = bus
        self._times = []
        self._sends_at = None

    def begin(self, now_ms: int) -> str:
        """The controller has just gone bus-off; returns what is done about it."""
        self._times = [at for at in self._times if now_ms - at < _WITHIN_MS] + [now_ms]
        times = len(self._times)
        has_sent = not self._bus.silent or self._sends_at is not None
        self._sends_at = None
        if times >= _TIMES:
            self._bus.muted = True
            self._bus.listen()
            return "%d times in ten minutes: silent until the owner says otherwise" % times
        wait_ms = _WAIT_MS << (times - 1)
        self._bus.listen()
        if not has_sent:  # a controller that only listens cannot go bus-off: it did not answer rightly
            return "listening only"
        self._sends_at = now_ms + wait_ms
        return "listening only, for %d s" % (wait_ms // 1000)

    def check(self, now_ms: int) -> None:
        """Ends the wait when it is over."""
        if self._sends_at is not None and now_ms >= self._sends_at:
            self._sends_at = None
            self._bus.listen(silent=False)
