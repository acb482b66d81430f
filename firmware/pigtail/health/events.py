"""Events: what happened to the device, kept until it is told. Of more than can be kept the oldest is dropped, and counted."""

from micropython import const
from pigtail import uptime

_MOST = const(8)
_TEXT = const(80)  # longest text of somebody else's


class Events:
    """A speaker (uplink/session) of `boot` on `topic`, as JSON in `text`. Events are numbered from 0 in each boot."""

    def __init__(self, boot: int, topic: str, text):
        self._boot = boot
        self._topic = topic
        self._text = text
        self.waiting = []  # (number, uptime, kind, text)
        self._said = -1
        self._next = 0
        self.lost = 0

    def add(self, kind: str, text: str = "", most: int = _TEXT) -> None:
        if len(self.waiting) == _MOST:
            self.waiting.pop(0)
            self.lost += 1
        self.waiting.append((self._next, uptime.ms(), kind, text[:most]))
        self._next += 1

    def next(self, now):
        if self.waiting:
            number, uptime_ms, kind, text = self.waiting[0]
            self._said = number
            fields = {"boot": self._boot, "number": number, "uptime_ms": uptime_ms, "kind": kind, "text": text}
            return self._topic, self._text.of(fields), False

    def told(self) -> None:
        if self.waiting[0][0] == self._said:  # else it was dropped meanwhile
            self.waiting.pop(0)

    def rewind(self) -> None:
        pass
