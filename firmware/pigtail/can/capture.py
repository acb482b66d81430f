"""Raw capture: frames as they come from the bus, for whoever looks at their own car. Bounded, and loaded for one capture alone.
Of two buffers one is filled while the other is told; what comes when neither has room is counted, and so is what the controller
lost meanwhile. Bytes: SPEC section 4."""

import struct
from array import array
from micropython import const
from pigtail import uptime

_VERSION = const(1)
_HEAD = const(40)
_FRAMES = const(64)  # in a chunk
_SLOT = const(16)
_LAST, _CLOCK = const(1), const(2)
_PATIENCE_MS = const(500)  # a chunk that is not full is told after as long
_COUNT, _DROPPED, _LEFT = const(0), const(1), const(2)


@micropython.viper
def _take(slots: ptr32, i: int, filled: int, ids: ptr32, n: int, into: ptr32, state: ptr32, drop: int) -> int:
    """Copies the frames with one of `n` ids (0: all) from slot `i` on; returns where room ended. `drop`: only counts."""
    while i < filled and state[2]:
        frame = ptr32(int(slots) + (i << 4))
        wanted = int(n == 0)
        k = 0
        while k < n:
            if frame[0] == ids[k]:
                wanted = 1
            k += 1
        if wanted:
            if drop:
                state[1] += 1
            elif state[0] == 64:
                return i
            else:
                to = ptr32(int(into) + 40 + (state[0] << 4))
                to[0] = frame[0]
                to[1] = frame[1]
                to[2] = frame[2]
                to[3] = frame[3]
                state[0] += 1
            state[2] -= 1
        i += 1
    return filled


class Capture:
    """Of the frames on `bus` with one of `ids` (bit 29: a 29-bit id; none: all), `frames` at most and for `ms`. A speaker
    (uplink/session) on `topic`; `take` is for the bus's taps. `is_over` when the last chunk is told."""

    def __init__(self, bus, topic: str, boot: int, clock, number: int, ids, ms: int, frames: int):
        self._bus = bus
        self._overruns = bus.overruns()  # before it began
        self._lost = 0
        self._has_opened = False
        self._topic = topic
        self._boot = boot
        self._clock = clock
        self._number = number
        self._ids = array("i", ids or [0])
        self._n = len(ids)
        self._until = uptime.ms() + ms
        self._state = array("i", [0, 0, frames])  # frames in the buffer that is filled, dropped, still to be taken
        self._filling, self._telling = bytearray(_HEAD + _SLOT * _FRAMES), bytearray(_HEAD + _SLOT * _FRAMES)
        self._size = 0  # of what is told
        self._chunks = 0
        self._since = uptime.ms()
        self._ended = self._is_last = False
        self.is_over = False

    def open_filters(self) -> None:
        """The controller lets in every frame, as long as this goes on."""
        self._has_opened = True
        self._bus.admit_all(True)
        self._overruns = self._bus.overruns()

    def take(self, slots, filled: int) -> None:
        """Frames that have just come."""
        if self._ended:
            return
        state = self._state
        i = _take(slots, 0, filled, self._ids, self._n, self._filling, state, 0)
        if i < filled:
            self._turn(False)
            i = _take(slots, i, filled, self._ids, self._n, self._filling, state, int(state[_COUNT] == _FRAMES))
        self._judge(uptime.ms())

    def _judge(self, ms):
        """Ends it when it is time: here, not when its end is told, for which there may be no connection."""
        if self._ended or (ms < self._until and self._state[_LEFT]):
            return
        self._ended = True
        self._lost = self._bus.overruns() - self._overruns
        if self._has_opened:
            self._bus.admit_all(False)

    def next(self, now):
        if not self._size:
            ms = uptime.ms()
            self._judge(ms)
            if self._ended or self._state[_COUNT] == _FRAMES or (self._state[_COUNT] and ms - self._since >= _PATIENCE_MS):
                self._turn(self._ended)
        if self._size:
            return self._topic, memoryview(self._telling)[: self._size], False

    def _turn(self, is_last):
        """The buffer that was filled is to be told, if the other one has been."""
        if self._size:
            return
        self._telling, self._filling = self._filling, self._telling
        count, lost = self._state[_COUNT], self._lost if self._ended else self._bus.overruns() - self._overruns
        flags = (_LAST if is_last else 0) | (_CLOCK if self._clock.quality else 0)
        ms = self._since = uptime.ms()
        tick, utc_of_boot = uptime.tick_of(ms) & 0x0FFFFFFF, self._clock.utc_of_boot_ms if self._clock.quality else 0
        numbers = self._boot, self._number, self._chunks, self._state[_DROPPED] + lost, tick, ms, utc_of_boot
        struct.pack_into("<BBHIIIIIQQ", self._telling, 0, _VERSION, flags, count, *numbers)
        self._size = _HEAD + _SLOT * count
        self._state[_COUNT] = 0
        self._chunks += 1
        self._is_last = is_last

    def told(self) -> None:
        self._size = 0
        self.is_over = self._is_last

    def rewind(self) -> None:
        pass
