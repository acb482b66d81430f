"""What main.py falls back on when the slot's firmware cannot even be loaded: the crash is kept and counted as any other, and from
the third in a row on the other slot is put in force. Lies beside boot.py, outside the slots. Bytes: SPEC section 3.
"""

import io
import machine
import os
import struct
import sys
from micropython import const
from pair import Pair
from time import sleep

_IN_A_ROW = const(3)
_ANSWERED = const(2)  # the other firmware begins with all its parts
_MOST = const(512)  # bytes of a traceback, its end
_WAIT_S, _MOST_WAIT_S = const(2), const(60)


def restart(error) -> None:
    """The chip starts again after a while, in which Ctrl-C leads to the REPL."""
    sys.print_exception(error)
    print('{"state": "failed"}')  # whoever deploys waits for that
    in_a_row = keep(error, True)
    sleep(min(_WAIT_S << max(in_a_row - _IN_A_ROW, 0), _MOST_WAIT_S))
    machine.reset()


def keep(error, may_give_way: bool = False) -> int:
    """Of what has just ended the firmware; returns how many there were in a row."""
    crashes, counted = Pair("/crashes"), Pair("/boots").read()
    before = crashes.read()
    in_a_row = min((before[0] if before else 0) + 1, 255)
    flags = _ANSWERED if may_give_way and in_a_row >= _IN_A_ROW and _give_way() else 0
    boot = struct.unpack("<I", counted)[0] if counted and len(counted) == 4 else 0
    told = io.StringIO()
    sys.print_exception(error, told)
    text = "".join([c if " " <= c <= "~" or c == "\n" else "?" for c in told.getvalue()])  # it may be cut anywhere
    try:
        crashes.write(struct.pack("<BBI", in_a_row, flags, boot) + text.encode()[-_MOST:])
    except OSError:
        pass  # then this one is not kept
    return in_a_row


def _give_way():
    """Puts the other slot in force, if it has a firmware."""
    other = "a" if sys.path[0] == "/b" else "b"
    try:
        os.stat("/%s/pigtail/app.mpy" % other)
        Pair("/slot").write(other.encode())
    except OSError:
        return False
    return True
