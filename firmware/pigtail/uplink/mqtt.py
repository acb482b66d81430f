"""The MQTT 3.1.1 client: umqtt.simple's, with its own non-blocking reading and writing.

Constructor, last will and MQTTException are those of `umqtt.simple`. A packet is built in one buffer and written at once; what
the socket does not take waits, and `writable` is False until it is gone. `step` never blocks: it writes, reads, judges time-outs.
A broken connection is OSError, a broker that breaks the protocol or refuses is MQTTException.
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
_IN_SIZE = const(256)
_STUCK_MS = const(20000)  # without a byte taken by the other side
_HEAD = const(5)  # longest fixed header
_POLL_FAILED = select.POLLERR | select.POLLHUP


class Client(MQTTClient):
    """`on_puback(packet_id)` is called for every PUBACK. `size` is the longest packet that can be sent whole."""

    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0, size=1536, **kwargs):
        super().__init__(client_id, server, port, user, password, keepalive, **kwargs)
        self._out = bytearray(size)
        self._out_view = memoryview(self._out)
        self._out_at = self._out_end = 0
        self._more = None  # generator of the chunks still to be written
        self._in = bytearray(_IN_SIZE)
        self._in_view = memoryview(self._in)
        self._have = 0
        self._skip = 0
        self._connack = -1
        self._sent_at = self._moved_at = 0
        self._pinged = False
        self._ping_at = 0
        self.on_puback = None
        self.ignored = 0

    async def open(self, address, timeout_ms: int) -> None:
        """Connects to `address` (of getaddrinfo) with a clean session; returns when the broker has accepted."""
        self.close()
        deadline = ticks_add(ticks_ms(), timeout_ms)
        self.sock = socket.socket()
        self.sock.setblocking(False)
        try:
            self.sock.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        await self._connected(deadline)
        self.sock.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: not every port names them
        self._queue(self._connect_packet())
        while self._connack < 0:
            self._pump()
            await _until(deadline)
        if self._connack:
            raise MQTTException(self._connack)

    async def _connected(self, deadline):
        poller = select.poll()
        poller.register(self.sock, select.POLLOUT)
        while True:
            for _, flags in poller.poll(0):
                if flags & _POLL_FAILED:
                    raise OSError(errno.ECONNREFUSED)
                return
            await _until(deadline)

    def close(self) -> None:
        if self.sock:
            self.sock.close()
        self.sock = None
        self._out_at = self._out_end = self._have = self._skip = 0
        self._more = None
        self._connack = -1
        self._pinged = False

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
        return bytes([0x10]) + _length(len(packet)) + packet

    @property
    def writable(self) -> bool:
        """A packet can be sent: nothing of the one before waits."""
        return self._out_at == self._out_end and self._more is None

    def publish(self, topic, msg, retain=False, qos=0) -> int:
        """Sends one PUBLISH; returns its packet id, 0 at QoS 0. Only while `writable`."""
        msg = msg.encode() if isinstance(msg, str) else msg
        return self._publish(topic, len(msg), msg, retain, qos)

    def publish_chunks(self, topic, size: int, chunks, retain=False) -> int:
        """Sends one PUBLISH (QoS 1) of `size` bytes that an iterator brings piece by piece. Only while `writable`."""
        packet_id = self._publish(topic, size, None, retain, 1)
        self._more = iter(chunks)
        return packet_id

    def _publish(self, topic, size, msg, retain, qos):
        topic = topic.encode() if isinstance(topic, str) else topic
        if qos:
            self.pid = self.pid % 65535 + 1
        length = _length(2 + len(topic) + (2 if qos else 0) + size)
        out, at = self._out, 0
        out[0] = _PUBLISH | qos << 1 | retain
        for piece in length, struct.pack("!H", len(topic)), topic, struct.pack("!H", self.pid) if qos else b"":
            out[at + 1 : at + 1 + len(piece)] = piece
            at += len(piece)
        at += 1
        if msg is not None:
            if at + size > len(out):
                raise ValueError("packet of %d bytes" % (at + size))
            self._out_view[at : at + size] = msg
            at += size
        self._start(at)
        self._write()
        return self.pid if qos else 0

    def _queue(self, packet):
        self._out_view[: len(packet)] = packet
        self._start(len(packet))
        self._write()

    def _start(self, size):
        self._out_at, self._out_end = 0, size
        self._sent_at = self._moved_at = ticks_ms()

    def _write(self):
        while True:
            while self._out_at < self._out_end:
                n = self.sock.write(self._out_view[self._out_at : self._out_end])
                if not n:
                    return
                self._out_at += n
                self._moved_at = ticks_ms()
            chunk = next(self._more, None) if self._more else None
            if chunk is None:
                self._more = None
                return
            self._out_view[: len(chunk)] = chunk
            self._start(len(chunk))

    def step(self) -> None:
        """Writes what waits, reads what has come, keeps the connection alive. Raises OSError when it is lost."""
        self._pump()
        now = ticks_ms()
        if not self.writable and ticks_diff(now, self._moved_at) > _STUCK_MS:
            raise OSError(errno.ETIMEDOUT)
        if not self.keepalive:
            return
        half = self.keepalive * 500
        if self._pinged:
            if ticks_diff(now, self._ping_at) > half:
                raise OSError(errno.ETIMEDOUT)
        elif ticks_diff(now, self._sent_at) > half and self.writable:
            self._pinged, self._ping_at = True, now
            self._queue(b"\xc0\0")

    def _pump(self):
        self._write()
        while True:
            have = self._have
            n = self.sock.readinto(self._in_view[have:] if have else self._in)
            if n is None:
                return
            if n == 0:
                raise OSError(errno.ECONNRESET)
            self._have += n
            self._parse()

    def _parse(self):
        at = 0
        while True:
            dropped = min(self._skip, self._have - at)
            self._skip -= dropped
            at += dropped
            size, head = self._packet(at)
            if not size:
                break
            if at + size > self._have:
                if size <= _IN_SIZE:
                    break
                if self._in[at] & 0xF0 != _PUBLISH:
                    raise MQTTException("packet of %d bytes" % size)
                self.ignored += 1
                self._skip = size
            else:
                self._handle(self._in[at], at + head, size - head)
                at += size
        self._in[: self._have - at] = self._in[at : self._have]
        self._have -= at

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
            if self.on_puback:
                self.on_puback(self._in[at] << 8 | self._in[at + 1])
        elif op == _PINGRESP and not size:
            self._pinged = False
        elif op == _CONNACK and size == 2 and self._connack < 0:
            self._connack = self._in[at + 1]
        elif op & 0xF0 == _PUBLISH:
            self.ignored += 1  # nothing is subscribed to
        else:
            raise MQTTException("packet type %d" % op)


def _length(value):
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
