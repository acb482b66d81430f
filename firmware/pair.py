"""The pair: a small value kept in two checked copies, written in turn, so that a power cut always leaves one.

Lives beside boot.py, outside the slots, because boot.py needs it to find them. Bytes: SPEC section 3.
"""

import struct
from binascii import crc32

_MAGIC = b"PAIR"
_HEADER = "<4sII"


class Pair:
    """`name` is a path without its ending; the copies are `name.0` and `name.1`."""

    def __init__(self, name: str):
        self._name = name
        self._count = -1
        self.damaged = False  # a copy is there and cannot be read: it may have been the newest

    def read(self):
        """Payload of the newest valid copy, None when there is none."""
        newest = None
        self._count = 0
        self.damaged = False
        for copy in 0, 1:
            count, payload = self._load(copy)
            if count > self._count:
                self._count = count
                newest = payload
        return newest

    def write(self, payload: bytes) -> None:
        """Puts `payload` in force; raises OSError when the flash refuses, the older copy then stays in force."""
        if self._count < 0:
            self.read()
        count = self._count + 1
        body = struct.pack(_HEADER, _MAGIC, count, len(payload)) + payload
        with open("%s.%d" % (self._name, count & 1), "wb") as f:
            f.write(body)
            f.write(struct.pack("<I", crc32(body)))
        self._count = count

    def _load(self, copy):
        try:
            with open("%s.%d" % (self._name, copy), "rb") as f:
                body = f.read()
        except OSError:
            return 0, None
        if len(body) < 16:
            return self._rotten()
        magic, count, length = struct.unpack_from(_HEADER, body)
        if magic != _MAGIC or length != len(body) - 16:
            return self._rotten()
        if struct.unpack_from("<I", body, len(body) - 4)[0] != crc32(memoryview(body)[:-4]):
            return self._rotten()
        return count, body[12:-4]

    def _rotten(self):
        self.damaged = True
        return 0, None
