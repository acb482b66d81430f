"""The sending half of the simulated controller: a queue of three frames to the car's ECUs, and their answers.

It is connected to PIGTAIL_WIRE, once the controller has left the silent modes. Both sides send the records of _can.py; one with
1024 in its third word tells the car a new mode, which stands in place of the id. Answers come ahead of their time and wait for it
here; one that comes after its time arrives at once. /run/wire says what ails the bus: its first byte 1: nobody acknowledges,
2: error-passive; its second one how often the controller was thrown off the bus.
"""

import micropython
import os
import usocket
from array import array
from ustruct import pack_into

from _map import mapped

QUEUE = 3
_RECORD = micropython.const(20)
_ANSWERS = micropython.const(2048)  # records that wait for their time
_MODE = micropython.const(1024)
_FRAME_BITS = micropython.const(131)  # of eight bytes and a 29-bit id, without stuff bits
_UNSENT = micropython.const(0x3FFFFFFF)  # the time at which a frame is sent that nobody acknowledges
_NO_ACK, _PASSIVE = micropython.const(1), micropython.const(2)
_IPPROTO_TCP, _TCP_NODELAY = micropython.const(6), micropython.const(1)


@micropython.viper
def _insert(answers: ptr32, at: ptr32, record: ptr32):
    # in order of time among those that wait, behind its equals; at: 0 next record, 1 records
    if at[0] == at[1]:
        at[0] = 0
        at[1] = 0
    i = at[1]
    at[1] = i + 1
    while i > at[0]:
        w = ptr32(int(answers) + i * 20 - 20)
        if w[0] <= record[0]:
            break
        k = 0
        while k < 5:
            w[k + 5] = w[k]
            k += 1
        i -= 1
    w = ptr32(int(answers) + i * 20)
    k = 0
    while k < 5:
        w[k] = record[k]
        k += 1


@micropython.viper
def _due(answers: ptr32, at: ptr32, now: int) -> int:
    if at[0] == at[1]:
        return -1
    w = ptr32(int(answers) + at[0] * 20)
    return int(w[0]) if int(w[0]) <= now else -1


def receive(wire, into):
    """Whole records; how many."""
    got = wire.readinto(into)
    if not got:
        return 0
    while got % _RECORD:  # the stream was cut inside a record: its rest is on the way
        more = wire.readinto(memoryview(into)[got:], _RECORD - got % _RECORD)
        if more == 0:  # the car is gone
            return 0
        got += more or 0
    return got // _RECORD


class Wire:
    """All times in 0.1 ms since the bus was opened."""

    def __init__(self, ailing):
        self._ailing = ailing
        self.answers = mapped("/run/answers.bin", _RECORD * _ANSWERS)
        self.at = array("i", [0, 0])
        self._record = bytearray(_RECORD)
        self._sending = [bytearray(_RECORD) for _ in range(QUEUE)]
        self._until = [0] * QUEUE  # when each of them is on its way
        self._now = -1
        car = usocket.socket()
        car.connect(usocket.getaddrinfo("127.0.0.1", int(os.getenv("PIGTAIL_WIRE")))[0][-1])
        car.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        car.setblocking(False)
        self._socket = car

    def tell(self, mode, bitrate, now):
        """The car learns of a new mode, in which nothing is left to send."""
        self._duration = _FRAME_BITS * 10000 // bitrate + 1
        for n in range(QUEUE):
            self._until[n] = 0
        pack_into("<III8s", self._record, 0, now, mode, _MODE, b"")
        self._socket.write(self._record)

    def due(self, now):
        """When the next answer comes, -1: later than now."""
        if now != self._now:
            self._now = now
            self._hear()
        return _due(self.answers, self.at, now)

    def _hear(self):
        at = self.at
        while at[1] < _ANSWERS or at[0] == _ANSWERS:
            if not receive(self._socket, self._record):
                break
            _insert(self.answers, at, self._record)
        if self._ailing[0] != _NO_ACK:
            for n in range(QUEUE):
                if self._until[n] == _UNSENT:
                    self._put(n)

    def send(self, id, code, data):
        """The frame's place in the queue; None: there is no room."""
        for n in range(QUEUE):
            if self._until[n] <= self._now:
                pack_into("<III8s", self._sending[n], 0, 0, id, code, data)
                self._put(n)
                return n

    def _put(self, n):
        """Sends what is at that place, behind the others; it stays there while nobody acknowledges."""
        if self._ailing[0] == _NO_ACK:
            self._until[n] = _UNSENT
            return
        at = self._now
        for i in range(QUEUE):
            if at < self._until[i] < _UNSENT:
                at = self._until[i]
        at += self._duration
        self._until[n] = at
        pack_into("<I", self._sending[n], 0, at)
        self._socket.write(self._sending[n])

    def waiting(self):
        """How many frames are not yet on their way."""
        n = 0
        for until in self._until:
            n += until > self._now
        return n

    def is_passive(self):
        """Whether the transmit error counter is where ISO 11898-1 calls it error-passive."""
        if self._ailing[0] == _NO_ACK:
            return _UNSENT in self._until
        return self._ailing[0] == _PASSIVE
