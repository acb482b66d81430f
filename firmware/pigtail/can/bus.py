"""The bus: takes frames from the controller into flat 16-byte slots and counts what came and what was lost.

A slot is u32 arbitration id (bit 29 set for a 29-bit id), u32 data length << 28 | tick (low 28 bits of `ticks_ms`), and eight
data bytes, zero-padded: what `signals.table` decodes in one call. Nothing here allocates, and nothing here transmits.
"""

from micropython import const
from time import ticks_ms

SLOTS = const(64)
EXTENDED = const(0x20000000)
_TICK_MASK = const(0x0FFFFFFF)
_OVERRUNS = const(7)  # index in CAN.get_counters


@micropython.viper
def _store(slots: ptr32, n: int, ident: int, tick: int, data: ptr8, size: int):
    slot = ptr32(int(slots) + (n << 4))
    slot[0] = ident
    slot[1] = size << 28 | tick
    slot[2] = 0
    slot[3] = 0
    payload = ptr8(int(slot) + 8)
    i = 0
    while i < size:
        payload[i] = data[i]
        i += 1


class Bus:
    """`can` is a `machine.CAN`, in listen-only mode."""

    def __init__(self, can):
        self._can = can
        self._recv = can.recv  # bound here: binding allocates
        self._frame = [0, memoryview(bytearray(8)), 0, 0]
        self._counters = [0] * 8
        self.slots = bytearray(16 * SLOTS)
        self.received = 0
        self.remote = 0
        self.malformed = 0
        self._rtr = can.FLAG_RTR
        self._extended = can.FLAG_EXT_ID

    def open(self) -> None:
        """Hears every frame from now on."""
        self._can.set_filters(None)

    def drain(self, budget: int = SLOTS) -> int:
        """Moves up to `budget` waiting frames into `slots`; returns how many slots are filled."""
        recv = self._recv
        frame = self._frame
        tick = ticks_ms() & _TICK_MASK
        filled = 0
        while filled < budget and recv(frame):
            flags = frame[2]
            size = len(frame[1])  # read anew: recv may put another view there
            if flags & self._rtr:
                self.remote += 1
            elif size > 8:
                self.malformed += 1
            else:
                _store(self.slots, filled, frame[0] | EXTENDED if flags & self._extended else frame[0], tick, frame[1], size)
                filled += 1
        self.received += filled
        return filled

    def overruns(self) -> int:
        """Frames that the controller lost because its queue was full, since it was opened."""
        return self._can.get_counters(self._counters)[_OVERRUNS] or 0
