"""The link: joins the Wi-Fi and says whether it is up. Joining is asked for again when nothing comes of it."""

import network
from asyncio import sleep_ms
from micropython import const
from time import ticks_diff, ticks_ms

_POLL_MS = const(200)
_REJOIN_MS = const(15000)


class Link:
    def __init__(self, ssid: str, password: str):
        self._wlan = network.WLAN(network.STA_IF)
        self._ssid = ssid
        self._password = password
        self.up = False
        self.losses = 0

    async def run(self, beat) -> None:
        self._wlan.active(True)
        self._join()
        while True:
            up = self._wlan.isconnected()
            if self.up and not up:
                self.losses += 1
            self.up = up
            if up:
                self._asked_at = ticks_ms()
            elif ticks_diff(ticks_ms(), self._asked_at) > _REJOIN_MS:
                self._wlan.disconnect()
                self._join()
            beat()
            await sleep_ms(_POLL_MS)

    def _join(self):
        self._asked_at = ticks_ms()
        self._wlan.connect(self._ssid, self._password or None)
