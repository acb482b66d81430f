"""One session with a broker: what is said at its start, which record goes next, and what an acknowledgement sets free.

Nothing is remembered from one session to the next: the outbox and the ledger keep everything until its PUBACK, so a new
session simply begins with the oldest record again. The reader drops what it gets twice.
"""

import json
from asyncio import sleep_ms
from errno import ETIMEDOUT
from micropython import const
from time import ticks_diff, ticks_ms

_STATUS_MS = const(10000)
_ACK_MS = const(20000)
_TURN_MS = const(10)


class Session:
    """Sends from `outbox` and `ledger` over the connected `client` while `link` is up. `status()` gives the status as a dict."""

    def __init__(self, client, topics, outbox, ledger, profile, status, window: int):
        self._client = client
        self._topics = topics
        self._outbox = outbox
        self._ledger = ledger
        self._profile = profile
        self._status = status
        self._window = window
        self._waiting = {}  # packet id: (record number, range of the ledger, tick when sent), either of the first two may be None
        self._records = 0  # how many of them are records
        self._next = outbox.oldest
        self._gap_told = None
        self._profile_told = profile is None
        self._status_at = None
        client.on_puback = self._acknowledged

    async def run(self, link, beat) -> None:
        """Until the link goes down or the connection breaks, which raises OSError."""
        while link.up:
            self._client.step()
            while self._client.writable and self._send():
                pass
            self._check_overdue(ticks_ms())
            beat()
            await sleep_ms(_TURN_MS)

    def _check_overdue(self, now):
        if not self._client.writable:
            return  # a long packet is still on its way out; the client notices when it is stuck
        for _, _, sent_at in self._waiting.values():  # each on its own: others may be acknowledged all the time
            if ticks_diff(now, sent_at) > _ACK_MS:
                raise OSError(ETIMEDOUT)

    def _send(self) -> bool:
        """Sends the one thing that is most due; False when there is nothing to say or no window to say it in."""
        now = ticks_ms()
        if self._status_at is None or ticks_diff(now, self._status_at) > _STATUS_MS:
            self._status_at = now
            return self._post(self._client.publish(self._topics.status, json.dumps(self._status()), True, 1), None, None)
        if not self._profile_told:
            self._profile_told = True
            p = self._profile
            return self._post(self._client.publish_chunks(self._topics.profile(p.identity), p.size, p.chunks(), True), None, None)
        gap = self._ledger.peek()
        if gap and self._gap_told is None:
            self._gap_told = gap
            text = json.dumps({"boot": gap[0], "first": gap[1], "count": gap[2], "reason": gap[3]})
            return self._post(self._client.publish(self._topics.gap, text, False, 1), None, gap)
        return self._send_record()

    def _send_record(self):
        if self._records >= self._window:
            return False
        self._next = max(self._next, self._outbox.oldest)
        while self._next < self._outbox.end:
            record = self._outbox.peek(self._next)
            self._next += 1
            if record is not None:
                self._records += 1
                return self._post(self._client.publish(self._topics.telemetry, record, False, 1), self._next - 1, None)
        return False

    def _post(self, packet_id, record, gap):
        self._waiting[packet_id] = (record, gap, ticks_ms())
        return True

    def _acknowledged(self, packet_id):
        record, gap, _ = self._waiting.pop(packet_id, (None, None, 0))
        if record is not None:
            self._records -= 1
            self._outbox.acknowledge(record)
        if gap is not None:
            self._gap_told = None
            self._ledger.acknowledge(gap)
