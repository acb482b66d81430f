"""What the broker sends us: subscriptions, made anew on every connection, and their messages, whole or not at all. Loaded only
where something is subscribed to."""

import struct
from micropython import const
from pigtail.uplink.mqtt import Client, remaining_length
from umqtt.simple import MQTTException

_PUBLISH = const(0x30)
_SUBACK = const(0x90)
_SIZE = const(1024)  # of a packet that is kept
_READ = const(256)  # bytes at a time, as the client without subscriptions reads
_MOST = const(128)  # bytes of PUBACKs that wait, 4 each
_FAILURE = const(0x80)


class Subscriber(Client):
    """A Client that subscribes. `cb(topic, msg)`, of `set_callback`, is called with bytes for every message of QoS 0 or 1 on a
    subscribed topic; `msg` is None for one of more than some 900 bytes. Messages of QoS 1 are acknowledged, whosever they are: a
    broker has only so many under way."""

    def __init__(self, *args, **kwargs):
        self._filters = {}  # topic: QoS
        super().__init__(*args, **kwargs)
        self._in = bytearray(_SIZE)
        self._in_view = memoryview(self._in)
        self._first = self._in_view[:_READ]

    def _forget(self):
        super()._forget()
        self._pubacks = b""
        self._asked = 0  # packet id of the SUBSCRIBE of this connection
        self.granted = False  # the broker has agreed to all subscriptions

    def subscribe(self, topic, qos=0) -> None:
        """From now on, on this connection and the next ones. `topic` has no wildcards."""
        self._filters[topic.encode() if isinstance(topic, str) else topic] = qos
        self._asked = 0

    def step(self) -> None:
        super().step()
        if self._pubacks and self.writable:
            packets, self._pubacks = self._pubacks, b""
            self._queue(packets)
        if self._filters and not self._asked and self.writable:
            self._ask()

    def _ask(self):
        self._asked = self._next_id()
        self._under_way.discard(self._asked)  # a SUBACK answers it, and nothing waits for that
        packet = struct.pack("!H", self._asked)
        for topic in self._filters:
            packet += struct.pack("!H", len(topic)) + topic + bytes([self._filters[topic]])
        self._queue(b"\x82" + remaining_length(len(packet)) + packet)

    def _handle(self, op, at, size):
        if op == _SUBACK and size > 2:
            if self._in[at] << 8 | self._in[at + 1] == self._asked:
                self.granted = not any([code & _FAILURE for code in self._in[at + 2 : at + size]])
        elif op & 0xF0 == _PUBLISH:
            self._take(op, at, size, True)
        else:
            super()._handle(op, at, size)

    def _dropped(self, op, at, size):
        have = self._have - at
        topic = self._in[at] << 8 | self._in[at + 1] if have > 1 else 0
        if have < topic + 4 <= _SIZE - 5:
            return False
        if topic + 4 > _SIZE - 5:  # nobody asked for such a topic
            return super()._dropped(op, at, size)
        self._take(op, at, size, False)
        return True

    def _take(self, op, at, size, is_whole):
        """A PUBLISH of which topic and packet id are there."""
        if op & 6 == 6 or not self._fits(op, at, size):
            raise MQTTException("packet type %d" % op)
        end = at + 2 + (self._in[at] << 8 | self._in[at + 1])
        topic = bytes(self._in[at + 2 : end])
        if op & 4 or topic not in self._filters or (op & 2 and len(self._pubacks) >= _MOST):
            self.ignored += 1
        else:
            self.cb(topic, bytes(self._in[end + (op & 2) : at + size]) if is_whole else None)
        if op & 2 and len(self._pubacks) < _MOST:
            self._pubacks += bytes((0x40, 2, self._in[end], self._in[end + 1]))
