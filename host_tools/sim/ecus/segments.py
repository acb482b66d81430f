"""ISO 15765-2 as an ECU does it, or as it should not: answers in frames that obey flow controls, and requests out of frames.

Each frame is planned with its time when what it follows upon is known, so nothing here waits: N_Bs and N_Cr are looked at when
the next frame comes.
"""

from collections.abc import Iterator

from host_tools.sim.ecus.facts import Behaviour, Facts

FRAME_S = 0.0003  # between two frames that follow at once: one of eight bytes at 500 kbit/s
_N_BS_S = 1.0  # from a frame that a flow control must follow to that
_N_CR_S = 1.0  # between two consecutive frames
_WAITS = 10  # wait frames in a row, N_WFTmax
_CONTINUE, _WAIT, _OVERFLOW = 0, 1, 2
_LONGEST = 0xFFF  # that a first frame tells in 12 bits

Frame = tuple[float, bytes]  # s since the car started, data


def st_min_s(code: int) -> float:
    """The separation time of a flow control (9.6.5.4); a reserved one means the longest."""
    if 0xF1 <= code <= 0xF9:
        return (code - 0xF0) / 10_000
    return min(code, 0x7F) / 1000


def framed(facts: Facts, data: bytes) -> bytes:
    """One frame's data with what the addressing puts before it and the padding behind it."""
    whole = data if facts.rx_prefix is None else bytes([facts.rx_prefix]) + data
    return whole if facts.pad is None else whole.ljust(8, bytes([facts.pad]))


class Sender:
    """One message of an ECU, from `at` on."""

    def __init__(self, facts: Facts, payload: bytes, behaviour: Behaviour, at: float) -> None:
        self._facts, self._payload, self._behaviour, self._at = facts, payload, behaviour, at
        self._room = 8 if facts.rx_prefix is None else 7
        self._next = 1  # consecutive frame
        self._waits = 0
        self._chunks: list[bytes] = []
        self._awaits_since: float | None = None
        self.answer_id = behaviour.answer_id
        self.outcome = ""  # why it came to nothing

    def begin(self) -> list[Frame]:
        """The single frame, or the first one."""
        payload, room = self._payload, self._room
        told = self._behaviour.first_frame_length
        if len(payload) < room and told is None:
            return [(self._at, framed(self._facts, bytes([len(payload)]) + payload))]
        length = len(payload) if told is None else told
        head = (0x1000 | length).to_bytes(2, "big") if length <= _LONGEST else b"\x10\0" + length.to_bytes(4, "big")
        first = room - len(head)
        self._chunks = [payload[n : n + room - 1] for n in range(first, len(payload), room - 1)]
        self._awaits_since = self._at
        return [(self._at, framed(self._facts, head + payload[:first]))]

    @property
    def is_over(self) -> bool:
        """Whether no flow control makes it go on."""
        return self._awaits_since is None

    def awaits(self, at: float) -> bool:
        """Whether it would go on after a flow control at that time."""
        if self._awaits_since is None or at < self._awaits_since:
            return False
        if at - self._awaits_since > _N_BS_S:
            self._end("timeout_bs")
            return False
        return True

    def flow(self, at: float, data: bytes) -> list[Frame]:
        """What follows upon a flow control that it awaits."""
        status, block_size, st_min = data[0] & 15, data[1], data[2]
        if status == _WAIT:
            self._waits += 1
            self._awaits_since = at
            if self._waits > _WAITS:
                self._end("too_many_waits")
        elif status == _CONTINUE:
            self._waits = 0
            return list(self._block(at, block_size or len(self._chunks), max(FRAME_S, st_min_s(st_min))))
        else:
            self._end("overflow" if status == _OVERFLOW else "invalid_fs")
        return []

    def _block(self, at: float, size: int, gap_s: float) -> Iterator[Frame]:
        manners, count = self._behaviour, len(self._chunks)
        for number in range(self._next, min(self._next + size, count + 1)):
            at += FRAME_S if number == self._next else gap_s
            if manners.split_ms and number == count // 2 + 1:
                at += manners.split_ms / 1000
            if manners.stop_after is not None and number > manners.stop_after:
                self._end("stopped")
                return
            if number != manners.lost_frame:
                yield at, self._consecutive(number)
            if number == 1 and manners.interleaved is not None:
                yield at + gap_s / 2, framed(self._facts, bytes([len(manners.interleaved)]) + manners.interleaved)
        self._next += size
        self._awaits_since = at if self._next <= count else None

    def _consecutive(self, number: int) -> bytes:
        sequence = number + (number == self._behaviour.wrong_sequence)
        return framed(self._facts, bytes([0x20 | sequence & 15]) + self._chunks[number - 1])

    def _end(self, outcome: str) -> None:
        self.outcome, self._awaits_since = outcome, None


class Receiver:
    """Long requests to an ECU."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._length = self._sequence = self._left = 0
        self._payload = b""
        self._last = 0.0

    def first(self, at: float, data: bytes) -> list[Frame]:
        """A first frame; it is let go on."""
        self._length = (data[0] & 15) << 8 | data[1]
        if self._length < 8:
            self._length = 0
            return []
        self._payload, self._sequence = data[2:], 0
        return [self._go_on(at)]

    def consecutive(self, at: float, data: bytes) -> tuple[bytes, list[Frame]]:
        """(the whole request or b"", what is said to that)."""
        self._sequence = self._sequence + 1 & 15
        if not self._length or data[0] & 15 != self._sequence or at - self._last > _N_CR_S:
            self._length = 0
            return b"", []
        self._payload += data[1:]
        self._last = at
        self._left -= 1
        if len(self._payload) >= self._length:
            whole, self._length = self._payload[: self._length], 0
            return whole, []
        return b"", [] if self._left else [self._go_on(at)]

    def _go_on(self, at: float) -> Frame:
        self._left = self._facts.block_size or -1
        self._last = at
        return at + FRAME_S, framed(self._facts, bytes([0x30, self._facts.block_size, self._facts.st_min]))
