"""The clock: asks a time server (SNTPv4, RFC 4330) without blocking and says how far the calendar can be trusted.

The one place that knows epochs: NTP counts from 1900, UTC here from 1970, the chip's calendar from whatever `gmtime(0)` says.
"""

import random
import socket
import struct
import time
from asyncio import sleep_ms
from machine import RTC
from micropython import const
from pigtail import uptime
from pigtail.uplink.resolve import CLOCK, resolve

NONE, RTC_ONLY, NTP, GNSS = const(0), const(1), const(2), const(3)
QUALITY = ("none", "rtc", "ntp", "gnss")
_NTP_TO_UNIX = 2208988800
_UNIX_TO_DEVICE = 946684800 if time.gmtime(0)[0] == 2000 else 0
_LAST_S = 0x7FFFFFFF  # of the chip's calendar
_ANSWER_MS = const(2000)
_RETRY_MS = const(5000)
_REPEAT_MS = const(900000)
_TURN_MS = const(20)


class Clock:
    """`quality` and, where it is not NONE, `utc_of_boot_ms`: UTC (ms since 1970) at which this boot's uptime was 0."""

    def __init__(self, host: str, port: int):
        self._host = host
        self._port = port
        self._request = bytearray(48)
        self._answer = bytearray(48)
        self.quality = NONE
        self.utc_of_boot_ms = 0
        self.refused = 0
        self.on_set = None  # called when the time is known for the first time

    async def run(self, link, beat) -> None:
        while True:
            wait_ms = _RETRY_MS
            if link.up and self._host:
                try:
                    if await self._ask(beat):
                        wait_ms = _REPEAT_MS
                except OSError:
                    pass  # no answer is the usual case of a link that comes and goes; asked again soon
            while wait_ms > 0:
                beat()
                await sleep_ms(500)
                wait_ms -= 500

    async def _ask(self, beat):
        address = await resolve(self._host, self._port, _ANSWER_MS, CLOCK)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.setblocking(False)
            s.connect(address)
            request = self._request
            request[0] = 0x23  # version 4, client
            for i in range(40, 48):
                request[i] = random.getrandbits(8)  # the transmit time comes back as the originate time
            sent_ms = uptime.ms()
            s.write(request)
            while uptime.ms() - sent_ms < _ANSWER_MS:
                size = s.readinto(self._answer)
                if size is not None:
                    taken = size == 48 and self._take(sent_ms, uptime.ms())
                    self.refused += not taken
                    return taken
                beat()
                await sleep_ms(_TURN_MS)
            return False
        finally:
            s.close()

    def _take(self, sent_ms, now_ms):
        """False for an answer that RFC 4330 section 5 calls unusable, or whose time the chip's calendar cannot hold."""
        answer = self._answer
        stratum = answer[1]
        if answer[0] & 7 != 4 or answer[0] >> 6 == 3 or not 0 < stratum < 16 or answer[24:32] != self._request[40:48]:
            return False
        seconds, fraction = struct.unpack_from("!II", answer, 40)
        if not seconds:
            return False
        if seconds < 0x80000000:
            seconds += 0x100000000  # era 1, from 2036 on (section 3)
        utc_ms = (seconds - _NTP_TO_UNIX) * 1000 + (fraction * 1000 >> 32) + (now_ms - sent_ms) // 2
        device_s = utc_ms // 1000 - _UNIX_TO_DEVICE
        if not 0 <= device_s <= _LAST_S:
            return False
        self.utc_of_boot_ms = utc_ms - now_ms
        was, self.quality = self.quality, NTP
        if was == NONE and self.on_set:
            self.on_set()
        y, mo, d, h, mi, s, wd, _ = time.gmtime(device_s)
        RTC().datetime((y, mo, d, wd, h, mi, s, utc_ms % 1000 * 1000))
        return True
