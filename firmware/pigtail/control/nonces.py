"""The window of nonces that commands have used, on flash, so that none runs twice, not even after a restart: the highest one and
a bit for each of the 32 below. Bytes: SPEC section 3."""

import struct
from micropython import const
from pair import Pair

_FORMAT = "<QI"
_BELOW = const(32)


def take(nonce: int) -> bool:
    """Whether `nonce` is new; from now on it is not. Raises OSError when the flash cannot keep that."""
    pair = Pair("/nonces")
    payload = pair.read()
    highest, used = struct.unpack(_FORMAT, payload) if payload and len(payload) == 12 else (nonce, 0)
    if payload and nonce == highest or nonce < highest - _BELOW:
        return False
    if nonce < highest:
        bit = 1 << highest - nonce - 1
        if used & bit:
            return False
        used |= bit
    elif nonce > highest:
        shift = nonce - highest
        used = (used << 1 | 1) << shift - 1 & 0xFFFFFFFF if shift <= _BELOW else 0
        highest = nonce
    pair.write(struct.pack(_FORMAT, highest, used))
    return True
