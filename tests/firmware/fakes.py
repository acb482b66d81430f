"""What stands in for time, the network and the controller in the tests."""

import asyncio
import io

POLL = 3


class Time:
    """Time that stands still until the test lets it pass. `into(module)` puts it in place of the module's own."""

    def __init__(self, now=0):
        self.now = now

    def into(self, *modules):
        for module in modules:
            if hasattr(module, "ticks_ms"):
                module.ticks_ms = self.ticks_ms
            if hasattr(module, "sleep_ms"):
                module.sleep_ms = self.sleep_ms
            if hasattr(module, "asyncio"):
                module.asyncio = self
        return self

    create_task = staticmethod(asyncio.create_task)
    CancelledError = asyncio.CancelledError

    def ticks_ms(self):
        return self.now & 0x3FFFFFFF

    async def sleep_ms(self, ms):
        end = self.now + ms
        await asyncio.sleep_ms(0)
        while self.now < end:
            await asyncio.sleep_ms(0)

    async def passes(self, ms, step=10):
        """Lets `ms` pass; every task that is due runs at each step."""
        end = self.now + ms
        while self.now < end:
            self.now += step
            await asyncio.sleep_ms(0)
            await asyncio.sleep_ms(0)


class Machine:
    """A chip that counts how often it was to start anew."""

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1


class Socket(io.IOBase):
    """The near end of a connection: the test fills `incoming` and reads `sent`."""

    def __init__(self, *args):
        self.incoming = bytearray()
        self.sent = bytearray()
        self.gives = 4096  # bytes at a time, most
        self.takes = 4096  # bytes in all before it takes no more
        self.over = False  # the other end has closed
        self.closed = False
        self.address = None

    def connect(self, address):
        self.address = address

    def setblocking(self, flag):
        assert flag is False, "a socket that blocks"

    def setsockopt(self, level, option, value):
        pass

    def readinto(self, buf):
        n = min(len(buf), len(self.incoming), self.gives)
        if not n:
            return 0 if self.over else None
        buf[:n] = self.incoming[:n]
        self.incoming = self.incoming[n:]
        return n

    def write(self, buf):
        n = min(len(buf), self.takes)
        self.takes -= n
        self.sent.extend(buf[:n])
        return n or None

    def close(self):
        self.closed = True

    def ioctl(self, request, arg):
        return arg if request == POLL else -22


class Network:
    """In place of the module `socket`: every new socket comes from `make()`."""

    AF_INET, SOCK_DGRAM = 2, 2

    def __init__(self, make=Socket):
        self._make = make
        self.opened = []

    def socket(self, *args):
        self.opened.append(self._make())
        return self.opened[-1]


class Link:
    def __init__(self, up=True):
        self.up = up


class Outbox:
    """Batches in the order of their coming, each given once until the session that asks is a new one."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.waiting = []
        self.given = []
        self.acknowledged = []  # payloads

    def next(self):
        for batch in self.waiting:
            if batch not in self.given:
                self.given.append(batch)
                return batch

    def rewind(self):
        for batch in self.given:
            batch.was_given = True
        self.given = []

    def acknowledge(self, batch):
        self.waiting.remove(batch)
        self.acknowledged.append(batch.payload)


class Can:
    """A controller that returns frames (id, data, flags) made beforehand; allocates nothing while it does."""

    FLAG_RTR, FLAG_EXT_ID = 1, 2

    def __init__(self, frames):
        self._ids = [frame[0] for frame in frames]
        self._data = [memoryview(frame[1]) for frame in frames]
        self._flags = [frame[2] if len(frame) > 2 else 0 for frame in frames]
        self._next = 0
        self.overruns = 0
        self.filters = "not set"

    def set_filters(self, filters):
        self.filters = filters

    def recv(self, frame):
        i = self._next
        if i == len(self._ids):
            return None
        frame[0] = self._ids[i]
        frame[1] = self._data[i]
        frame[2] = self._flags[i]
        self._next = i + 1
        return frame

    def rewind(self):
        self._next = 0

    def get_counters(self, counters):
        counters[7] = self.overruns
        return counters


def steps(times):
    """What lies between each and the next."""
    return [times[i + 1] - times[i] for i in range(len(times) - 1)]


async def stopped(task):
    """Cancels a task and waits for its end."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
