"""MicroPython's `machine.CAN` over a socket: a controller with a finite receive queue, fed by the virtual car.

The car sends a greeting of 20 bytes, at which time begins, and then 20-byte records ahead of their time: u32 time since then
(0.1 ms), u32 id, u32 data length + 256 for a 29-bit id + 512 for a remote frame, data padded to eight bytes. A record arrives
when its time has come, into the queue if there is room and else as an overrun, whenever the firmware looks: a stall costs
exactly what it would on the chip. The car speaks at PIGTAIL_CAN_BITRATE (0: at whatever rate it is asked); at another rate
nothing but errors is heard. What is sent, and the answers to it, take the wire of their own in _wire.py.
"""

import ffi
import micropython
import os
import usocket
from array import array
from utime import ticks_diff, ticks_us

from _map import mapped
from _meter import busy, meter
from _wire import QUEUE, Wire, receive

_RECORD = micropython.const(20)
_INBOX = micropython.const(64)  # records
_SO_RCVBUF = 8
_NEVER = bytes(16)
_UNDER_WAY = b"\x00\x00\x04\x00"  # 256 KiB is how far ahead the car can run; less than the loopback's MTU stalls it

_setitimer = ffi.open("libc.so.6").func("i", "setitimer", "ipp")


@micropython.viper
def _arrive(inbox: ptr32, at: ptr32, queue: ptr32, filters: ptr32, state: ptr32, now: int) -> int:
    # at: 0 next record, 1 records; state: as well, 2 queue head, 3 depth, 4 size, 5 arrived, 6 received, 7 overrun, 8 filtered,
    # 9 filters
    pos = at[0]
    came = 0
    while pos < at[1]:
        w = ptr32(int(inbox) + pos * 20)
        if w[0] > now:
            break
        pos += 1
        came += 1
        match = 0
        f = 0
        while f < state[9]:
            rule = ptr32(int(filters) + f * 12)
            if ((w[1] ^ rule[0]) & rule[1]) == 0 and (((w[2] >> 8) ^ rule[2]) & 1) == 0:
                match = 1
            f += 1
        if state[9] < 0:
            match = 1
        if match == 0:
            state[8] += 1
        elif state[3] == state[4]:
            state[7] += 1
        else:
            slot = state[2] + state[3]
            if slot >= state[4]:
                slot -= state[4]
            q = ptr32(int(queue) + slot * 16)
            q[0] = w[1]
            q[1] = w[2]
            q[2] = w[3]
            q[3] = w[4]
            state[3] += 1
    at[0] = pos
    state[5] += came
    return came


@micropython.viper
def _take(queue: ptr32, state: ptr32, data: ptr32, head: ptr32):
    q = ptr32(int(queue) + state[2] * 16)
    head[0] = q[0]
    head[1] = q[1]
    data[0] = q[2]
    data[1] = q[3]
    state[2] += 1
    if state[2] == state[4]:
        state[2] = 0
    state[3] -= 1
    state[6] += 1


class CAN:
    """One controller. `rx_queue` frames deep, as board.toml says (PIGTAIL_RX_QUEUE)."""

    MODE_NORMAL, MODE_SLEEP, MODE_LOOPBACK, MODE_SILENT, MODE_SILENT_LOOPBACK = 0, 1, 2, 3, 4
    STATE_STOPPED, STATE_ACTIVE, STATE_WARNING, STATE_PASSIVE, STATE_BUS_OFF = 0, 1, 2, 3, 4
    FLAG_RTR, FLAG_EXT_ID, FLAG_UNORDERED = 1, 2, 4
    RECV_ERR_FULL, RECV_ERR_OVERRUN = 1, 2
    IRQ_RX, IRQ_TX, IRQ_STATE = 1, 2, 4
    FILTERS_MAX = 16
    TX_QUEUE_LEN = QUEUE

    def __init__(self, id, bitrate, mode=0, **timing):
        size = int(os.getenv("PIGTAIL_RX_QUEUE") or "64")
        self._inbox = mapped("/run/inbox.bin", _RECORD * _INBOX)  # the chip's driver does not use MicroPython's heap either
        self._queue = mapped("/run/queue.bin", 16 * size)
        self._filters = array("I", [0] * (3 * self.FILTERS_MAX))
        self._state = array("i", [0, 0, 0, 0, size, 0, 0, 0, 0, 0])
        self._head = array("I", [0, 0])
        data = bytearray(8)
        self._data = data
        self._views = [memoryview(data)[:n] for n in range(9)]
        self._counters = [0] * 6
        self._seen = 0
        self._ailing = mapped("/run/wire", 2)
        self._wire = None
        self._overruns = 0
        self._socket = None
        self._irq = None
        self._mode = None
        self._spoken = int(os.getenv("PIGTAIL_CAN_BITRATE") or "0")
        self.init(bitrate, mode, **timing)

    def init(self, bitrate, mode=0, **timing):
        self._mode = mode
        self._wrong = bool(self._spoken) and abs(bitrate - self._spoken) * 50 > self._spoken
        self._began = None
        self._bitrate = bitrate
        self._offs = self._ailing[1]
        self._tell()

    def deinit(self):
        """Deaf from now on, with the queue empty; the wire stays, and what comes meanwhile goes by."""
        if self._socket:
            self._look()
            self._state[7] += self._state[3]  # what nobody has fetched is lost
            self._state[3] = self._state[9] = 0
        self._mode = None
        self._tell()

    def set_filters(self, filters):
        """None accepts all; else up to FILTERS_MAX (identifier, mask, flags). The bus is heard from the first call on."""
        if filters is not None and len(filters) > self.FILTERS_MAX:
            raise ValueError("too many filters")
        if self._socket:
            self._look()
        self._state[9] = 0 if self._wrong else -1 if filters is None else len(filters)
        for i, (identifier, mask, flags) in enumerate(filters or ()):
            if identifier | mask > (0x1FFFFFFF if flags & self.FLAG_EXT_ID else 0x7FF):
                raise ValueError("invalid id")
            self._filters[3 * i] = identifier
            self._filters[3 * i + 1] = mask
            self._filters[3 * i + 2] = 1 if flags & self.FLAG_EXT_ID else 0
        if self._socket is None:
            self._attach()
            self._tell()
        if self._began is None:
            self._began = self._state[5]

    def _attach(self):
        car = usocket.socket()
        car.setsockopt(usocket.SOL_SOCKET, _SO_RCVBUF, _UNDER_WAY)
        car.connect(usocket.getaddrinfo("127.0.0.1", int(os.getenv("PIGTAIL_CAN")))[0][-1])
        _setitimer(0, _NEVER, None)  # the car's delay is none of the chip's: its watchdog waits until it is fed again
        car.read(_RECORD)  # a greeting: the car is ready, time begins
        car.setblocking(False)
        self._socket = car
        self._now = 0
        self._rest = 0
        self._last = ticks_us()
        busy[1] = 1
        meter.booted()

    def _look(self):
        """Brings the controller up to now: every record whose time has come has arrived."""
        us = ticks_us()
        busy[0] = 0
        self._rest += ticks_diff(us, self._last)
        self._last = us
        self._now += self._rest // 100
        self._rest %= 100
        came = 0
        wire = self._wire
        if wire:
            at = wire.due(self._now)
            while at >= 0:
                came += self._advance(at)
                n = _arrive(wire.answers, wire.at, self._queue, self._filters, self._state, at)
                self._counters[5] += n
                came += n
                at = wire.due(self._now)
        came += self._advance(self._now)
        if came and self._irq:
            micropython.schedule(self._irq, self)

    def _advance(self, now):
        """What the car sends by itself has arrived up to `now`."""
        state = self._state
        came = 0
        while True:
            came += _arrive(self._inbox, state, self._queue, self._filters, state, now)
            if state[0] < state[1]:
                return came
            got = receive(self._socket, self._inbox)
            if not got:
                return came
            state[0] = 0
            state[1] = got

    def recv(self, arg=None):
        if self._began is None or self._mode is None:
            return None  # not heard yet, or no more
        self._look()
        state = self._state
        if not state[3]:
            if state[5] != self._seen:
                self._report()
            return None
        _take(self._queue, state, self._data, self._head)
        if arg is None:
            arg = [0, None, 0, 0]
        code = self._head[1]
        arg[0] = self._head[0]
        arg[1] = self._views[code & 15]
        arg[2] = (2 if code & 256 else 0) | (1 if code & 512 else 0)
        arg[3] = 0
        if state[7] != self._overruns:
            self._overruns = state[7]
            arg[3] = self.RECV_ERR_OVERRUN
        return arg

    def _report(self):
        state, counters = self._state, self._counters
        self._seen = counters[0] = state[5]
        counters[1] = state[6]
        counters[2] = state[7]
        counters[3] = state[8]
        counters[4] = self._now
        meter.bus(counters)

    def _tell(self):
        """The car learns of a new mode, from the first one on in which frames are acknowledged."""
        if self._wire is None:
            if self._socket is None or self._mode != self.MODE_NORMAL or not os.getenv("PIGTAIL_WIRE"):
                return
            self._wire = Wire(self._ailing)
        self._look()
        self._wire.tell(self.MODE_SLEEP if self._mode is None else self._mode, self._bitrate, self._now)

    def send(self, id, data, flags=0):
        """Its place in the queue, None when that is full; OSError in the silent modes, in bus-off and without a wire."""
        if self._wire is None or self._mode != self.MODE_NORMAL or self.state() == self.STATE_BUS_OFF:
            raise OSError("this controller does not transmit now")
        extended = flags & self.FLAG_EXT_ID
        if len(data) > 8 or not 0 <= id <= (0x1FFFFFFF if extended else 0x7FF):
            raise ValueError("frame")
        self._look()
        return self._wire.send(id, len(data) | (256 if extended else 0) | (512 if flags & self.FLAG_RTR else 0), data)

    def state(self):
        if self._mode is None:
            return self.STATE_STOPPED
        if self._wire is None or self._mode != self.MODE_NORMAL:
            return self.STATE_ACTIVE
        if self._offs != self._ailing[1]:
            return self.STATE_BUS_OFF
        return self.STATE_PASSIVE if self._wire.is_passive() else self.STATE_ACTIVE

    def get_counters(self, list=None):
        if list is None:
            list = [0] * 8
        for i in range(6):
            list[i] = 0
        state = self.state()
        if state >= self.STATE_PASSIVE:
            list[0] = 128 if state == self.STATE_PASSIVE else 255
        if self._wire:
            self._look()
            list[5] = self._wire.waiting()
        if self._wrong and self._began is not None:
            self._look()
            list[1] = min(127, self._state[5] - self._began)
        list[6] = self._state[3]
        list[7] = self._state[7]
        return list

    def irq(self, handler=None, trigger=0, hard=False):
        """Called when frames are found to have arrived: at the next look, since nothing interrupts a process."""
        self._irq = handler if trigger & self.IRQ_RX else None
