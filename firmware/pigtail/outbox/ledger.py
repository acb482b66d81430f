"""The gap ledger: which samples will not come, and why, and when frames were lost. A bounded list of ranges, told to the reader
like any other data.

It is kept in the bytes in which the journal keeps it: 14 a range.
"""

import struct
from micropython import const

REASONS = ("overrun", "flash_full", "corrupt", "consent_withdrawn", "power_cut_unflushed", "several")
_RANGE = "<BBIII"  # stream, reason, boot, first, count
_SIZE = const(14)
_SEVERAL = const(5)
_FRAMES = const(0xFF)  # in place of a stream; first is then an uptime in s, count seconds << 20 | frames
_MOST_FRAMES = const(0xFFFFF)
_MOST_S = const(0xFFF)
_APART_S = const(60)


class Ledger:
    """Ranges (boot, stream, first sequence, count, reason). Neighbours join. From `most` ranges on, what is lost joins the newest
    of its boot and stream to one with the reason `several`, which may cover samples that did arrive: the reader knows those
    by their numbers. Only with twice as many, and none to join, is the oldest forgotten, and counted in `untold`.

    Frames that the controller lost are no samples: their ranges say how many, between which seconds of uptime."""

    def __init__(self, most: int = 64):
        self.most = most
        self.ranges = bytearray()
        self.samples = 0
        self.untold = 0
        self.changed = 0  # since it was last saved: 1 what may wait for some time, 2 what may not

    def _at(self, i):
        return struct.unpack_from(_RANGE, self.ranges, i * _SIZE)

    def add(self, boot: int, stream: int, first: int, count: int, reason: str) -> None:
        why, newest = REASONS.index(reason), -1
        if not count:
            return  # a record of nothing but marks
        for i in range(len(self) - 1, -1, -1):
            its_stream, its_why, its_boot, begin, n = self._at(i)
            if its_stream == stream and its_boot == boot:
                if begin <= first and first + count <= begin + n:
                    return  # is known
                if its_why == why and begin <= first <= begin + n:
                    self.samples += first + count - begin - n
                    return self._set(i, stream, why, boot, begin, first + count - begin)
                newest = max(newest, i)
        self.samples += count
        if len(self) < self.most or newest < 0:
            self._forget()
            self.ranges.extend(bytes(_SIZE))
            return self._set(len(self) - 1, stream, why, boot, first, count)
        _, _, _, begin, n = self._at(newest)
        end = max(begin + n, first + count)
        begin = min(begin, first)
        self._set(newest, stream, _SEVERAL, boot, begin, end - begin)

    def overruns(self, boot: int, begin: int, end: int, frames: int) -> None:
        """Notes frames that the controller lost between two uptimes in s. They join what was lost less than a minute before, or,
        when the ledger is half full, an hour. What is more than a range can say is counted in `untold`."""
        self.untold += max(0, frames - _MOST_FRAMES)
        begin, frames, changed = max(begin, end - _MOST_S), min(frames, _MOST_FRAMES), 2
        i = len(self) - 1
        while i >= 0 and self.ranges[i * _SIZE] != _FRAMES:
            i -= 1
        if i >= 0:
            _, _, its_boot, first, count = self._at(i)
            apart_s, total = begin - first - (count >> 20), (count & _MOST_FRAMES) + frames
            is_near = apart_s < _APART_S or 2 * len(self) >= self.most
            if its_boot == boot and is_near and end - first <= _MOST_S and total <= _MOST_FRAMES:
                begin, frames, changed = first, total, self.changed or 1
            else:
                i = -1
        if i < 0:
            self._forget()
            self.ranges.extend(bytes(_SIZE))
            i = len(self) - 1
        self._set(i, _FRAMES, 0, boot, begin, end - begin << 20 | frames)
        self.changed = changed

    def _set(self, i, stream, why, boot, first, count):
        struct.pack_into(_RANGE, self.ranges, i * _SIZE, stream, why, boot, first, count)
        self.changed = 2

    def _forget(self):
        if len(self) >= 2 * self.most:
            self.untold += self.peek()[3]
            self.ranges = self.ranges[_SIZE:]

    def peek(self):
        """The oldest range, None when all are told. Of frames: boot, 0xFF, uptime in s, how many, for how many s."""
        if not self.ranges:
            return None
        stream, why, boot, first, count = self._at(0)
        if stream == _FRAMES:
            return boot, stream, first, count & _MOST_FRAMES, count >> 20
        return boot, stream, first, count, REASONS[why]

    def acknowledge(self, told) -> None:
        """`told` has reached the reader; a range that has grown meanwhile stays and is told anew."""
        if self.peek() == told and told:
            self.ranges = self.ranges[_SIZE:]
            self.changed = 2 if told[1] != _FRAMES else self.changed or 1

    def __len__(self) -> int:
        return len(self.ranges) // _SIZE
