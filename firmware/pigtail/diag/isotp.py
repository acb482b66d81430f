"""ISO 15765-2, the receiving side: puts answers together from their frames, and lets ECUs go on by flow controls.

Only the receiving side: all that the gate (`can.tx_guard`) lets be asked fits a single frame, so no flow control is ever waited
for, and those that come are counted and dropped. An answer is put together only while one is awaited that begins so; what else
comes from the ids of these ECUs is counted by reason. Nothing is allocated per frame, and nothing raises on what comes.
"""

from array import array
from micropython import const
from time import ticks_add, ticks_diff, ticks_ms

_N_CR_MS = const(1000)  # between two consecutive frames
_N_BR_MS = const(800)  # the longest that an ECU is kept without a flow control; it waits 1000 (N_Bs)
_WAITS = const(3)  # wait frames in a row, as N_WFTmax
_LONGEST_MS = const(9900)  # from the request on: the gate lets flow controls through for 10 s
_FLOWS_A_SECOND = const(4)
_FRAMES_A_SECOND = const(10)  # the gate's budget
_FLOW_MS = const(250)  # between the flow controls of one answer
_AGAIN_MS = const(50)  # after the gate refused for want of budget
_CONTINUE, _WAIT, _OVERFLOW = const(0), const(1), const(2)
_IDLE, _AWAITED, _HELD, _RECEIVING, _DONE, _FAILED = const(0), const(1), const(2), const(3), const(4), const(5)
_LATE = {_AWAITED: "no_answer", _HELD: "no_room", _RECEIVING: "timeout_cr"}
_REASONS = (
    "unasked", "unmatched", "length", "pci", "flow_control", "consecutive", "interrupted", "wrong_sn", "timeout_cr",
    "buffer_overflow", "no_room", "no_answer",
)  # fmt: skip


@micropython.viper
def _next(slots: ptr32, i: int, n: int, keys: ptr32, count: int) -> int:
    # From the i-th of n slots on, the first that is of one of `count` keys (id, prefix or -1): slot * count + key; -1: none.
    while i < n:
        k = 0
        while k < count:
            if slots[i * 4] == keys[k * 2]:
                prefix = keys[k * 2 + 1]
                if prefix < 0 or prefix == slots[i * 4 + 2] & 255:
                    return i * count + k
            k += 1
        i += 1
    return -1


@micropython.viper
def _copy(to: ptr8, at: int, source: ptr8, start: int, n: int):
    i = 0
    while i < n:
        to[at + i] = source[start + i]
        i += 1


def _forget(times, now):
    while times and ticks_diff(now, times[0]) >= 1000:
        times.pop(0)


class Failure(Exception):
    """A request that came to nothing. `code` says why: a reason of the gate's, one of `Isotp.counts`', "negative" with the `nrc`,
    "under_way", or "form" for an answer that is not what its service says."""

    def __init__(self, code, nrc=0):
        super().__init__("%s %02x" % (code, nrc) if nrc else code)
        self.code = code
        self.nrc = nrc


class Channel:
    """An ECU whose answers are awaited or not. `ecu` is the gate's: flow controls go to it. `rx_id` is where it answers, as the
    profile says; `rx_prefix` is the first byte of its frames where addressing is extended (our address) or mixed (the extension).
    `block_size` and `st_min` are asked of it, as flow controls have them; `pad` fills the frames that go to it."""

    def __init__(self, ecu, rx_id, rx_prefix=None, block_size=0, st_min=0, pad=0):
        self.ecu = ecu
        self.rx_id = rx_id
        self.rx_prefix = rx_prefix
        self.at = 0 if rx_prefix is None else 1
        self.block_size = block_size
        self.st_min = st_min
        self.pad = pad
        self.head = bytearray(7)  # a single frame's payload, or what of it came with a first frame
        self.buffer = None  # of the pool
        self.state = _IDLE
        self.length = self.filled = self.next_sn = self.left = self.waits = self.deadline = self.until = 0
        self.failure = ""

    def wants(self, data, at: int, size: int) -> bool:
        """Whether a message that begins with `size` bytes from `data[at]` on is awaited."""
        return True

    def put_off(self) -> int:
        """For how many ms more the answer is to be awaited after the message that came; 0: it is the answer."""
        return 0

    @property
    def is_open(self) -> bool:
        return self.state != _IDLE

    @property
    def is_over(self) -> bool:
        return self.state >= _DONE

    def payload(self) -> bytes:
        """The answer; raises Failure when there will be none."""
        if self.state != _DONE:
            raise Failure(self.failure)
        return bytes(memoryview(self.buffer or self.head)[: self.length])


class Isotp:
    """Receives for `channels` with a pool of `buffers` of `size` bytes. `guard` is the gate."""

    def __init__(self, guard, channels, buffers=2, size=512):
        self._guard = guard
        self._channels = channels
        self._keys = array("i", bytes(8 * len(channels)))
        for i, channel in enumerate(channels):
            self._keys[2 * i] = channel.rx_id | (0x20000000 if channel.ecu.is_extended_id else 0)
            self._keys[2 * i + 1] = channel.rx_prefix if channel.at else -1
        self._size = size
        self._pool = [bytearray(size) for _ in range(buffers)]
        self._flow = bytearray(8)
        self._flows = []  # when the flow controls of the last second went out
        self._requests = []  # and the requests
        self._again_at = None  # when the gate is to be tried again
        self.heard = 0  # frames of these ECUs
        self.counts = {reason: 0 for reason in _REASONS}

    def has_room(self) -> bool:
        """Whether the answer to one more request is sure of its flow control: each one that is awaited may need one, too."""
        flows = len(self._flows)
        for channel in self._channels:
            if _AWAITED <= channel.state <= _RECEIVING:
                flows += 1
        return flows < _FLOWS_A_SECOND and len(self._requests) + flows + 2 <= _FRAMES_A_SECOND

    def asked(self) -> None:
        """A request went out."""
        self._requests.append(ticks_ms())

    def open(self, channel, answer_ms: int) -> None:
        """An answer is awaited from now on, for `answer_ms` until it begins."""
        self.close(channel)
        now = ticks_ms()
        channel.until = ticks_add(now, _LONGEST_MS)
        channel.state = _AWAITED
        self._await(channel, now, answer_ms)

    def close(self, channel) -> None:
        """Nothing is awaited any more, and the answer is let go."""
        self._release(channel)
        channel.state = _IDLE

    def take(self, slots, n: int) -> None:
        """Takes from `n` slots what is from these ECUs, then looks at the time: to be called every turn, with n = 0 as well."""
        now = ticks_ms()
        count = len(self._channels)
        found = _next(slots, 0, n, self._keys, count)
        while found >= 0:
            i = found // count
            self.heard += 1
            self._frame(self._channels[found % count], slots, i << 4, now)
            found = _next(slots, i + 1, n, self._keys, count)
        self._look(now)

    def _frame(self, channel, slots, slot, now):
        at = slot + 8 + channel.at
        room = (slots[slot + 7] >> 4) - channel.at  # bytes of the frame behind the prefix
        kind = slots[at] >> 4
        if kind == 0:  # of an empty frame as well, since a slot is filled up with zeros
            self._single(channel, slots, at, room, now)
        elif kind == 1:
            self._first(channel, slots, at, room, now)
        elif kind == 2:
            self._consecutive(channel, slots, at, room, now)
        else:
            self._count("flow_control" if kind == 3 else "pci")

    def _single(self, channel, slots, at, room, now):
        length = slots[at]
        if not 0 < length < room:
            return self._count("length")
        if self._is_wanted(channel, slots, at + 1, length):
            _copy(channel.head, 0, slots, at + 1, length)
            channel.length = length
            self._complete(channel, now)

    def _first(self, channel, slots, at, room, now):
        length = (slots[at] & 15) << 8 | slots[at + 1]
        seen = 6 - channel.at
        if not length and (slots[at + 2] or slots[at + 3] or slots[at + 4] & 0xF0):
            length, seen = 4096, 2 - channel.at  # more than 4095, told in 32 bits
        if room < 8 - channel.at or length < 8 - channel.at:
            return self._count("length")
        if not self._is_wanted(channel, slots, at + 8 - channel.at - seen, seen):
            return
        if length > self._size:
            self._fail(channel, "buffer_overflow")
            return self._send_flow(channel, _OVERFLOW, now)
        _copy(channel.head, 0, slots, at + 2, seen)
        channel.length = length
        channel.filled = seen
        channel.next_sn = 1
        self._hold(channel, now)

    def _consecutive(self, channel, slots, at, room, now):
        if channel.state != _RECEIVING:
            return self._count("consecutive")
        n = min(7 - channel.at, channel.length - channel.filled)
        if room <= n:
            return self._count("length")
        if slots[at] & 15 != channel.next_sn:
            return self._fail(channel, "wrong_sn")
        _copy(channel.buffer, channel.filled, slots, at + 1, n)
        channel.filled += n
        channel.next_sn = (channel.next_sn + 1) & 15
        channel.left -= 1
        if channel.filled == channel.length:
            self._complete(channel, now)
        elif channel.left:
            self._await(channel, now, _N_CR_MS)
        else:
            self._hold(channel, now)

    def _is_wanted(self, channel, slots, at, size):
        if not _AWAITED <= channel.state <= _RECEIVING:
            self._count("unasked")
            return False
        if not channel.wants(slots, at, size):
            self._count("unmatched")
            return False
        if channel.state != _AWAITED:  # what was under way is over (ISO 15765-2, 9.8.3)
            self._count("interrupted")
            self._release(channel)
        return True

    def _complete(self, channel, now):
        channel.state = _DONE
        more = channel.put_off()
        if more:
            channel.state = _AWAITED
            self._await(channel, now, more)

    def _hold(self, channel, now):
        """The ECU is to go on when there is room for it and a flow control may be sent."""
        channel.state = _HELD
        channel.waits = 0
        self._await(channel, now, _N_BR_MS)
        self._go(channel, now)

    def _go(self, channel, now):
        if self._again_at is not None or channel.buffer is None and not self._pool:
            return
        if channel.buffer is not None and self._flows and ticks_diff(now, self._flows[-1]) < _FLOW_MS:
            return
        if not self._send_flow(channel, _CONTINUE, now):
            return
        if channel.buffer is None:
            channel.buffer = self._pool.pop()
            _copy(channel.buffer, 0, channel.head, 0, channel.filled)
        channel.state = _RECEIVING
        channel.left = channel.block_size
        self._await(channel, now, _N_CR_MS)

    def _send_flow(self, channel, status, now):
        """Whether a flow control is on its way. A refusal that will not pass fails the channel."""
        if len(self._flows) >= _FLOWS_A_SECOND:
            return False
        ecu, frame = channel.ecu, self._flow
        for i in range(8):
            frame[i] = channel.pad
        if ecu.at:
            frame[0] = ecu.prefix
        frame[ecu.at] = 0x30 | status
        frame[ecu.at + 1] = channel.block_size
        frame[ecu.at + 2] = channel.st_min
        reason = self._guard.send(ecu.tx_id, ecu.is_extended_id, frame)
        if not reason:
            self._flows.append(now)
        elif reason == "budget" or reason == "queue":
            self._again_at = ticks_add(now, _AGAIN_MS)
        elif channel.state != _FAILED:
            self._fail(channel, reason)
        return not reason

    def _look(self, now):
        """Lets go of times that are over; ticks that are days old could not be told from coming ones."""
        _forget(self._flows, now)
        _forget(self._requests, now)
        if self._again_at is not None and ticks_diff(now, self._again_at) >= 0:
            self._again_at = None
        for channel in self._channels:
            if channel.state == _HELD:
                self._go(channel, now)
            if _AWAITED <= channel.state <= _RECEIVING and ticks_diff(now, channel.deadline) >= 0:
                self._late(channel, now)

    def _late(self, channel, now):
        may_wait = channel.state == _HELD and channel.waits < _WAITS and channel.deadline != channel.until
        if may_wait and self._send_flow(channel, _WAIT, now):
            channel.waits += 1
            self._await(channel, now, _N_BR_MS)
        elif channel.state != _FAILED:
            self._fail(channel, _LATE[channel.state])

    def _await(self, channel, now, ms):
        channel.deadline = ticks_add(now, ms)
        if ticks_diff(channel.deadline, channel.until) > 0:
            channel.deadline = channel.until

    def _fail(self, channel, code):
        self._release(channel)
        channel.state = _FAILED
        channel.failure = code
        self._count(code)

    def _release(self, channel):
        if channel.buffer is not None:
            self._pool.append(channel.buffer)
            channel.buffer = None

    def _count(self, reason):
        self.counts[reason] = self.counts.get(reason, 0) + 1
