"""A scheduled drive: the poller, the real gate, and ECUs that answer as they are told."""

import asyncio
import gc
from ecus import EXTENDED, Bench, segmented
from pigtail.diag import poller

_KEPT = 40
NAMES = "engine", "battery", "gateway"


class Drive(Bench):
    """`replies`: (tx_id, request) to (delay in ms, payload); what has none is not answered."""

    def __init__(self, requests, *servers, taking=None):
        super().__init__(*servers)
        gc.threshold(4096)  # as the application does: so that what these tests keep does not lie all over the heap
        self.time.into(poller)
        self.muted = []
        self.guard._on_mute = self.muted.append
        self.vehicle = "awake"
        self.guard._vehicle = lambda: self.vehicle
        self.servers = {NAMES[i]: one for i, one in enumerate(servers)}
        self.replies = {}
        self.asked = []  # (time, tx_id, request) of the first
        self.puts = []  # (id, length, eight bytes) of the first
        self.by_request = {}  # (tx_id, request) to its times
        self.told = []
        self.beat_at = None
        self.longest = 0  # between two heartbeats
        self._coming = []  # (time, rx, frames)
        self._rest = {}  # tx_id to the frames after a first frame
        if taking:
            requests = taking(self.servers, requests, self.guard, self.tell) + requests
        self.poller = poller.Poller(self.client, self.servers, requests, lambda: self.vehicle, self.put, self.tell)

    def put(self, slots, filled):
        for at in range(0, 16 * filled, 16):
            ident = int.from_bytes(slots[at : at + 4], "little")
            if len(self.puts) < _KEPT:
                self.puts.append((ident, slots[at + 7] >> 4, bytes(slots[at + 8 : at + 16])))

    def tell(self, kind, text):
        self.told.append((kind, text))

    def answers(self, server, request, payload, delay_ms=20):
        self.replies[server.ecu.tx_id, request] = delay_ms, payload

    def send(self, identifier, data, flags):
        self.times.append(self.time.now)
        tx = identifier
        server = [s for s in self.channels if s.ecu.tx_id == tx][0]
        rx = server.rx_id | (EXTENDED if flags & 2 else 0)
        if data[0] & 0xF0 == 0x30:
            self._coming.append((self.time.now + 5, rx, self._rest.pop(tx, [])))
            return 0
        request = bytes(data[1 : 1 + data[0]])
        self.by_request.setdefault((tx, request), []).append(self.time.now)
        if len(self.asked) < _KEPT:
            self.asked.append((self.time.now, tx, request))
        if (tx, request) in self.replies:
            delay_ms, payload = self.replies[tx, request]
            frames = segmented(payload, pad=0xAA)
            self._rest[tx] = frames[1:]
            self._coming.append((self.time.now + delay_ms, rx, frames[:1]))
        return 0

    async def runs(self, ms):
        end = self.time.now + ms
        while self.time.now < end:
            is_busy = self._coming or any([channel.is_asked for channel in self.channels])
            self.passes(10 if is_busy else min(50, end - self.time.now))
            due = [coming for coming in self._coming if coming[0] <= self.time.now]
            self._coming = [coming for coming in self._coming if coming[0] > self.time.now]
            for _, rx, frames in due:
                self.hears(rx, *frames)
            for _ in range(4):
                await asyncio.sleep_ms(0)

    async def drives(self, ms):
        """Runs the poller for so long, and stops it."""
        self.start()
        await self.runs(ms)
        await self.stop()

    def start(self):
        self.task = asyncio.create_task(self.poller.run(self.beat))

    def beat(self):
        self.longest = max(self.longest, self.time.now - (self.time.now if self.beat_at is None else self.beat_at))
        self.beat_at = self.time.now

    async def stop(self):
        self.task.cancel()
        await self.runs(20)

    def asked_at(self, request, server=None):
        """When a request was sent."""
        server = server or self.channels[0]
        return self.by_request.get((server.ecu.tx_id, request), [])

    def all_asked(self):
        return sum([len(times) for times in self.by_request.values()])


def scheduled(name, request, period_ms, priority=0, states=("awake",), windows=(0x800, 2)):
    return name, request, period_ms, priority, states, windows
