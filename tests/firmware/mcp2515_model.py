"""A register-level MCP2515 between a fake SPI and a bus, written from DS20001801J and not from the driver.

Time is the model's own, in 0.1 µs: SPI takes 0.8 µs a byte (10 MHz) and what the host needs before and after each transaction.
Frames end at their times. What a host must not do raises Refused; what the chip ignores is noted in `ignored`; whatever would
drive the bus dominant (an acknowledgement, an error flag, a frame) is counted in `dominant`.
"""

ACTIVE_LOW = 0
NORMAL, SLEEP, LOOPBACK, LISTEN_ONLY, CONFIGURATION = 0, 1, 2, 3, 4  # REQOP and OPMOD
CANSTAT, CANCTRL, TEC, REC = 0x0E, 0x0F, 0x1C, 0x1D
CNF3, CNF2, CNF1, CANINTE, CANINTF, EFLG = 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x2D
TXBCTRL = (0x30, 0x40, 0x50)
RXB0CTRL, RXB1CTRL = 0x60, 0x70
MERRF, WAKIF, ERRIF = 0x80, 0x40, 0x20  # WAKIE is as WAKIF
WAKFIL = 0x40
RX0OVR, RX1OVR, TXBO, TXEP, RXEP, TXWAR, RXWAR, EWARN = 0x40, 0x80, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01
ABTF, MLOA, TXERR, TXREQ = 0x40, 0x20, 0x10, 0x08
ABAT, OSM = 0x10, 0x08
FILTERS = (0x00, 0x04, 0x08, 0x10, 0x14, 0x18)
_BYTE = 8  # 0.1 µs
EXT, RTR = 2, 1


class Refused(Exception):
    """The host did what the datasheet forbids."""


def _bit_modifiable(address):  # shaded in table 11-1
    return address in (0x0C, 0x0D, CANCTRL, CNF3, CNF2, CNF1, CANINTE, CANINTF, EFLG, RXB0CTRL, RXB1CTRL) + TXBCTRL


def _configuration_only(address):
    return address < 0x0C or 0x10 <= address < 0x1C or 0x20 <= address < 0x2B or address == 0x0D


def _read_only(address):
    return address in (CANSTAT, TEC, REC) or 0x61 <= address < 0x6E or 0x71 <= address < 0x7E


class Level:
    """A pin: `value()` reads it, `value(level)` drives it."""

    IRQ_FALLING = 2

    def __init__(self, read=None, drive=None):
        self._read = read
        self._drive = drive
        self.handler = None

    def value(self, level=None):
        if level is None:
            return self._read()
        self._drive(level)

    def irq(self, handler=None, trigger=0):
        assert handler is None or trigger == self.IRQ_FALLING
        self.handler = handler


class Chip:
    """`crystal_hz` is what is soldered; `frames` yields (end in 0.1 µs, id, flags, data) in order of time, sent at `bitrate`; the
    host needs `host_us` once CS has risen, and `ahead` (0.1 µs) before it falls."""

    def __init__(self, frames=(), bitrate=500_000, crystal_hz=16_000_000, host_us=0):
        self.now = 0
        self.crystal_hz = crystal_hz
        self.bitrate = bitrate
        self.host = host_us * 10
        self.ahead = 0
        self.cs = Level(drive=self._chip_select)
        self.int = Level(read=self._int)
        self.transactions = self.bytes = 0
        self.accepted = self.lost = self.overflows = self.dominant = self.arrived = 0
        self.ignored = []
        self.sent = []
        self.acknowledged = True  # somebody else is on the bus
        self.is_on_wire = False  # the frame to be sent has begun: it is finished before an abort is
        self.broken = False  # every frame that this chip sends meets a bit error
        self._frames = iter(frames)
        self._next = next(self._frames, None)
        self._selected = False
        self._was = 1
        self._reset()
        self._usable_at = 0  # it has had power for long

    # What a test does

    def hears(self, frames):
        """Puts more frames on the bus: those before have all arrived."""
        assert self._next is None
        self._frames = iter(frames)
        self._next = next(self._frames, None)

    def passes(self, us):
        """Lets time pass; the interrupt handler runs where INT falls."""
        end = self.now + 10 * us
        while self._next and self._next[0] <= end:
            self.now = max(self.now, self._next[0])
            self._arrive()
            self._interrupt()
        self.now = max(self.now, end)
        self._settle()
        self._interrupt()

    def sleep_ms(self, ms):
        self.passes(1000 * ms)

    def register(self, address):
        return self._read(address)

    @property
    def mode(self):
        return self._opmod

    # SPI, section 12

    def write_readinto(self, command, answer):
        if not self._selected or len(command) != len(answer):
            raise Refused("SPI without CS, or buffers of two lengths")
        if self.now < self._usable_at:
            raise Refused("SPI within 128 cycles of a reset")
        if self._bytes_of:
            raise Refused("a second instruction without CS high between them")
        self._bytes_of = len(command)
        self.bytes += len(command)
        self._instruction(command[0], command, answer)
        self._advance(_BYTE * len(command))
        self._interrupt()  # a soft interrupt runs as soon as the transfer returns: CS is still low

    def _chip_select(self, level):
        if level and self._selected:
            self._selected = False
            if self._clears:
                self._regs[CANINTF] &= ~self._clears
            self._advance(self.host)
            self._interrupt()
        elif not level:
            if self._selected:
                raise Refused("CS is low already")
            self._advance(self.ahead)
            self._selected = True
            self._clears = self._bytes_of = 0
            self.transactions += 1

    def _instruction(self, code, command, answer):
        if code == 0xC0:
            self._reset()
        elif code == 0x03:
            self._stream(command[1], answer, 2)
        elif code == 0x02:
            for i in range(2, len(command)):
                self._write((command[1] + i - 2) & 0x7F, command[i], 0xFF)
        elif code == 0x05:
            if len(command) != 4:
                raise Refused("BIT MODIFY takes address, mask and data")
            address = command[1]
            self._write(address, command[3], command[2] if _bit_modifiable(address) else 0xFF)
        elif code & 0xF9 == 0x90:
            n = code >> 2 & 1
            self._stream(0x61 + 16 * n + 5 * (code >> 1 & 1), answer, 1)
            self._clears = 1 << n
        elif code & 0xF8 == 0x40:
            start = 0x31 + 16 * (code >> 1 & 3) + 5 * (code & 1)
            for i in range(1, len(command)):
                self._write(start + i - 1, command[i], 0xFF)
        elif code & 0xF8 == 0x80:
            for n in range(3):
                if code >> n & 1:
                    self._write(TXBCTRL[n], TXREQ, TXREQ)
        elif code == 0xA0:
            self._repeat(answer, self._status())
        elif code == 0xB0:
            self._repeat(answer, self._rx_status())
        else:
            raise Refused("no such instruction: %02x" % code)

    def _stream(self, address, answer, start):
        for i in range(start, len(answer)):
            answer[i] = self._read((address + i - start) & 0x7F)

    def _repeat(self, answer, value):
        for i in range(1, len(answer)):
            answer[i] = value

    def _status(self):  # figure 12-8
        flags = self._regs[CANINTF]
        value = flags & 3
        for n in range(3):
            value |= (self._regs[TXBCTRL[n]] >> 3 & 1) << 2 + 2 * n | (flags >> 2 + n & 1) << 3 + 2 * n
        return value

    def _rx_status(self):  # figure 12-9
        flags = self._regs[CANINTF] & 3
        base = 0x60 if flags & 1 else 0x70
        sidl, dlc = self._regs[base + 2], self._regs[base + 5]
        extended = sidl >> 3 & 1
        rtr = dlc >> 6 & 1 if extended else sidl >> 4 & 1
        hit = self._regs[base] & (1 if flags & 1 else 7)
        if not flags & 1 and hit < 2:
            hit += 6
        return flags << 6 | extended << 4 | rtr << 3 | hit

    # Registers, section 11

    def _reset(self):
        self._regs = bytearray(128)
        self._regs[CANCTRL] = 0x87
        self._opmod = self._wanted = CONFIGURATION
        self._mode_at = None
        self._usable_at = self.now + 128 * 10_000_000 // self.crystal_hz + 1
        self._tec = self._rec = self._hears_at = 0
        self._clears = self._bytes_of = 0
        self._recessive_until = None
        self._known = self._deaf = None  # of filters and of the bit rate, worked out when they are needed

    def _read(self, address):
        if address & 0x0F == 0x0E:
            return self._opmod << 5
        if address & 0x0F == 0x0F:
            return self._regs[CANCTRL]
        if address == TEC:
            return min(self._tec, 255)
        if address == REC:
            return self._rec
        if address == EFLG:
            return self._eflg()
        if _configuration_only(address) and not 0x28 <= address < 0x2B and self._opmod != CONFIGURATION:
            return 0
        return self._regs[address]

    def _eflg(self):
        value = self._regs[EFLG] & (RX0OVR | RX1OVR)
        if self._tec > 255:
            value |= TXBO
        for count, warning, passive in (self._tec, TXWAR, TXEP), (self._rec, RXWAR, RXEP):
            value |= (warning | EWARN if count > 95 else 0) | (passive if count > 127 else 0)
        return value

    def _write(self, address, value, mask):
        regs = self._regs
        if _read_only(address) or _configuration_only(address) and self._opmod != CONFIGURATION:
            self.ignored.append(address)
            return
        if 0x31 <= address < 0x5E and address not in TXBCTRL and regs[address & 0x70] & TXREQ:
            raise Refused("a transmit buffer changed while it waits to be sent")
        if address == EFLG:
            mask &= RX0OVR | RX1OVR
        if address in TXBCTRL:
            self._control_transmit(address, value & mask | regs[address] & ~mask)
            return
        if address == RXB0CTRL:
            value = value & ~2 | value >> 1 & 2  # BUKT1 is a copy
            if value & mask & 0x60 not in (0, 0x60):
                raise Refused("RXM 01 and 10 are reserved")
        regs[address] = regs[address] & ~mask | value & mask
        if address == CANCTRL:
            self._request(regs[CANCTRL])
        self._known = self._deaf = None

    def _control_transmit(self, address, value):
        before = self._regs[address]
        after = before & (ABTF | MLOA | TXERR) | value & 0x0B
        if value & TXREQ and not before & TXREQ:
            after &= ~(ABTF | MLOA | TXERR)
        if before & TXREQ and not value & TXREQ:
            after |= TXREQ if self.is_on_wire else ABTF
        self._regs[address] = after

    def _request(self, canctrl):
        wanted = canctrl >> 5
        if wanted > CONFIGURATION:
            raise Refused("no such mode")
        if canctrl & ABAT:
            for address in TXBCTRL:
                if self._regs[address] & TXREQ:
                    self._regs[address] = self._regs[address] & ~TXREQ | ABTF
        if wanted != self._wanted:
            self._wanted = wanted
            bits = 0 if wanted in (CONFIGURATION, SLEEP) else 11  # recessive ones first
            self._mode_at = self.now + bits * 10_000_000 // (self.rate or 1)

    @property
    def rate(self):
        """Bits a second that CNF1 to CNF3 make; 0 for what breaks the rules of section 5."""
        cnf1, cnf2, cnf3 = self._regs[CNF1], self._regs[CNF2], self._regs[CNF3]
        prop, ps1, ps2 = (cnf2 & 7) + 1, (cnf2 >> 3 & 7) + 1, (cnf3 & 7) + 1
        if not cnf2 & 0x80 or ps2 < 2 or ps2 <= (cnf1 >> 6) + 1 or prop + ps1 < ps2:
            return 0
        return self.crystal_hz // (2 * ((cnf1 & 0x3F) + 1) * (1 + prop + ps1 + ps2))

    @property
    def sample_point(self):
        """Where a bit is sampled, in %."""
        before = 1 + (self._regs[CNF2] & 7) + 1 + (self._regs[CNF2] >> 3 & 7) + 1
        return 100 * before // (before + (self._regs[CNF3] & 7) + 1)

    # Time and the bus

    def _advance(self, units):
        end = self.now + units
        while self._next and self._next[0] <= end:
            self.now = max(self.now, self._next[0])
            self._arrive()
        self.now = end
        self._settle()

    def _settle(self):
        if self._mode_at is not None and self.now >= self._mode_at:
            if self._wanted not in (CONFIGURATION, SLEEP) or not self._transmitting():
                self._opmod, self._mode_at = self._wanted, None
                if self._opmod == CONFIGURATION or self._opmod == LISTEN_ONLY:
                    self._tec = self._rec = 0  # sections 10.1 and 10.3
        self._transmit()

    def _transmitting(self):
        return self._opmod == NORMAL and any([self._regs[address] & TXREQ for address in TXBCTRL])

    def _int(self):
        return 0 if self._regs[CANINTF] & self._regs[CANINTE] else 1

    def _interrupt(self):
        level = self._int()
        fell = self._was and not level
        self._was = level
        if fell and self.int.handler:
            self.int.handler(self.int)
            self._was = self._int()

    def _arrive(self):
        _, ident, flags, data = self._next
        self._next = next(self._frames, None)
        self.arrived += 1
        self._settle()
        if self._opmod == SLEEP:
            self._stir()
        if self._opmod not in (NORMAL, LISTEN_ONLY) or self.now < self._hears_at or self._tec > 255:
            return
        if self._deaf is None:
            self._deaf = abs(self.rate - self.bitrate) * 50 > self.bitrate
        if self._deaf:
            self._bus_error()
            return
        if self._opmod == NORMAL:
            self.dominant += 1  # the acknowledgement
            self._rec = max(0, self._rec - 1)
        hit = self._hit(ident, flags, data)
        if hit is not None:
            self._store(hit, ident, flags, data)

    def _stir(self):  # section 10.2.1: this frame, and those until the oscillator runs, are not heard
        if self._regs[CANINTE] & WAKIF:
            self._regs[CANINTF] |= WAKIF
            self._opmod = LISTEN_ONLY
            self._hears_at = self.now + 128 * 10_000_000 // self.crystal_hz + 1

    def _bus_error(self):
        self._regs[CANINTF] |= MERRF
        if self._opmod == NORMAL:
            self.dominant += 1  # an error flag
            self._rec = min(self._rec + 1, 255)
        if self._regs[RXB0CTRL] & 0x60 == 0x60:  # section 4.2: what was assembled before the error is loaded
            self._store(0, 0x7FF, 0, b"\xff")

    def _hit(self, ident, flags, data):
        """Number of the first filter that matches, None: none (section 4.5)."""
        key = ident if flags & EXT else ident << 18
        if not flags & EXT and not flags & RTR:
            key |= (data[0] if len(data) else 0) << 8 | (data[1] if len(data) > 1 else 0)
        if self._known is None:
            self._known = [self._filter(n) for n in range(6)]
        extended = flags & EXT
        for n, everything, width, wanted, mask in self._known:
            if everything or width == extended and (wanted ^ key) & mask == 0:
                return n
        return None

    def _filter(self, n):
        base = 0 if n < 2 else 1
        width = EXT if self._regs[FILTERS[n] + 1] & 8 else 0
        mask = self._key(0x20 + 4 * base)
        if not width:
            mask &= ~0x30000  # EID17 and EID16 are not used
        return n, self._regs[RXB0CTRL + 16 * base] & 0x60 == 0x60, width, self._key(FILTERS[n]), mask

    def _key(self, at):
        r = self._regs
        return r[at] << 21 | (r[at + 1] >> 5) << 18 | (r[at + 1] & 3) << 16 | r[at + 2] << 8 | r[at + 3]

    def _store(self, hit, ident, flags, data):  # figure 4-3
        n = 0 if hit < 2 else 1
        if n == 0 and self._regs[CANINTF] & 1 and self._regs[RXB0CTRL] & 4:
            n = 1
        if self._regs[CANINTF] & 1 << n:
            self.lost += 1
            flag = RX1OVR if n else RX0OVR
            self.overflows += not self._regs[EFLG] & flag
            self._regs[EFLG] |= flag
            self._regs[CANINTF] |= ERRIF
            return
        self.accepted += 1
        self._fill(0x60 + 16 * n, hit, ident, flags, data)
        self._regs[CANINTF] |= 1 << n

    def _fill(self, base, hit, ident, flags, data):
        r = self._regs
        key = ident if flags & EXT else ident << 18
        rtr = flags & RTR
        r[base] = r[base] & 0x66 | (8 if rtr else 0) | (hit & 1 if base == 0x60 else hit)
        r[base + 1] = key >> 21
        r[base + 2] = (key >> 18 & 7) << 5 | (key >> 16 & 3 | 8 if flags & EXT else rtr << 4)
        r[base + 3] = key >> 8 & 0xFF
        r[base + 4] = key & 0xFF
        r[base + 5] = len(data) | (0x40 if rtr and flags & EXT else 0)
        if not rtr:
            for i in range(min(8, len(data))):
                r[base + 6 + i] = data[i]

    def _transmit(self):
        if self._tec > 255:
            self._recover()
            return
        while self._transmitting():
            n = max([(self._regs[TXBCTRL[n]] & 3, n) for n in range(3) if self._regs[TXBCTRL[n]] & TXREQ])[1]
            address = TXBCTRL[n]
            self.dominant += 1
            if self.acknowledged and not self.broken:
                self._regs[address] &= ~TXREQ
                self._regs[CANINTF] |= 4 << n
                self._tec = max(0, self._tec - 1)
                self.sent.append(self._frame(address))
                continue
            self._regs[address] |= TXERR
            self._regs[CANINTF] |= MERRF
            if self.broken or self._tec < 128:  # a passive node counts no missing acknowledgement
                self._tec += 8
            if self._regs[CANCTRL] & OSM:
                self._regs[address] &= ~TXREQ
            if self._tec > 255:
                self._recessive_until = self.now + 128 * 11 * 10_000_000 // self.bitrate
            return

    def _recover(self):
        if self.now >= self._recessive_until:
            self._tec = self._rec = 0

    def _frame(self, address):
        r = self._regs
        extended = r[address + 2] & 8
        key = self._key(address + 1)
        size = r[address + 5] & 15
        flags = (EXT if extended else 0) | (RTR if r[address + 5] & 0x40 else 0)
        data = bytes(size) if flags & RTR else bytes(r[address + 6 : address + 6 + size])
        return key if extended else key >> 18, data, flags
