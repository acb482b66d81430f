"""`select` whose short waits are waits at any speed.

libfaketime divides a poll's time-out, which counts whole milliseconds: at `--speed 4` a wait of 2 ms becomes none,
and the loop spins.
"""

import os
import uselect
from uselect import POLLERR, POLLHUP, POLLIN, POLLOUT  # noqa: F401
from utime import sleep_us

_SPEED = float(os.getenv("PIGTAIL_SPEED") or "1")


class poll:
    def __init__(self):
        inner = uselect.poll()
        self._ipoll = inner.ipoll
        self.register = inner.register
        self.unregister = inner.unregister
        self.modify = inner.modify
        self.poll = inner.poll

    def ipoll(self, timeout=-1, flags=0):
        if 0 < timeout < _SPEED:
            sleep_us(timeout * 1000)
            timeout = 0
        return self._ipoll(timeout, flags)
