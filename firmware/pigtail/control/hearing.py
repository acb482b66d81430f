"""Hears one command that begins at the console: loaded for it and forgotten before it is run. A chip keeps some 250 bytes that
nobody has read, so the sender waits for leave to go on."""

import sys
from asyncio import sleep_ms
from micropython import const

_BEGIN = const(0x10)
_NEWLINE = const(10)
_LONGEST = const(512)  # bytes of a command
_WINDOW = const(128)  # bytes that may come before leave is given again
_TURN_MS = const(4)
_BYTES = const(32)  # at one turn
_SILENT = const(500)  # turns, until one that has not ended is given up


async def hear(console, stdin, came, beat):
    """What came up to the newline, or, as a text, why it is no command."""
    line, byte = bytearray(_LONGEST), bytearray(1)
    size = room = silent = 0
    while silent < _SILENT:
        left = _BYTES
        while left and any(came.ipoll(0)):
            if not stdin.readinto(byte):
                break
            left -= 1
            room -= 1
            silent = 0
            if byte[0] == _BEGIN:  # whoever sent the other one has given it up
                console.dropped += size
                size = room = 0
            elif byte[0] == _NEWLINE:
                return bytes(line[:size]) if size <= _LONGEST else _dropped(console, size, "too_long")
            else:
                if size < _LONGEST:
                    line[size] = byte[0]
                size += 1
        if room <= 0:
            sys.stdout.write("\x10>\n")
            room = _WINDOW
        silent += 1
        beat()
        await sleep_ms(_TURN_MS)
    return _dropped(console, size, "malformed")


def _dropped(console, size, reason):
    console.dropped += size
    return reason
