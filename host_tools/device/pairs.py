"""The pair: a small value in two checked copies on the device, written in turn (firmware/SPEC.md, section 3)."""

import struct
import zlib

_MAGIC = b"PAIR"
_HEADER = "<4sII"


def pair(payload: bytes, count: int = 1) -> bytes:
    """One copy; it belongs into the file whose name ends with the lowest bit of `count`."""
    body = struct.pack(_HEADER, _MAGIC, count, len(payload)) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def newest(*copies: bytes | None) -> tuple[int, bytes | None]:
    """(count, payload) of the newest valid copy, (0, None) where there is none."""
    return max((_read(copy) for copy in copies), key=lambda known: known[0])


def _read(copy: bytes | None) -> tuple[int, bytes | None]:
    if copy is None or len(copy) < 16:
        return 0, None
    magic, count, length = struct.unpack_from(_HEADER, copy)
    whole = magic == _MAGIC and length == len(copy) - 16
    if not whole or struct.unpack_from("<I", copy, len(copy) - 4)[0] != zlib.crc32(copy[:-4]):
        return 0, None
    return count, copy[12:-4]
