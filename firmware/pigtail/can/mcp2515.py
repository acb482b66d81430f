"""The MCP2515, a CAN controller on SPI, with the methods of `machine.CAN`. Names, addresses and tables: Microchip DS20001801J.

Listen-only unless told otherwise. What the chip has received goes into a ring of 32 frames when its INT pin falls, and whenever
`recv` finds the ring empty. A received frame costs two SPI transactions at most: CANINTF with EFLG, then the buffer.
"""

from micropython import const
from time import sleep_ms
from pigtail import once

_RESET, _READ, _WRITE, _BIT_MODIFY = const(0xC0), const(0x03), const(0x02), const(0x05)  # table 12-1
_READ_STATUS, _LOAD_TX, _RTS = const(0xA0), const(0x40), const(0x80)
_READ_RXB0, _READ_RXB1 = const(0x90), const(0x94)
_RXF0SIDH, _RXF3SIDH, _RXM0SIDH = const(0x00), const(0x10), const(0x20)  # table 11-1
_CANSTAT, _CANCTRL, _TEC, _CNF3, _CANINTE, _CANINTF, _EFLG = (
    const(0x0E), const(0x0F), const(0x1C), const(0x28), const(0x2B), const(0x2C), const(0x2D)
)  # fmt: skip
_TXB0CTRL, _RXB0CTRL, _RXB1CTRL = const(0x30), const(0x60), const(0x70)
_CONFIGURATION, _LISTEN_ONLY, _NORMAL = const(0x80), const(0x60), const(0x00)  # OPMOD and REQOP, register 10-1
_SLEEP = const(0x20)
_OPMOD = const(0xE0)
_RXIE = const(0x03)  # RX0IE and RX1IE
_WAKIE, _WAKFIL = const(0x40), const(0x40)
_RX0IF, _RX1IF, _MERRF = const(0x01), const(0x02), const(0x80)
_RXOVR = const(0xC0)  # RX0OVR and RX1OVR, register 6-3
_TXBO, _PASSIVE, _WARNING = const(0x20), const(0x18), const(0x06)
_BUKT = const(0x04)
_TXREQ, _ABTF = const(0x08), const(0x40)
_EXIDE = const(0x08)
_BTLMODE = const(0x80)
_EXTENDED = const(0x20000000)  # in a key of `filters`
_OPEN = (0, 0, _EXTENDED, 0, 0, _EXTENDED, 0, _EXTENDED)  # not by RXM = 11: that lets in what is no valid frame, section 4.2
_RING = const(32)
_WRAP = const(63)  # both ends of the ring count to twice its size, so that full and empty differ
_TRIES = const(20)
_SILENT = const(4)
_CLEAR_OVERFLOW = b"\x05\x2d\xc0\x00"  # BIT MODIFY of EFLG and of CANINTF
_CLEAR_ERROR = b"\x05\x2c\x80\x00"


@micropython.viper
def _keep(ring: ptr8, at: int, buffer: ptr8):
    i = 0
    while i < 13:
        ring[(at << 4) + i] = buffer[i + 1]
        i += 1


@micropython.viper
def _take(ring: ptr8, at: int, data: ptr8, head: ptr8) -> int:
    """The id of a frame in the ring; its data, and its length and flags into `head` (registers 4-4 to 4-8)."""
    slot = ptr8(int(ring) + (at << 4))
    ident = slot[0] << 3 | slot[1] >> 5
    dlc = int(slot[4])
    flags = (slot[1] >> 4) & 1  # SRR
    if slot[1] & 8:
        ident = ident << 18 | (slot[1] & 3) << 16 | slot[2] << 8 | slot[3]
        flags = 2 | (dlc >> 6) & 1
    size = dlc & 15
    if size > 8:
        size = 8
    i = 0
    while i < 8:
        data[i] = 0 if flags & 1 else slot[5 + i]
        i += 1
    head[0] = size
    head[1] = flags
    return ident


def bit_timing(bitrate: int, crystal_hz: int, sample_point: int = 80):
    """(CNF1, CNF2, CNF3), section 5: 8 to 25 quanta, PS2 of 2 to 8, within 0.5 % of the rate. Raises ValueError."""
    best = None
    for brp in range(1, 65):
        quanta = (crystal_hz + brp * bitrate) // (2 * brp * bitrate)
        if not 8 <= quanta <= 25:
            continue
        wrong = abs(crystal_hz - 2 * brp * quanta * bitrate) * 2000 // crystal_hz
        ps2 = min(8, max(2, (quanta * (100 - sample_point) + 50) // 100))
        fitness = wrong, abs(100 * (quanta - ps2) - sample_point * quanta) * 25 // quanta, -quanta
        if wrong <= 10 and quanta - 1 - ps2 <= 16 and (best is None or fitness < best[0]):
            best = fitness, brp, quanta, ps2
    if best is None:
        raise ValueError("%d bit/s cannot be had from a crystal of %d Hz" % (bitrate, crystal_hz))
    _, brp, quanta, ps2 = best
    prseg = (quanta - 1 - ps2) // 2
    ps1 = quanta - 1 - ps2 - prseg
    sjw = min(4, ps2 - 1)
    return (sjw - 1) << 6 | brp - 1, _BTLMODE | (ps1 - 1) << 3 | prseg - 1, ps2 - 1


def _registers(key):
    """SIDH, SIDL, EID8 and EID0 of a key: the same in filters, masks and frames."""
    extended = _EXIDE if key & _EXTENDED else 0
    return bytes([key >> 21 & 0xFF, key >> 13 & 0xE0 | extended | key >> 16 & 3, key >> 8 & 0xFF, key & 0xFF])


class MCP2515:
    """`spi`: 10 MHz at most, mode 0,0; `cs`: an output; `interrupt`: an input at INT, without it the chip is asked each time."""

    MODE_NORMAL, MODE_SILENT = 0, _SILENT
    STATE_STOPPED, STATE_ACTIVE, STATE_WARNING, STATE_PASSIVE, STATE_BUS_OFF = 0, 1, 2, 3, 4
    FLAG_RTR, FLAG_EXT_ID, FLAG_UNORDERED = 1, 2, 4
    RECV_ERR_OVERRUN = 2
    TX_QUEUE_LEN = 3
    wants_filters = True  # two buffers overflow unless most frames are kept out

    def __init__(self, spi, cs, bitrate, mode=_SILENT, interrupt=None, crystal_hz=16_000_000):
        self._transfer = spi.write_readinto  # bound here: binding allocates
        self._select = cs.value
        self._pin = interrupt
        self._high = interrupt.value if interrupt else None
        self._crystal_hz = crystal_hz
        self._status = (bytes([_READ, _CANINTF, 0, 0]), bytearray(4))
        self._buffers = (bytes([_READ_RXB0]) + bytes(13), bytes([_READ_RXB1]) + bytes(13), bytearray(14))
        self._ring = bytearray(16 * _RING)
        data = bytearray(8)
        self._data = data
        self._views = [memoryview(data)[:n] for n in range(9)]
        self._head = bytearray(2)
        self._busy = False
        self._filters = None  # masks and filters as keys
        self._admits_all = False
        self._select(1)
        self.init(bitrate, mode)

    def init(self, bitrate: int, mode: int = _SILENT, sample_point: int = 80) -> None:
        """Deaf until `set_filters`. Raises ValueError for a rate that cannot be had, OSError when no chip answers."""
        if mode not in (self.MODE_NORMAL, _SILENT):
            raise ValueError("mode")
        cnf = bit_timing(bitrate, self._crystal_hz, sample_point)
        self._mode = None
        self._opmod = _NORMAL if mode == self.MODE_NORMAL else _LISTEN_ONLY
        self._in = self._out = 0  # of the ring; the interrupt moves the one, `recv` the other
        self._rolled = False  # RXB1 was full when RXB0 was emptied: what RXB0 has by now is the later of the two
        self._overruns = self._told = self._errors = 0
        self._entered = [0, 0, 0]
        self._level = self.STATE_ACTIVE
        self._sending = [-1] * self.TX_QUEUE_LEN
        self._reset()
        self._write(_CNF3, cnf[2], cnf[1], cnf[0], _RXIE)
        self._mode = mode
        if self._pin:
            self._pin.irq(self._fell, self._pin.IRQ_FALLING)

    def _reset(self):
        self._exchange(bytes([_RESET]), bytearray(1))
        sleep_ms(1)  # 128 cycles of the crystal
        if self._read(_CANSTAT) & _OPMOD != _CONFIGURATION:
            raise OSError("no MCP2515 answers")

    def deinit(self) -> None:
        """Stops: in configuration mode the chip neither hears nor sends."""
        if self._pin:
            self._pin.irq(None)
        self._mode = None
        self._in = self._out = 0
        self._reset()

    def sleep(self, wakes: bool) -> None:
        """Its oscillator stops until `init`; with `wakes` INT goes low for the bus's first frame, which is lost (sections 7.5 and
        10.2). OSError when it does not answer."""
        self.deinit()  # clears what holds INT low
        if wakes:
            self._modify(_CNF3, _WAKFIL, _WAKFIL)  # glitches do not wake it
            self._write(_CANINTE, _WAKIE)
        self._enter(_SLEEP)

    def set_filters(self, filters) -> None:
        """None accepts all, nothing none; else any number of (identifier, mask, flags), which pass, and whatever else two masks
        and six filters cannot keep out."""
        wanted = filters and [(ident, mask, bool(flags & self.FLAG_EXT_ID)) for ident, mask, flags in filters]
        self._filters = _OPEN if wanted is None else wanted and once.call("pigtail.can.filters", "solve", wanted)
        self._set_filters()

    def admit_all(self, is_on: bool) -> None:
        """Lets in every frame until that is taken back, over `init`, too. Deaf for some ms, which count as an overrun."""
        self._admits_all = is_on
        if self._mode is not None:
            self._overruns += 1
            self._set_filters()

    def _set_filters(self):
        registers = _OPEN if self._admits_all else self._filters
        self._enter(_CONFIGURATION)
        if not registers:
            return
        for n in range(2):
            self._write(_RXM0SIDH + 4 * n, *_registers(registers[3 * n]))
        for n in range(6):
            self._write((_RXF0SIDH if n < 3 else _RXF3SIDH - 12) + 4 * n, *_registers(registers[n + 1 + (n > 1)]))
        self._write(_RXB0CTRL, _BUKT)
        self._write(_RXB1CTRL, 0)
        self._start()

    def recv(self, arg=None):
        """As machine.CAN: fills `arg`, whose second item becomes a view that is good until the next call."""
        if self._in == self._out:
            if self._high and self._high():
                return None
            self._service()
            if self._in == self._out:
                return None
        if arg is None:
            arg = [0, None, 0, 0]
        head = self._head
        arg[0] = _take(self._ring, self._out & _RING - 1, self._data, head)
        self._out = self._out + 1 & _WRAP
        arg[1] = self._views[head[0]]
        arg[2] = head[1]
        arg[3] = 0
        if self._told != self._overruns:
            self._told = self._overruns
            arg[3] = self.RECV_ERR_OVERRUN
        return arg

    def _fell(self, pin):
        self._service()

    def _service(self):
        """Takes what the chip holds, while INT is low and the ring has room; never inside another transaction."""
        if self._busy or self._mode is None:
            return
        self._busy = True
        try:
            while (self._in - self._out & _WRAP) <= _RING - 2:
                flags = self._look() & (_RX0IF | _RX1IF)
                self._take_both(flags)
                if not self._high or self._high() or not flags:
                    break
        finally:
            self._busy = False

    def _take_both(self, flags):
        """The earlier one first: with roll-over a frame comes to RXB1 while RXB0 is full."""
        first = 1 if self._rolled else 0
        self._rolled = False
        if flags >> first & 1:
            self._fetch(first)
        if flags >> 1 - first & 1:
            self._fetch(1 - first)

    def _look(self):
        """CANINTF; counts and clears what EFLG and MERRF tell."""
        command, answer = self._status
        self._exchange(command, answer)
        flags, eflg = answer[2], answer[3]
        if eflg & _RXOVR:
            self._overruns += 1
            self._exchange(_CLEAR_OVERFLOW, answer)
        if flags & _MERRF:
            self._errors += 1
            self._exchange(_CLEAR_ERROR, answer)
        return flags

    def _fetch(self, n):
        buffer = self._buffers[2]
        self._exchange(self._buffers[n], buffer)  # clears RXnIF when CS rises
        self._rolled = not (n or self._high and self._high())  # asked at once: the next frame goes to RXB0 and pulls INT down too
        _keep(self._ring, self._in & _RING - 1, buffer)
        self._in = self._in + 1 & _WRAP

    def state(self) -> int:
        """STATE_STOPPED to STATE_BUS_OFF, from EFLG."""
        if self._mode is None:
            return self.STATE_STOPPED
        eflg = self._read(_EFLG)
        level = self.STATE_WARNING if eflg & _WARNING else self.STATE_ACTIVE
        if eflg & _PASSIVE:
            level = self.STATE_PASSIVE
        if eflg & _TXBO:
            level = self.STATE_BUS_OFF
        for passed in range(self._level, level):
            self._entered[passed - 1] += 1
        self._level = level
        return level

    def get_counters(self, list=None):
        """As machine.CAN. In listen-only mode, in which the chip's REC stands still, REC is the errors seen on the bus."""
        if list is None:
            list = [0] * 8
        self._hold(self._look)
        self.state()
        tec, rec = self._read(_TEC), self._read(_TEC + 1)
        list[0] = tec
        list[1] = self._errors if self._mode == _SILENT else rec
        for i in range(3):
            list[2 + i] = self._entered[i]
        list[5] = sum(1 for n in range(self.TX_QUEUE_LEN) if self._pending(n))
        list[6] = self._in - self._out & _WRAP
        list[7] = self._overruns
        return list

    def restart(self) -> None:
        """Out of bus-off, with nothing left to send and the error counters at 0."""
        for n in range(self.TX_QUEUE_LEN):
            self.cancel_send(n)
        self._entered = [0, 0, 0]
        self._level = self.STATE_ACTIVE
        self._enter(_CONFIGURATION)  # clears them, section 10.1
        self._start()

    def send(self, id, data, flags=0):
        """As machine.CAN: the buffer's number, None when there is no room; OSError in listen-only mode and in bus-off."""
        if self._mode != self.MODE_NORMAL or self.state() == self.STATE_BUS_OFF:
            raise OSError("this controller does not transmit now")
        extended = flags & self.FLAG_EXT_ID
        if len(data) > 8 or not 0 <= id <= (0x1FFFFFFF if extended else 0x7FF):
            raise ValueError("frame")
        key = id | _EXTENDED if extended else id
        pending = [self._pending(n) for n in range(self.TX_QUEUE_LEN)]
        for n in range(self.TX_QUEUE_LEN):
            if pending[n] and self._sending[n] == key and not flags & self.FLAG_UNORDERED:
                return None
        if all(pending):
            return None
        n = pending.index(False)
        self._sending[n] = key
        self._load(n, key if extended else id << 18, data, flags & self.FLAG_RTR)
        return n

    def _load(self, n, key, data, rtr):
        frame = bytearray(14)
        frame[0] = _LOAD_TX | n << 1
        frame[1:5] = _registers(key)
        frame[5] = len(data) | (_ABTF if rtr else 0)  # RTR is bit 6 too
        frame[6 : 6 + len(data)] = data
        self._hold(self._exchange, frame, bytearray(14))
        self._hold(self._exchange, bytes([_RTS | 1 << n]), bytearray(1))

    def cancel_send(self, index: int) -> bool:
        """Whether a frame waited there and will not be sent."""
        if not self._pending(index):
            return False
        address = _TXB0CTRL + 16 * index
        self._modify(address, _TXREQ, 0)
        for _ in range(_TRIES):  # a frame that is on the wire is finished first
            if not self._pending(index):
                break
            sleep_ms(1)
        return bool(self._read(address) & _ABTF)

    def _pending(self, n):
        answer = bytearray(2)
        self._hold(self._exchange, bytes([_READ_STATUS, 0]), answer)
        return bool(answer[1] >> 2 + 2 * n & 1)

    def _start(self):
        if self._mode is None:  # `init` has failed: it has no bit rate
            raise OSError("the MCP2515 is not set up")
        self._enter(self._opmod)

    def _enter(self, opmod):
        self._modify(_CANCTRL, _OPMOD, opmod)
        for _ in range(_TRIES):
            if self._read(_CANSTAT) & _OPMOD == opmod:
                return
            sleep_ms(1)
        raise OSError("the MCP2515 does not change its mode")

    def _hold(self, action, *args):
        """Keeps the interrupt out while `action` has the chip selected."""
        before, self._busy = self._busy, True
        try:
            return action(*args)
        finally:
            self._busy = before

    def _read(self, address):
        answer = bytearray(3)
        self._hold(self._exchange, bytes([_READ, address, 0]), answer)
        return answer[2]

    def _write(self, address, *values):
        self._hold(self._exchange, bytes([_WRITE, address]) + bytes(values), bytearray(2 + len(values)))

    def _modify(self, address, mask, value):
        self._hold(self._exchange, bytes([_BIT_MODIFY, address, mask, value]), bytearray(4))

    def _exchange(self, command, answer):
        self._select(0)
        self._transfer(command, answer)
        self._select(1)
