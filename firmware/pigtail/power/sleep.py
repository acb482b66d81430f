"""Falling asleep: what was sampled is told while that is possible, then put on flash, then the chip sleeps. Loaded for it."""

import board
import sys
from asyncio import sleep_ms
from micropython import const
from pigtail import uptime

_TURN_MS = const(100)
_MOST_MS = const(20_000)  # that are waited for the broker
_LOW_S = const(1800)  # between two looks at a low battery


async def enter(power, is_on, wake_s: int, sampler, keeper, outbox, events, uplink):
    """Sleeps, or returns where the reason for it is gone meanwhile. `wake_s`: the timer wakes it then, 0: never.

    The bus wakes it, and the ignition if it is off; but not what would wake it again at once while it is to spare the battery."""
    if sampler:
        sampler.close()
    for _ in range(_MOST_MS // _TURN_MS):
        if not power.reason:
            return
        if uplink.state != "online" or not (outbox.bytes or len(outbox.ledger) or events.waiting):
            break
        await sleep_ms(_TURN_MS)
    try:
        if keeper:
            keeper.hold(uptime.ms())
        elif outbox:
            outbox.flush_all()
    except Exception as error:  # the battery comes before what could not be kept
        sys.print_exception(error)
    is_low = power.reason == "low battery"
    if is_low:
        wake_s = min(wake_s or _LOW_S, _LOW_S)
    board.sleep(1000 * wake_s, power.reason == "quiet" or is_on is None, not is_on)
