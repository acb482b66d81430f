"""CRTD, the log format of the Open Vehicle Monitoring System.

A line a record: time in seconds, type, what the type needs. `1R11` is a frame received on bus 1 with an 11-bit id, `T29`
one sent with 29 bits, on bus 1 where none is named; ids and data bytes follow in hexadecimal. Types that begin with C
(comments, events, commands) are no frames.
"""

import re
from collections.abc import Iterator
from typing import TextIO

import can

_TYPE = re.compile(r"(?P<bus>\d*)(?:(?P<direction>[RT])(?P<bits>11|29)|C\w*)")
_DEFAULT_BUS = 1


def read(lines: TextIO) -> Iterator[can.Message]:
    """The frames of a file. Raises ValueError or IndexError at a line that is no record."""
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        kind = _TYPE.fullmatch(fields[1])
        if kind is None:
            raise ValueError(f"unknown record type {fields[1]}")
        if kind["bits"] is None:
            continue
        data = bytes(int(byte, 16) for byte in fields[3:])
        yield can.Message(
            timestamp=float(fields[0]),
            arbitration_id=int(fields[2], 16),
            is_extended_id=kind["bits"] == "29",
            is_rx=kind["direction"] == "R",
            channel=int(kind["bus"] or _DEFAULT_BUS),
            dlc=len(data),
            data=data,
        )
