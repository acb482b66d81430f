"""The uplink: owns reconnecting. While the link is up it resolves, connects and runs a session; when that ends it waits and
tries again, with a jittered back-off that a returning link cuts short. The only place that catches OSError of the network."""

import random
from asyncio import sleep_ms
from micropython import const
from pigtail.uplink.resolve import resolve
from time import ticks_diff, ticks_ms
from umqtt.simple import MQTTException

_CONNECT_MS = const(10000)
_LEAST_WAIT_MS = const(500)
_MOST_WAIT_MS = const(60000)
_TURN_MS = const(100)
_STEADY_MS = const(30000)


class Uplink:
    """`new_session()` gives a Session for the connected `client`."""

    def __init__(self, client, link, new_session):
        self._client = client
        self._link = link
        self._new_session = new_session
        self._wait_ms = _LEAST_WAIT_MS
        self.connects = 0
        self.failures = 0
        self.reason = ""

    async def run(self, beat) -> None:
        while True:
            while not self._link.up:
                beat()
                await sleep_ms(_TURN_MS)
            began = ticks_ms()
            try:
                await self._serve(beat)
            except (OSError, MQTTException) as error:
                self.failures += 1
                self.reason = repr(error)
            self._client.close()
            if ticks_diff(ticks_ms(), began) > _STEADY_MS:
                self._wait_ms = _LEAST_WAIT_MS
            await self._back_off(beat)

    async def _serve(self, beat):
        beat()
        address = await resolve(self._client.server, self._client.port, _CONNECT_MS)
        await self._client.open(address, _CONNECT_MS)
        self.connects += 1
        await self._new_session().run(self._link, beat)

    async def _back_off(self, beat):
        left = self._wait_ms // 2 + random.getrandbits(16) * (self._wait_ms // 2) // 65536
        self._wait_ms = min(2 * self._wait_ms, _MOST_WAIT_MS)
        was_up = self._link.up
        while left > 0:
            beat()
            await sleep_ms(_TURN_MS)
            left -= _TURN_MS
            if self._link.up and not was_up:
                self._wait_ms = _LEAST_WAIT_MS
                return
            was_up = self._link.up
