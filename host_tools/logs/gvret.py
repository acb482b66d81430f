"""GVRET's CSV, as SavvyCAN and the ESP32RET family write it.

A header, then a line a frame. Times are in microseconds, ids in hexadecimal, buses are numbers; data bytes beyond LEN are
missing or empty. Columns go by name, for newer files have a direction (`Dir`) among them.
"""

from collections.abc import Iterator
from typing import TextIO

import can

_TIME, _ID, _EXTENDED, _BUS, _LENGTH, _FIRST_BYTE = "time stamp", "id", "extended", "bus", "len", "d1"


def is_header(line: str) -> bool:
    """Whether a CSV's first line is GVRET's."""
    return {_TIME, _ID, _EXTENDED, _BUS, _LENGTH, _FIRST_BYTE} <= set(_columns(line))


def read(lines: TextIO) -> Iterator[can.Message]:
    """The frames of a file opened at its header. Raises ValueError or IndexError at a line that is no frame."""
    columns = _columns(next(lines))
    time, ident, extended, bus, length, data = map(
        columns.index, (_TIME, _ID, _EXTENDED, _BUS, _LENGTH, _FIRST_BYTE)
    )
    for line in lines:
        fields = line.rstrip().split(",")
        if fields == [""]:
            continue
        size = int(fields[length])
        if any(fields[data + size :]):
            raise ValueError("more data bytes than LEN")
        yield can.Message(
            timestamp=int(fields[time]) / 1e6,
            arbitration_id=int(fields[ident], 16),
            is_extended_id=_BOOLS[fields[extended].strip().lower()],
            channel=int(fields[bus]),
            dlc=size,
            data=bytes(int(byte, 16) for byte in fields[data : data + size]),
        )


_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def _columns(line: str) -> list[str]:
    return [name.strip().lower() for name in line.split(",")]
