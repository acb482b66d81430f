"""Hears, among the frames that came, a request of another tester: to an id that ISO 15765-4 gives to requests, or that the
profile asks at. Loaded only where the gate opens; what this device sends itself no controller receives."""

from array import array
from micropython import const

_EXTENDED = const(0x20000000)
_WHOLE = const(0x3FFFFFFF)
# id, and the bits of it that count: functional and physical requests, of 11 bits and of 29 from the tester, which is F1
_REQUESTS = (0x7DF, _WHOLE, 0x7E0, 0x3FFFFFF8, 0x38DB33F1, _WHOLE, 0x38DA00F1, 0x3FFF00FF)


@micropython.viper
def _any(slots: ptr32, filled: int, ids: ptr32, n: int) -> bool:
    """Whether one of the slots has one of the ids, which are `n` words."""
    i = 0
    while i < filled:
        k = 0
        while k < n:
            if slots[i << 2] & ids[k + 1] == ids[k]:
                return True
            k += 2
        i += 1
    return False


class Ears:
    """`take` is for Bus.taps; `ids` are in pairs, the latter of which are the bits that count."""

    def __init__(self, guard, ecus):
        self._guard = guard
        self.ids = array("i", _REQUESTS)
        for ecu in ecus:
            self.ids.append(ecu.tx_id | (_EXTENDED if ecu.is_extended_id else 0))
            self.ids.append(_WHOLE)

    def take(self, slots, filled: int) -> None:
        """Frames that have just come."""
        if _any(slots, filled, self.ids, len(self.ids)):
            self._guard.heard()
