"""The packed profile's bytes: firmware/SPEC.md, section 1.

The device and every reader of the broker load these bytes, so `unpack` trusts nothing in them.
"""

import zlib

from host_tools.errors import InputError
from host_tools.signals import tables, text
from host_tools.signals.profile import Profile
from host_tools.signals.unpack import CRC, unpack

__all__ = ["identity", "pack", "unpack"]


def pack(profile: Profile) -> bytes:
    """The packed profile; its last four bytes are its identity. Raises InputError for what the bytes cannot carry."""
    words = text.compress(profile)
    body = tables.header(profile, len(words)) + tables.tables(profile) + words
    return body + CRC.pack(zlib.crc32(body))


def identity(data: bytes) -> int:
    """The profile hash: the CRC-32 at the end of packed bytes. Raises InputError where they are too short."""
    if len(data) < tables.HEADER.size + CRC.size:
        raise InputError("not a packed profile: too short")
    return int(CRC.unpack(data[-CRC.size :])[0])
