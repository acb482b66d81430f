"""The MQTT 3.1.1 client: umqtt.simple's, with its own non-blocking reading and writing.

Constructor, last will and MQTTException are those of `umqtt.simple`, of 1.3.4 and of the newer one that ESP32 builds freeze. A
packet is built in one buffer and written at once; what the socket does not take waits, and `writable` is False until it is gone.
`step` never blocks: it writes, reads, judges deadlines. A broken connection is OSError, a broker that breaks the protocol or
refuses is MQTTException, a TLS handshake that fails is ValueError (the certificate) or OSError.
"""

import errno
import select
import socket
import struct
from asyncio import sleep_ms
from micropython import const
from time import ticks_add, ticks_diff, ticks_ms
from umqtt.simple import MQTTClient, MQTTException

_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_PINGRESP = const(0xD0)
_DUP = const(8)
_IN_SIZE = const(256)
_HEAD = const(128)
_LONGEST = const(4096)  # bytes of a packet from the broker; a longer one ends the connection
_PACKET_MS = const(20000)  # for a packet from its first byte to its last, and 1 ms more for every byte
_READS = const(8)  # at most in one step, and as many chunks written: whoever sends without end must not hold the loop
_AWAITED_MS, _IDLE_MS = const(2), const(10)
_POLL_FAILED = select.POLLERR | select.POLLHUP


class Portal(MQTTException):
    """What answers is no broker but a web server: a captive portal."""


class Client(MQTTClient):
    """`on_puback(packet_id)` is called for every PUBACK of a packet that is under way. `size` is the longest packet that can be
    sent whole; while `writable`, a message may be made in `scratch`, the end of that buffer. `ssl` is a `tls.SSLContext` or an
    uplink.tls.Tls."""

    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, ssl=None, ssl_params=None, size=1536):
        if ssl and not hasattr(ssl, "wrap_socket"):
            raise ValueError("ssl: takes an SSLContext")  # 1.3.4 took True; plain text must not come of it
        super().__init__(client_id, server, port, user, password, keepalive, ssl or None)
        self._out = bytearray(size)
        self._out_view = memoryview(self._out)
        self.scratch = self._out_view[_HEAD:]
        self._in = bytearray(_IN_SIZE)
        self._in_view = memoryview(self._in)
        self._first = self._in  # of `_in`, what one read may fill when it is empty
        self._plain = None  # the socket below TLS
        self._under_way = set()
        self._moved = False  # bytes were written or read in the last step
        self._forget()
        self._sent_at = self._write_by = 0
        self.on_puback = None
        self.ignored = 0  # PUBLISHes: nothing is subscribed to
        self.unknown_pubacks = 0

    def _forget(self):
        self._out_at = self._out_end = self._have = self._skip = 0
        self._more = None  # iterator of the chunks still to be written
        self._owed = 0  # bytes that they must bring
        self._writing = 0  # packet id of what is not yet written
        self._read_since = None  # since when a packet from the broker is incomplete
        self._connack = -1
        self._pinged = False
        self._heard_at = 0  # when the broker was last heard, or pinged
        self._under_way.clear()

    async def open(self, address, timeout_ms: int) -> None:
        """Connects to `address` (of getaddrinfo) with a clean session; returns when the broker has accepted."""
        self.close()
        deadline = ticks_add(ticks_ms(), timeout_ms)
        self.sock = self._plain = socket.socket()
        self.sock.setblocking(False)
        try:
            self.sock.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await self._connected(deadline)
        self.sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: not every port names them
        if self.ssl:
            await self._secured(deadline)
        self._queue(self._connect_packet())
        while self._connack < 0:
            self._pump()
            await _until(deadline)

    async def _connected(self, deadline):
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT)
        while True:
            for _, flags in poller.poll(0):
                if flags & _POLL_FAILED:
                    raise OSError(errno.ECONNREFUSED)
                return
            await _until(deadline)

    async def _secured(self, deadline):
        """Reading drives the handshake; the certificate is there when it is over, and nothing of ours has been sent before."""
        self.sock = self.ssl.wrap_socket(self._plain, do_handshake_on_connect=False, server_hostname=self.server)
        while True:
            self._pump()
            certificate = self.sock.getpeercert(True)
            if certificate:
                break
            await _until(deadline)
        check = getattr(self.ssl, "check", None)
        if check:
            check(certificate)

    def close(self) -> None:
        for sock in self.sock, self._plain:  # a failed handshake leaves the one below open
            if sock:
                sock.close()
        self.sock = self._plain = None
        self._forget()

    def _connect_packet(self):
        flags = 2  # clean session: the outbox is the session
        fields = [self.client_id]
        if self.lw_topic:
            flags |= 4 | self.lw_qos << 3 | self.lw_retain << 5
            fields += [self.lw_topic, self.lw_msg]
        if self.user:
            flags |= 0x80
            fields.append(self.user)
            if self.pswd:
                flags |= 0x40
                fields.append(self.pswd)
        packet = bytearray(b"\0\x04MQTT\x04") + bytes([flags]) + struct.pack("!H", self.keepalive)
        for field in fields:
            field = field.encode() if isinstance(field, str) else field
            packet += struct.pack("!H", len(field)) + field
        return bytes([0x10]) + remaining_length(len(packet)) + packet

    @property
    def writable(self) -> bool:
        """A packet can be sent: nothing of the one before waits."""
        return self._out_at == self._out_end and self._more is None

    @property
    def idle_ms(self) -> int:
        """How long to wait before the next `step`: not at all while bytes move, less while an answer is due."""
        if self._moved:
            return 0
        return _AWAITED_MS if self._under_way else _IDLE_MS

    def publish(self, topic, msg, retain=False, qos=0, dup=False) -> int:
        """Sends one PUBLISH; returns its packet id, 0 at QoS 0. `dup`: it may have come before. Only while `writable`."""
        msg = msg.encode() if isinstance(msg, str) else msg
        return self._publish(topic, len(msg), msg, retain, qos, dup)

    def publish_chunks(self, topic, size: int, chunks, retain=False, dup=False) -> int:
        """Sends one PUBLISH (QoS 1) of `size` bytes that an iterator brings piece by piece. Only while `writable`."""
        self._owed = size
        self._more = iter(chunks)
        self._chunk = b""
        return self._publish(topic, size, b"", retain, 1, dup)

    def _publish(self, topic, size, msg, retain, qos, dup):
        topic = topic.encode() if isinstance(topic, str) else topic
        length = remaining_length(2 + len(topic) + (2 if qos else 0) + size)
        end = 1 + len(length) + 2 + len(topic) + (2 if qos else 0) + len(msg)
        out = self._out
        if end > len(out):
            self._more = None
            raise ValueError("packet of %d bytes" % end)
        packet_id = self._next_id() if qos else 0
        self._out_view[end - len(msg) : end] = msg  # first: it may lie in `scratch`
        out[0] = _PUBLISH | qos << 1 | retain | (_DUP if dup else 0)
        at = 1
        for piece in length, struct.pack("!H", len(topic)), topic, struct.pack("!H", packet_id) if qos else b"":
            self._out_view[at : at + len(piece)] = piece
            at += len(piece)
        self._writing = packet_id
        self._start(self._filled(end), size)
        self._write()
        return packet_id

    def _next_id(self):
        """1 to 65,535 in turn, but none that is under way."""
        self.pid = self.pid % 65535 + 1
        while self.pid in self._under_way:
            self.pid = self.pid % 65535 + 1
        self._under_way.add(self.pid)
        return self.pid

    def _queue(self, packet):
        self._out_view[: len(packet)] = packet
        self._start(len(packet), len(packet))
        self._write()

    def _start(self, end, size):
        self._out_at, self._out_end = 0, end
        self._sent_at = ticks_ms()
        self._write_by = ticks_add(self._sent_at, min(_PACKET_MS, self.keepalive * 1000 or _PACKET_MS) + size)

    def _write(self):
        for _ in range(_READS):
            while self._out_at < self._out_end:
                n = self.sock.write(self._out_view[self._out_at : self._out_end])
                if not n:
                    return
                self._out_at += n
                self._moved = True
            if self._more is None:
                self._writing = 0
                return
            self._out_at, self._out_end = 0, self._filled(0)

    def _filled(self, end):
        """Puts what is owed behind the first `end` bytes, as much of it as there is room for; returns the new end."""
        for _ in range(_READS):
            if not self._more:
                break
            chunk = self._chunk or (next(self._more, b"") if self._owed else b"")
            self._chunk = b""
            if len(chunk) > self._owed or (self._owed and not chunk):
                raise OSError(errno.EIO)  # not as many as said: the rest would be taken for a packet
            if not chunk:
                self._more = None
            elif end + len(chunk) > len(self._out):
                self._chunk = chunk
                break
            else:
                self._out_view[end : end + len(chunk)] = chunk
                self._owed -= len(chunk)
                end += len(chunk)
        return end

    def step(self) -> None:
        """Writes what waits, reads what has come, keeps the connection alive. Raises OSError when it is lost."""
        self._pump()
        now = ticks_ms()
        if not self.writable and ticks_diff(now, self._write_by) > 0:
            raise OSError(errno.ETIMEDOUT)
        if self._read_since is not None and ticks_diff(now, self._read_since) > _PACKET_MS:
            raise OSError(errno.ETIMEDOUT)
        if not self.keepalive:
            return
        half = self.keepalive * 500
        is_silent = ticks_diff(now, self._heard_at) > half
        if self._pinged:
            if is_silent:
                raise OSError(errno.ETIMEDOUT)
        elif self.writable and (is_silent or ticks_diff(now, self._sent_at) > half):
            self._pinged, self._heard_at = True, now
            self._queue(b"\xc0\0")

    def _pump(self):
        self._moved = False
        self._write()
        for _ in range(_READS):
            have = self._have
            n = self.sock.readinto(self._in_view[have : have + _IN_SIZE] if have else self._first)
            if n is None:
                return
            if n == 0:
                raise OSError(errno.ECONNRESET)
            self._have += n
            self._moved = True
            self._heard_at = ticks_ms()
            self._parse()

    def _parse(self):
        at = 0
        while True:
            dropped = min(self._skip, self._have - at)
            self._skip -= dropped
            at += dropped
            if dropped and not self._skip:
                self._read_since = None
            if at < self._have and self._connack < 0:
                self._check_greeting(at)
            size, head = self._packet(at)
            if not size:
                break
            if at + size > self._have:
                if size <= len(self._in):
                    break
                self._check_long(self._in[at], size)
                if not self._dropped(self._in[at], at + head, size - head):
                    break
                self._skip = size
            else:
                self._read_since = None
                self._handle(self._in[at], at + head, size - head)
                at += size
        self._in[: self._have - at] = self._in[at : self._have]
        self._have -= at
        if self._read_since is None and (self._have or self._skip):
            self._read_since = ticks_ms()

    def _check_greeting(self, at):
        """The first packet is a CONNACK; a web server's answer has a name of its own."""
        if self._in[at] != _CONNACK:
            told = bytes(self._in[at : min(self._have, at + 4)])
            if told == b"HTTP":
                raise Portal("HTTP")
            if told != b"HTTP"[: len(told)]:
                raise MQTTException("packet type %d" % self._in[at])

    def _check_long(self, op, size):
        """Of packets longer than `_in`, only PUBLISHes may come; they are read to their end and never kept."""
        if op & 0xF0 != _PUBLISH or op & 6 == 6 or size > _LONGEST:
            raise MQTTException("packet of %d bytes" % size)

    def _dropped(self, op, at, size):
        """Takes note of a long PUBLISH; False when more of it must be there for that."""
        self.ignored += 1
        return True

    def _packet(self, at):
        """(size, length of fixed header) of the packet at `at`; (0, 0) while its length is not known."""
        value = 0
        for i in range(4):
            if at + 1 + i >= self._have:
                return 0, 0
            byte = self._in[at + 1 + i]
            value |= (byte & 127) << 7 * i
            if byte < 128:
                return value + 2 + i, 2 + i
        raise MQTTException("remaining length")

    def _handle(self, op, at, size):
        if op == _PUBACK and size == 2:
            self._acknowledged(self._in[at] << 8 | self._in[at + 1])
        elif op == _PINGRESP and not size:
            self._pinged = False
        elif op == _CONNACK and size == 2 and self._connack < 0:
            self._connack = self._in[at + 1]
            if self._connack:
                raise MQTTException(self._connack)  # at once: what is read next is the end
        elif op & 0xF0 == _PUBLISH and op & 6 != 6 and self._fits(op, at, size):
            self.ignored += 1
        else:
            raise MQTTException("packet type %d" % op)

    def _fits(self, op, at, size):
        """Whether the topic, and the packet id that QoS 1 and 2 have, end where the packet does or before."""
        return size >= 2 and 2 + (self._in[at] << 8 | self._in[at + 1]) + (2 if op & 6 else 0) <= size

    def _acknowledged(self, packet_id):
        """One that was never sent, was acknowledged before, or is not even written to its end acknowledges nothing."""
        if packet_id not in self._under_way or packet_id == self._writing:
            self.unknown_pubacks += 1
            return
        self._under_way.discard(packet_id)
        if self.on_puback:
            self.on_puback(packet_id)


def _shed() -> None:
    """Gives the heap back what MQTTClient has for reading and writing: it would block, and nothing calls it any more."""
    for name in "connect", "disconnect", "ping", "publish", "subscribe", "wait_msg", "check_msg", "_send_str", "_recv_len":
        try:
            setattr(MQTTClient, name, None)  # what is deleted stays in the class's table, alive
        except (AttributeError, TypeError):
            pass  # frozen into the firmware: it takes no heap there


_shed()


def remaining_length(value):
    """Remaining length (MQTT 3.1.1, 2.2.3)."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


async def _until(deadline):
    if ticks_diff(deadline, ticks_ms()) <= 0:
        raise OSError(errno.ETIMEDOUT)
    await sleep_ms(10)
