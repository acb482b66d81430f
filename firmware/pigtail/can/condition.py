"""The bus's condition, looked at once a second: error state, load, overruns, stalled reception. Counted, and told as events;
frames that were lost stand in the ledger."""

from micropython import const

_CHECK_MS = const(1000)
_QUIET_MS = const(10_000)  # without a frame, before the controller is started anew; then twice as long each time
_MOST_QUIET_MS = const(640_000)
_TELL_MS = const(60_000)  # between two events of overruns
STATES = ("stopped", "active", "warning", "passive", "bus_off")


class Condition:
    """Of `bus` in `boot`; `on_event(kind, text)` is told what changes, `ledger` when frames were lost. `load` is an
    estimate in percent, of the frames that were heard."""

    def __init__(self, bus, on_event=None, ledger=None, boot: int = 0):
        self._bus = bus
        self._ledger = ledger
        self._boot = boot
        self._on_event = on_event
        self._recovery = None
        self._at = self._quiet_since = 0
        self._seen = self._lost = self._told = self._tells_at = 0
        self._quiet_ms = _QUIET_MS
        self._restarted = False
        self.state = 1
        self.load = 0
        self.stalls = 0
        self._bus_offs = 0

    def check(self, now_ms: int) -> None:
        """To be called often; does something once a second."""
        elapsed = now_ms - self._at
        if elapsed < _CHECK_MS:
            return
        self._at = now_ms
        self._judge(self._bus.state(), now_ms)
        self._account(elapsed, now_ms)

    def _judge(self, state, now_ms):
        if state != self.state:
            self.state = state
            self._tell("bus_state", STATES[state])
        if self._bus.bus_offs != self._bus_offs:
            self._bus_offs = self._bus.bus_offs
            if self._recovery is None:
                from pigtail.can.recovery import Recovery  # here: what only listens never comes to this

                self._recovery = Recovery(self._bus)
            self._tell("bus_off", self._recovery.begin(now_ms))
        elif self._recovery:
            self._recovery.check(now_ms)

    def _account(self, elapsed, now_ms):
        bus = self._bus
        overruns = bus.overruns()
        seen = bus.received + bus.remote + bus.malformed
        heard = seen + overruns - self._seen
        self._seen += heard
        if overruns != self._lost:
            if self._ledger is not None:
                self._ledger.overruns(self._boot, (now_ms - elapsed) // 1000, (now_ms + 999) // 1000, overruns - self._lost)
            self._lost = overruns
        if overruns != self._told and now_ms >= self._tells_at:
            self._tell("overrun", "%d more" % (overruns - self._told))
            self._told, self._tells_at = overruns, now_ms + _TELL_MS
        self.load = min(100, heard * bus.frame_bits() * 100_000 // (elapsed * bus.rate)) if bus.rate else 0
        fresh, self._restarted = self._restarted, False
        if heard:
            if fresh:  # within the second after a fresh start: it was not the bus that was silent
                self.stalls += 1
                self._tell("stall", "hears again, started anew")
            self._quiet_since, self._quiet_ms = now_ms, _QUIET_MS
        elif now_ms - self._quiet_since >= self._quiet_ms:
            self._quiet_since, self._quiet_ms = now_ms, min(2 * self._quiet_ms, _MOST_QUIET_MS)
            bus.listen(silent=bus.silent)
            self._restarted = True

    def _tell(self, kind, text):
        if self._on_event:
            self._on_event(kind, text)
