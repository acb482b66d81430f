"""The bus: takes frames from the controller into flat 16-byte slots and counts what came and what was lost.

A slot is u32 arbitration id (bit 29 set for a 29-bit id), u32 data length << 28 | tick (low 28 bits of `ticks_ms`), and eight
data bytes, zero-padded: what `signals.table` decodes in one call. Taking frames allocates nothing, and nothing here transmits.
"""

from micropython import const
from time import ticks_ms
from pigtail import once

SLOTS = const(64)
EXTENDED = const(0x20000000)
_TICK_MASK = const(0x0FFFFFFF)
_TEC, _REC, _OVERRUNS = const(0), const(1), const(7)  # indices in CAN.get_counters
_SURE = const(3)  # valid frames, each with a CRC of 15 bits, that make the bit rate certain
_SAMPLE = const(8)
_BUS_OFF = const(4)


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
    """`can` is a `machine.CAN` in listen-only mode at `rate`, 0: still to be found. `muted` holds it in that mode."""

    def __init__(self, can, rate=0):
        self._can = can
        self.rate = rate
        self.searching = not rate  # each rate is only tried until `can.autobaud` is sure of it
        self.silent = True
        self.muted = False
        self._profile = None
        self._also = ()
        self._before = 0  # frames received at other rates
        self._past = self._last = 0  # overruns before the last start and since
        self._recv = can.recv  # bound here: binding allocates
        self._frame = [0, memoryview(bytearray(8)), 0, 0]
        self._counters = [0] * 8
        self.admit_all = getattr(can, "admit_all", None)  # takes whether filters let in every frame, where there are any
        self.slots = bytearray(16 * SLOTS)
        self.taps = []  # called with the slots and how many are filled
        self.received = 0
        self.remote = 0
        self.malformed = 0
        self.bus_offs = 0  # seen by `state`: once each, whoever looks first and starts the controller anew
        self._is_off = False
        self._filled = self.drained_at = 0
        self._rtr = can.FLAG_RTR
        self._extended = can.FLAG_EXT_ID

    def open(self, profile=None, also=()) -> None:
        """Hears from now on every frame or, where the controller can hold few, those of the profile and `also`:
        ids, each with the bits of it that count behind it."""
        self._profile = profile
        self._also = also
        filters = None
        if profile and getattr(self._can, "wants_filters", False):
            filters = once.call("pigtail.can.filters", "wanted", profile, also, self._extended)
        self._can.set_filters(filters)

    def listen(self, rate: int = 0, silent: bool = True) -> None:
        """Starts the controller anew, at another rate perhaps. Raises ValueError for a rate that it cannot have."""
        can = self._can
        self.silent = silent or self.muted
        self.overruns()
        can.deinit()
        can.init(rate or self.rate, mode=can.MODE_SILENT if self.silent else can.MODE_NORMAL)
        if rate and rate != self.rate:
            self.rate = rate
            self._before = self.received
        self._is_off = False
        self.open(self._profile, self._also)

    def let_send(self, gate) -> None:
        """Leaves the listen-only mode, and the gate (`can.tx_guard`), alone of all, may use the controller to send."""
        self.listen(silent=False)
        gate.open(self._can)

    @property
    def bitrate(self) -> int:
        """Bits a second, once frames have proved it; 0: unknown."""
        return self.rate if self.received - self._before >= _SURE and not self.searching else 0

    def drain(self, budget: int = SLOTS) -> int:
        """Takes up to `budget` waiting frames, those with data into `slots`; returns how many slots are filled."""
        recv = self._recv
        frame = self._frame
        self.drained_at = tick = ticks_ms() & _TICK_MASK
        filled = 0
        for _ in range(budget):
            if not recv(frame):
                break
            flags = frame[2]
            size = len(frame[1])  # read anew: recv may put another view there
            if flags & self._rtr:
                self.remote += 1
            elif size > 8:
                self.malformed += 1
            else:
                _store(self.slots, filled, frame[0] | EXTENDED if flags & self._extended else frame[0], tick, frame[1], size)
                filled += 1
        if filled:
            self.received += filled
            self._filled = filled
            for tap in self.taps:
                tap(self.slots, filled)
        return filled

    def overruns(self) -> int:
        """Frames, or times, that the controller lost because its queue was full."""
        now = self._can.get_counters(self._counters)[_OVERRUNS] or 0
        if now < self._last:  # it began anew
            self._past += self._last
        self._last = now
        return self._past + now

    def errors(self) -> int:
        """The receive error counter; 0 where there is none."""
        return self._can.get_counters(self._counters)[_REC] or 0

    def transmit_errors(self) -> int:
        """The transmit error counter; 0 where there is none."""
        return self._can.get_counters(self._counters)[_TEC] or 0

    def state(self) -> int:
        """The controller's, one of `machine.CAN`'s."""
        state = self._can.state()
        if state == _BUS_OFF and not self._is_off:
            self._is_off = True
            self.bus_offs += 1
        return state

    def frame_bits(self) -> int:
        """Length of a frame on the wire, by those of the last drain, with a tenth for stuff bits."""
        bits, n = 0, min(self._filled, _SAMPLE)
        for i in range(16 * n - 16, -1, -16):
            bits += 47 + (self.slots[i + 7] >> 4) * 8 + (20 if self.slots[i + 3] & 0x20 else 0)
        return bits * 11 // (10 * n) if n else 0
