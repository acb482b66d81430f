"""What main.py falls back on when the slot's firmware cannot even be loaded: the crash is kept and counted as any other, and from
the third in a row on the other slot is put in force. Lies beside boot.py, outside the slots. Bytes: SPEC section 3.

A module that is cut off makes no exception: it is read for ever, until the watchdog bites.
"""

import io
import machine
import os
import struct
import sys
from micropython import const
from pair import Pair
from time import sleep

_IN_A_ROW, _NEVER = const(3), const(256)
_ANSWERED = const(2)  # the other firmware begins with all its parts
_MOST = const(512)  # bytes of a traceback, its end
_WAIT_S, _MOST_WAIT_S = const(2), const(60)


def restart(error) -> None:
    """The chip starts again after a while, in which Ctrl-C leads to the REPL."""
    sys.print_exception(error)
    print('{"state": "failed"}')  # whoever deploys waits for that
    in_a_row = keep(error, _IN_A_ROW)
    sleep(min(_WAIT_S << max(in_a_row - _IN_A_ROW, 0), _MOST_WAIT_S))
    machine.reset()


def keep(error, gives_way_at: int = _NEVER) -> int:
    """Of what has just ended the firmware; returns how many there were in a row."""
    told = io.StringIO()
    sys.print_exception(error, told)
    return _count("".join([c if " " <= c <= "~" or c == "\n" else "?" for c in told.getvalue()]), gives_way_at)


def bitten() -> None:
    """The watchdog ended the boot before. Had the firmware got as far as safe mode then, it had said so."""
    before = Pair("/crashes").read()
    _count("watchdog", _NEVER if before and before[1] & _ANSWERED else _IN_A_ROW + 1)


def _count(text, gives_way_at):
    crashes, counted = Pair("/crashes"), Pair("/boots").read()
    before = crashes.read()
    in_a_row = min((before[0] if before else 0) + 1, 255)
    flags = _ANSWERED if in_a_row >= gives_way_at and _give_way() else 0
    boot = struct.unpack("<I", counted)[0] if counted and len(counted) == 4 else 0
    try:
        crashes.write(struct.pack("<BBI", in_a_row, flags, boot) + text.encode()[-_MOST:])  # it may be cut anywhere
    except OSError:
        pass  # then this one is not kept
    return in_a_row


def _give_way():
    """Puts the other slot in force, if it has a firmware."""
    other = "a" if sys.path[0] == "/b" else "b"
    try:
        os.stat("/%s/pigtail/app.mpy" % other)
        Pair("/slot").write(other.encode())
        sys.path[0] = "/" + other
    except OSError:
        return False
    return True
