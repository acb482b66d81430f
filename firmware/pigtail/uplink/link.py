"""The link: joins the Wi-Fi and says whether it is up, and if not, why.

With one network it is joined, and asked for again when nothing comes of it. With several the strongest known one in the air comes
first, then the others that are heard, then those that are not, which may be hidden; then all over again.
"""

import network
from asyncio import sleep_ms
from micropython import const
from time import ticks_diff, ticks_ms

_POLL_MS = const(200)
_REJOIN_MS = const(15000)
_WRONG_PASSWORD = getattr(network, "STAT_WRONG_PASSWORD", None)  # not every port names them
_NO_NETWORK = getattr(network, "STAT_NO_AP_FOUND", None)


class Link:
    """`networks` are more of them: pairs of name and password."""

    def __init__(self, ssid: str, password: str, networks=()):
        self._wlan = network.WLAN(network.STA_IF)
        self._networks = [(ssid, password)]
        self._air = None
        if networks:
            from pigtail.uplink.air import Air  # here: most have one network

            self._networks += networks
            self._air = Air(self._wlan, [ssid for ssid, _ in self._networks])
        self._turn = []  # numbers of those still to be tried, next one first
        self._asked_at = 0
        self.up = False
        self.losses = 0
        self.state = "joining"  # or up, scanning, wrong_password, no_network

    async def run(self, beat) -> None:
        self._wlan.active(True)
        await self._join(beat)
        while True:
            up = self._wlan.isconnected()
            if self.up and not up:
                self.losses += 1
            self.up = up
            self.state = "up" if up else self._trouble()
            if up:
                self._asked_at = ticks_ms()
                self._turn.clear()  # whoever loses it may be elsewhere by then
            elif ticks_diff(ticks_ms(), self._asked_at) > _REJOIN_MS:
                self._wlan.disconnect()
                await self._join(beat)
            beat()
            await sleep_ms(_POLL_MS)

    def _trouble(self):
        status = self._wlan.status()
        if status == _WRONG_PASSWORD:
            return "wrong_password"
        return "no_network" if status == _NO_NETWORK else "joining"

    async def _join(self, beat):
        if not self._turn:
            if self._air:
                self.state = "scanning"
            self._turn = await self._air.by_strength(beat) if self._air else [0]
        ssid, password = self._networks[self._turn.pop(0)]
        self._asked_at = ticks_ms()
        self._wlan.connect(ssid, password or None)
