"""Commands: what has come and waits, the reply that is to be told, and the restart that may follow. Loaded only where there is a
key; what judges and runs a command is loaded for it and forgotten. Bytes and reasons: SPEC section 4."""

from binascii import unhexlify
from micropython import const
from pigtail import once
from pigtail.control.replies import Replies
from time import ticks_diff

_MOST = const(4)  # commands that wait
_PAUSE_MS = const(500)  # between two: whoever floods the topic must not keep the device busy


class Commands(Replies):
    """The speaker (uplink/session) of replies below the topic `base`, as JSON in `text`; `heard` takes the messages. The other
    arguments are what commands act on; without a profile `profile`, `values`, `sampler` and `keeper` are None."""

    def __init__(self, device: str, base: str, text, key: str, clock, outbox, profile, values, sampler, keeper, bus):
        self.device = device
        self.key = unhexlify(key)
        self.clock = clock
        self.outbox = outbox
        self.profile = profile
        self.values = values
        self.sampler = sampler
        self.keeper = keeper
        self.run = 0
        self.refused = {}
        self.restarts = False  # once the reply is acknowledged
        self.base = base
        self.bus = bus
        self.tester = None  # diag.tester.Tester, where something may be asked
        self.captures = 0
        self.capture = self._tap = None  # can.capture.Capture, while there is one
        self._tells_chunk = False
        self._text = text
        self._waiting = []
        self._job = None
        self.reply = None
        self._began = None

    def heard(self, topic, message) -> None:
        """For `set_callback`."""
        if message is None:
            self.refuse("too_long")
        elif len(self._waiting) == _MOST:
            self.refuse("busy")
        else:
            self._waiting.append(message)

    def next(self, now):
        if self.reply is None:
            self._work(now)
        if self.reply is not None:
            text = self._text.of(self.reply)
            if text is None:
                self.run -= 1
                self.answer(self.reply, "too_long")
                text = self._text.of(self.reply)
            return self.base + "/reply", text, False
        chunk = self.capture and self.capture.next(now)
        self._tells_chunk = bool(chunk)
        return chunk

    def begin(self, capture) -> None:
        """Hears the bus for it, the only one, until its last chunk is told."""
        self.capture = capture
        self._tap = capture.take
        self.captures += 1
        self.bus.taps.append(self._tap)

    def _work(self, now):
        try:
            if self._job is None:
                if not self._waiting or (self._began is not None and 0 <= ticks_diff(now, self._began) < _PAUSE_MS):
                    return
                self._began = now
                command = once.call("pigtail.control.judging", "judge", self, self._waiting.pop(0))
                if command is None:
                    return
                self._job = once.call("pigtail.control.running", "run", self, command)
            next(self._job)
        except StopIteration:
            self._job = None
        except (MemoryError, OSError):  # it is not known whose it is, or the flash cannot keep that it was here
            self._job = None
            self.refuse("failed")

    def told(self) -> None:
        if self._tells_chunk:
            self._tells_chunk = False
            self.capture.told()
            if self.capture.is_over:
                self.capture = None
                self.bus.taps.remove(self._tap)
            return
        self.end()

    def rewind(self) -> None:
        self._tells_chunk = False
