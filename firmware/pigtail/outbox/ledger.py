"""The gap ledger: which samples will not come, and why. A bounded list of ranges, told to the reader like any other data."""

from micropython import const

_MOST = const(32)


class Ledger:
    """Ranges (boot, first sequence, count, reason). Neighbours join; where the list is full, the newest two become one
    with the reason `several`, which may cover samples that did arrive: the reader knows those by their numbers."""

    def __init__(self):
        self._ranges = []
        self.samples = 0

    def add(self, boot: int, first: int, count: int, reason: str) -> None:
        if not count:
            return  # a record of nothing but marks
        self.samples += count
        if self._ranges:
            last = self._ranges[-1]
            if last[0] == boot and last[1] + last[2] == first and last[3] == reason:
                self._ranges[-1] = (boot, last[1], last[2] + count, reason)
                return
            if len(self._ranges) >= _MOST and last[0] == boot:
                begin, end = min(last[1], first), max(last[1] + last[2], first + count)
                self._ranges[-1] = (boot, begin, end - begin, "several")
                return
        self._ranges.append((boot, first, count, reason))

    def peek(self):
        """The oldest range, None when all are told."""
        return self._ranges[0] if self._ranges else None

    def acknowledge(self, told) -> None:
        """`told` has reached the reader; what was joined to it meanwhile stays and is told anew."""
        if self._ranges and self._ranges[0] == told:
            self._ranges.pop(0)

    def __len__(self) -> int:
        return len(self._ranges)
