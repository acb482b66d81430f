"""The bit rate, found by listening alone: at each rate in turn, until one brings valid frames and hardly an error.

The controller stays in listen-only mode, which acknowledges nothing and sends no error flag. Needed until the rate is found.
"""

import struct
from asyncio import sleep_ms
from micropython import const
from pair import Pair

_RATES = (500_000, 250_000, 125_000, 1_000_000, 100_000, 83_333, 50_000, 33_333, 95_238, 800_000, 20_000, 10_000)
_STEP_MS = const(10)
_DWELL = const(40)  # steps without a frame; an answer to nobody comes every 100 ms on the slowest bus that is awake
_LONG_DWELL = const(1000)  # steps once a frame has come
_ENOUGH = const(8)  # valid frames
_ERRORS = const(24)  # more than this, and more than frames: not this rate


async def search(bus, beat, on_event=None) -> None:
    """Returns with `bus` listening at the rate that was found; if it is ended before, the rate is 0."""
    pair = Pair("/bitrate")
    last = _remembered(pair)
    while True:
        for rate in ([last] if last else []) + [rate for rate in _RATES if rate != last]:
            if await _fits(bus, rate, beat):
                bus.searching = False
                if rate != last:
                    _remember(pair, rate)
                if on_event:
                    on_event("bitrate", "%d bit/s" % rate)
                return


async def _fits(bus, rate, beat):
    proven = False
    try:
        bus.listen(rate)
        proven = await _proven(bus, beat)
    except ValueError:  # not with this crystal
        pass
    finally:
        if not proven:  # whatever ended it: unknown, and still to be searched for
            bus.rate = 0
    return proven


async def _proven(bus, beat):
    heard = errors = steps = 0
    while steps < (_LONG_DWELL if heard else _DWELL):
        beat()
        await sleep_ms(_STEP_MS)
        steps += 1
        heard += bus.drain()
        errors = bus.errors()
        if errors > _ERRORS and errors > heard:
            return False
        if heard >= _ENOUGH and errors * 4 <= heard:
            return True
    return False


def _remembered(pair):
    payload = pair.read()
    rate = struct.unpack("<I", payload)[0] if payload and len(payload) == 4 else 0
    return rate if rate in _RATES else 0


def _remember(pair, rate):
    try:
        pair.write(struct.pack("<I", rate))
    except OSError:
        pass  # it is found again at the next start
