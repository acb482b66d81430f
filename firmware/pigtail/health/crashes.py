"""Crashes: the last one's traceback, and how many came in a row, kept over the restart in the pair /crashes (SPEC section 3).

Loaded when the device starts, when it crashes, and while a crash is still to be told or to be lived down. A crash is an
exception that gets through to `app.main`, or a bite of the watchdog. After three in a row the device starts in safe mode,
without the bus; how that ends stands in docs/health.md.
"""

import asyncio
import gc
import machine
import struct
from micropython import const
from pair import Pair
from pigtail import uptime
from time import sleep

_HEADER = "<BBI"  # in a row, flags, boot in which the last one was; then its traceback
_TOLD, _ANSWERED = const(1), const(2)
_MOST = const(512)  # bytes of a traceback, its end
_IN_A_ROW = const(3)
_SHORT = const(80)  # of it in the status
_HEALTHY_MS = const(300_000)  # of uptime: no more in a row
_SAFE_MS = const(21_600_000)  # in safe mode, then all is tried again
_MOST_WAIT_S = const(60)


def begin():
    """[crashes in a row, whether this boot is in safe mode, the last crash in a few words, whether `tend` is wanted]."""
    in_a_row, flags, boot, text = _read()
    is_safe = in_a_row >= _IN_A_ROW and not flags & _ANSWERED
    if is_safe:  # once: whatever ends this boot but a crash, the next one tries all again
        _write(in_a_row, flags | _ANSWERED, boot, text)
        if in_a_row > _IN_A_ROW + 1:  # not even this helps: the flash must not suffer from it
            sleep(min(1 << (in_a_row - _IN_A_ROW), _MOST_WAIT_S))
    last = "boot %d: %s" % (boot, text.strip().split("\n")[-1]) if text else ""
    return [in_a_row, is_safe, last[:_SHORT], bool(in_a_row or text and not flags & _TOLD)]


def keep(error) -> None:
    """Of what has just ended the application."""
    asyncio.new_event_loop()  # forgets the parts: there is memory again
    gc.collect()
    import fallback

    fallback.keep(error)


def tend(crashes, events, heartbeats) -> None:
    """Tells the last crash in `events`, if nobody was told yet, and sees to it that the device, if it keeps going, has lived it
    down. `crashes` are those of `begin`; what it needs for that is among the `heartbeats` until then."""
    in_a_row, flags, boot, text = _read()
    if crashes[1]:
        events.add("safe_mode", "%d crashes in a row" % in_a_row)
    if not flags & _TOLD:
        events.add("crash", "boot %d: %s" % (boot, text), _MOST + 20)

    def beat():
        nonlocal in_a_row, flags
        before, now = (in_a_row, flags), uptime.ms()
        if not events.waiting and not events.lost:
            flags |= _TOLD
        if crashes[1]:
            if now >= _SAFE_MS:
                machine.reset()
        elif now >= _HEALTHY_MS:
            in_a_row = crashes[0] = 0
        if (in_a_row, flags) != before:
            _write(in_a_row, flags, boot, text)
        if not in_a_row and (flags & _TOLD or events.lost):
            heartbeats.remove(beat)

    heartbeats.append(beat)


def _read():
    payload = Pair("/crashes").read()
    if not payload or len(payload) < 6:
        return 0, _TOLD, 0, ""
    return struct.unpack_from(_HEADER, payload) + (str(payload[6:], "utf-8"),)


def _write(in_a_row, flags, boot, text):
    try:
        Pair("/crashes").write(struct.pack(_HEADER, in_a_row, flags, boot) + text.encode()[-_MOST:])
    except OSError:
        pass  # then this one is not kept
