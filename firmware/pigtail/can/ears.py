"""Hears, among the frames that came, those to an id that is ours to ask: another tester's. Loaded only where the gate opens."""

import struct
from array import array

_EXTENDED = 0x20000000


@micropython.viper
def _find(slots: ptr32, i: int, filled: int, ids: ptr32, n: int) -> int:
    """The next slot from `i` on that has one of `n` ids, -1: none."""
    while i < filled:
        k = 0
        while k < n:
            if slots[i << 2] == ids[k]:
                return i
            k += 1
        i += 1
    return -1


class Ears:
    """`take` is for Bus.taps."""

    def __init__(self, guard, ecus):
        self._guard = guard
        self.ids = array("i", [ecu.tx_id | (_EXTENDED if ecu.is_extended_id else 0) for ecu in ecus])

    def take(self, slots, filled: int) -> None:
        """Frames that have just come."""
        i = _find(slots, 0, filled, self.ids, len(self.ids))
        if i >= 0:
            ident = struct.unpack_from("<I", slots, 16 * i)[0]
            self._guard.heard(ident & ~_EXTENDED, bool(ident & _EXTENDED))
