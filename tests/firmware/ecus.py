"""Diagnostics with the real gate and no car: the frames that ECUs would send, and what went out to them."""

import asyncio
import struct
from fakes import Time
from pigtail.can import tx_guard
from pigtail.diag import isotp, uds

EXTENDED = 0x20000000
CONTINUE = b"\x30\0\0\0\0\0\0\0"


def slots(frames):
    """Frames (id with bit 29, data) as `can.bus` stores them."""
    return bytearray(b"".join([struct.pack("<II8s", rx, len(data) << 28, data) for rx, data in frames]))


def segmented(payload, prefix=b"", pad=None):
    """The frames of a message."""
    room = 7 - len(prefix)
    if len(payload) <= room:
        frames = [bytes([len(payload)]) + payload]
    else:
        frames = [bytes([0x10 | len(payload) >> 8, len(payload) & 0xFF]) + payload[: room - 1]]
        for n, at in enumerate(range(room - 1, len(payload), room), 1):
            frames.append(bytes([0x20 | n & 15]) + payload[at : at + room])
    frames = [prefix + frame for frame in frames]
    return frames if pad is None else [frame + bytes([pad] * (8 - len(frame))) for frame in frames]


class Bench:
    """Time, an open gate, what went through it as (id, data) and when, and the answers' reception for `channels`."""

    def __init__(self, *channels, functional=None, buffers=2, size=512):
        self.time = Time(1000).into(tx_guard, isotp, uds)
        self.sent, self.times = [], []
        ecus = [channel.ecu for channel in channels] + ([functional] if functional else [])
        self.guard = tx_guard.TxGuard(ecus, tx_guard.DEFAULT + b"\x18\x21\x1a", lambda: "awake", None)
        self.guard.open(self)
        self.isotp = isotp.Isotp(self.guard, channels, buffers, size)
        self.client = uds.Client(self.guard, self.isotp)
        self.channels = channels

    def send(self, identifier, data, flags):
        self.times.append(self.time.now)
        self.sent.append((identifier | (EXTENDED if flags & 2 else 0), bytes(data)))
        return 0

    def hears(self, rx, *frames):
        """These frames come from the id `rx`."""
        self.isotp.take(slots([(rx, frame) for frame in frames]), len(frames))

    def passes(self, ms):
        """Time passes and nothing comes."""
        end = self.time.now + ms
        while self.time.now < end:
            self.time.now += min(10, end - self.time.now)
            self.guard.beat()
            self.isotp.take(b"", 0)

    async def runs(self, ms):
        """As `passes`, with tasks."""
        end = self.time.now + ms
        while self.time.now < end:
            self.passes(5)
            for _ in range(6):
                await asyncio.sleep_ms(0)

    def asks(self, channel, request=b"\x22\xf1\x90", answer_ms=1000):
        """Opens the channel and sends a request, which is taken out of `sent`."""
        self.isotp.open(channel, answer_ms)
        data = (b"" if channel.ecu.prefix is None else bytes([channel.ecu.prefix])) + bytes([len(request)]) + request
        told = self.guard.send(channel.ecu.tx_id, channel.ecu.is_extended_id, data + bytes(8 - len(data)))
        assert told == ""
        self.sent.clear()

    def refuses(self, reason):
        """From now on the gate refuses everything for this reason; returns the list of what is tried."""
        tried = []

        def send(identifier, is_extended_id, data):
            tried.append((identifier, bytes(data)))
            return reason

        self.guard.send = send
        return tried

    def counted(self):
        return {reason: n for reason, n in self.isotp.counts.items() if n}


class Asked:
    """A task that asks; `outcome` is the answer, or (code, nrc)."""

    def __init__(self, asking):
        self.outcome = None
        self._task = asyncio.create_task(self._run(asking))

    async def _run(self, asking):
        try:
            self.outcome = await asking
        except isotp.Failure as failure:
            self.outcome = failure.code, failure.nrc


def channel(tx=0x7E0, rx=0x7E8, prefix=None, rx_prefix=None, **rest):
    return isotp.Channel(ecu(tx, prefix), rx, rx_prefix, **rest)


def server(tx=0x7E0, rx=0x7E8, prefix=None, rx_prefix=None, **rest):
    return uds.Server(ecu(tx, prefix), rx, rx_prefix, **rest)


def ecu(tx, prefix=None, functional=False):
    return tx_guard.Ecu(tx, tx > 0x7FF, prefix, functional=functional)


def failure(channel):
    """The code that a channel failed with, "" if it did not."""
    try:
        channel.payload()
    except isotp.Failure as error:
        return error.code
    return ""
