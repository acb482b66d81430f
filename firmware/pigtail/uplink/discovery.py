"""Discovery: announces the entity of a signal as soon as it has a value, in every session anew. Loaded only where wanted."""

from micropython import const
from pigtail.uplink.states import UNANNOUNCED
from time import ticks_add, ticks_diff

_PACE_MS = const(500)  # between two looks for signals that have got a value
_PACKET = const(1500)  # bytes of a topic and its payload, at most


class Discovery:
    """The speaker for the discovery topics of `states`; `text` is a session.Text."""

    def __init__(self, states, text):
        self._states = states
        self._text = text
        self._at = 0
        self._said = -1

    def rewind(self) -> None:
        pass

    def told(self) -> None:
        self._states.flags[self._said] &= ~UNANNOUNCED

    def next(self, now: int):
        if -_PACE_MS <= ticks_diff(now, self._at) < 0:
            return None
        states = self._states
        for k in range(states.count):
            if states.flags[k] & UNANNOUNCED and states.has_value(k):
                self._said = k
                said = self._announcement(k)
                if said:
                    return said
                self.told()  # the others may still be well
        self._at = ticks_add(now, _PACE_MS)

    def _announcement(self, k):
        try:
            topic, payload = self._read(self._states.facts(k))
        except (OSError, ValueError):
            return None
        return (topic, payload, True) if payload and len(topic) + len(payload) <= _PACKET else None

    def _read(self, facts):
        while len(facts.readline()) > 1:
            pass
        topic = facts.readline()[:-1].decode()
        self._text.clear()
        self._copy_line(facts)
        facts.seek(0)
        self._copy_line(facts)
        return topic, self._text.view()

    def _copy_line(self, facts):
        """In pieces: there may be no room for a whole line."""
        while True:
            piece = facts.read(64)
            end = piece.find(b"\n")
            self._text.write(piece[:end] if end >= 0 else piece)
            if end >= 0 or not piece:
                return
