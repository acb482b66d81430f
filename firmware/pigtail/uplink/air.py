"""What is in the air: which of several known networks is heard, and how well. Loaded only where there are several."""

import _thread
from asyncio import sleep_ms
from micropython import const
from time import ticks_diff, ticks_ms

_POLL_MS = const(200)
_SCAN_MS = const(10000)


class Air:
    """`names` are those of the known networks."""

    def __init__(self, wlan, names):
        self._wlan = wlan
        self._names = [name.encode() for name in names]
        self._strengths = None  # of the last scan, see _listen

    async def by_strength(self, beat) -> list:
        """The numbers of all networks, strongest first, those not heard last. A scan takes seconds, so it is done aside."""
        count = len(self._names)
        if self._strengths is None or self._strengths[count]:  # else an earlier one hangs
            strengths = bytearray(count + 1)
            _thread.start_new_thread(_listen, (self._wlan, self._names, strengths))
            self._strengths = strengths
        began = ticks_ms()
        while not self._strengths[count] and ticks_diff(ticks_ms(), began) < _SCAN_MS:
            beat()
            await sleep_ms(_POLL_MS)
        strengths = bytes(self._strengths)
        return sorted(range(count), key=lambda i: i - 256 * strengths[i])


def _listen(wlan, names, strengths):
    """The thread: puts one byte for each name into `strengths`, 0 where it was not heard, and at the end one that says so."""
    try:
        for heard in wlan.scan():
            for i in range(len(names)):
                if heard[0] == names[i]:
                    strengths[i] = max(strengths[i], min(255, 256 + heard[3]))  # dBm
    except OSError:
        pass  # the driver would not: they are tried in the order of the configuration
    finally:
        strengths[len(names)] = 1
