"""One session with a broker: what is said at its start, which record goes next, and what an acknowledgement sets free.

Nothing is remembered from one session to the next: the outbox and the ledger keep everything until its PUBACK, so a new
session simply begins with the oldest record again. The reader drops what it gets twice.
"""

import io
import json
from asyncio import sleep_ms
from errno import ETIMEDOUT
from micropython import const
from time import ticks_diff, ticks_ms

_STATUS_MS = const(10000)
_ACK_MS = const(20000)
_FRAMES = const(0xFF)  # in place of a stream in the ledger
_GROWS_MS = const(60000)  # after lost frames were told, those that follow are told together
_TOO_LONG = b'{"state": "online", "errors": {"status": "too long"}}'


class Text(io.IOBase):
    """JSON in a buffer that is there for good, a memoryview: a heap in pieces has no room for a long string."""

    def __init__(self, view):
        self._view = view
        self._end = 0

    def write(self, piece) -> int:
        begin = self._end
        self._end += len(piece)
        if self._end <= len(self._view):
            self._view[begin : self._end] = piece
        return len(piece)

    def of(self, value):
        """A view of `value` as JSON, valid until the next; None when it does not fit."""
        self.clear()
        json.dump(value, self, separators=(",", ":"))  # type: ignore[call-overload]  # the stubs take it by place
        return self.view()

    def clear(self) -> None:
        self._end = 0

    def view(self):
        """What was written since it was cleared, valid until it is again; None when it does not fit."""
        return self._view[: self._end] if self._end <= len(self._view) else None


class Gaps:
    """The speaker for the ledger: one range at a time, as JSON in `text`."""

    def __init__(self, ledger, topic: str, text):
        self._ledger = ledger
        self._topic = topic
        self._text = text
        self._said = None
        self._told_at = None  # when lost frames were last told

    def next(self, now):
        self._said = gap = self._ledger.peek()
        if gap:
            fields = {"boot": gap[0], "stream": gap[1], "first": gap[2], "count": gap[3], "reason": gap[4]}
            if gap[1] == _FRAMES:
                at = self._told_at
                if len(self._ledger) == 1 and at is not None and 0 <= ticks_diff(now, at) < _GROWS_MS:
                    return None
                self._told_at, until = now, gap[2] + gap[4]
                fields = {"boot": gap[0], "frames": gap[3], "from_ms": gap[2] * 1000, "to_ms": until * 1000, "reason": "overrun"}
            return self._topic, self._text.of(fields), False

    def told(self) -> None:
        self._ledger.acknowledge(self._said)

    def rewind(self) -> None:
        pass


class Session:
    """Sends from `outbox` and its ledger over the connected `client` while `link` is up. `status()` gives a dict, which becomes
    JSON in `text`.

    A speaker has something of its own to say: `next(now)` gives (topic, payload, retain) or None, and is asked when a packet can
    be sent and none of this speaker's is under way; its payload lasts until the next call. `told()` is its PUBACK, `rewind()` a
    new session. `urgent` ones are asked in order before gaps and batches, `speakers` when there is no batch to send.
    """

    def __init__(self, client, topics, outbox, profile, status, text, window: int, urgent=(), speakers=()):
        self._client = client
        self._topics = topics
        self._outbox = outbox
        self._profile = profile
        self._status = status
        self._text = text
        self._window = window
        self._waiting = {}  # packet id: (batch or speaker or None, tick when sent)
        self._posted = 0  # the newest of them
        self._batches = 0  # how many of them are batches
        self._urgent = list(urgent) + [Gaps(outbox.ledger, topics.gap, text)]
        self._speakers = speakers
        self._speaking = []  # those with a packet under way
        self._profile_told = profile is None
        self._status_at = None
        client.on_puback = self._acknowledged
        outbox.rewind()
        for some in self._urgent, speakers:
            for speaker in some:
                speaker.rewind()

    async def run(self, link, beat) -> None:
        """Until the link goes down or the connection breaks, which raises OSError."""
        while link.up:
            self._client.step()
            while self._client.writable and self._send():
                pass
            self._check_overdue(ticks_ms())
            beat()
            await sleep_ms(self._client.idle_ms)

    def _check_overdue(self, now):
        if not self._client.writable:  # a long packet is still on its way out; the client notices when it is stuck
            if self._posted in self._waiting:
                self._waiting[self._posted] = self._waiting[self._posted][0], now
            return
        for _, sent_at in self._waiting.values():  # each on its own: others may be acknowledged all the time
            if ticks_diff(now, sent_at) > _ACK_MS:
                raise OSError(ETIMEDOUT)

    def _send(self) -> bool:
        """Sends the one thing that is most due; False when there is nothing to say or no window to say it in."""
        now = ticks_ms()
        if self._status_at is None or ticks_diff(now, self._status_at) > _STATUS_MS:
            self._status_at = now
            text = self._text.of(self._status()) or _TOO_LONG
            return self._post(self._client.publish(self._topics.status, text, True, 1), None)
        if not self._profile_told:
            self._profile_told = True
            p = self._profile
            return self._post(self._client.publish_chunks(self._topics.profile(p.identity), p.size, p.chunks(), True), None)
        return self._say(self._urgent, now) or self._send_batch() or self._say(self._speakers, now)

    def _say(self, speakers, now):
        for speaker in speakers:
            said = None if speaker in self._speaking else speaker.next(now)
            if said:
                topic, payload, retain = said
                self._speaking.append(speaker)
                return self._post(self._client.publish(topic, payload, retain, 1), speaker)
        return False

    def _send_batch(self):
        if self._batches >= self._window:
            return False
        batch = self._outbox.next()
        if batch is None:
            return False
        self._batches += 1
        topic = self._topics.telemetry
        return self._post(self._client.publish_chunks(topic, batch.size, batch.chunks(), False, batch.was_given), batch)

    def _post(self, packet_id, what):
        self._waiting[packet_id] = (what, ticks_ms())
        self._posted = packet_id
        return True

    def _acknowledged(self, packet_id):
        what, _ = self._waiting.pop(packet_id, (None, 0))
        if what in self._speaking:
            self._speaking.remove(what)
            what.told()
        elif what is not None:
            self._batches -= 1
            self._outbox.acknowledge(what)
