"""The outbox in RAM: records wait here, oldest first, until they are acknowledged.

A record has a number, counted from 0 in this boot. When room runs out the oldest records go, and the ledger is told which
samples went with them. Flash will stand behind the same interface: append, peek, acknowledge, oldest, end.
"""

from array import array
from micropython import const

_FIELDS = const(5)  # of a row: offset, length, first sequence, count, state
_LEAST_RECORD = const(128)  # shorter records fill the rows before the bytes
_LEAST_ROWS = const(32)
_WAITING = const(0)
_DONE = const(1)


class Ring:
    """Holds at most `size` bytes and `rows` records (by default one for 128 bytes). `ledger` is told of what is dropped."""

    def __init__(self, size: int, ledger, rows: int = 0):
        rows = rows or max(_LEAST_ROWS, size // _LEAST_RECORD)
        self._store = bytearray(size)
        self._view = memoryview(self._store)
        self._size = size
        self._rows = array("I", bytes(4 * _FIELDS * rows))
        self._capacity = rows
        self._ledger = ledger
        self._boot = 0
        self._head = 0  # where the next record is put
        self.oldest = 0  # number of the oldest record kept
        self.end = 0  # number that the next record will have
        self.bytes = 0
        self.dropped_records = 0
        self.dropped_samples = 0

    def append(self, record, boot: int, first: int, count: int) -> None:
        """Keeps a copy of `record`, the samples `first` to `first + count - 1` of this boot."""
        length = len(record)
        self._boot = boot
        if length > self._size:
            self._lose(first, count)
            return
        offset = self._make_room(length)
        self._view[offset : offset + length] = record
        row = self.end % self._capacity * _FIELDS
        for i, value in enumerate((offset, length, first, count, _WAITING)):
            self._rows[row + i] = value
        self._head = offset + length
        self.end += 1
        self.bytes += length

    def _make_room(self, length):
        """Offset of `length` free bytes in one piece; drops the oldest records until there are."""
        while True:
            if self.oldest == self.end:
                return 0
            if self.end - self.oldest < self._capacity:
                tail = self._rows[self.oldest % self._capacity * _FIELDS]
                if self._head > tail:
                    if self._size - self._head >= length:
                        return self._head
                    if tail >= length:
                        return 0
                elif tail - self._head >= length:
                    return self._head
            self._drop()

    def _drop(self):
        row = self.oldest % self._capacity * _FIELDS
        if self._rows[row + 4] == _WAITING:
            self.bytes -= self._rows[row + 1]
            self._lose(self._rows[row + 2], self._rows[row + 3])
        self.oldest += 1

    def _lose(self, first, count):
        self.dropped_records += 1
        self.dropped_samples += count
        self._ledger.add(self._boot, first, count, "ram_full")

    def peek(self, number: int):
        """The record as a view, None when it is acknowledged, dropped or not there yet. Valid until the next append."""
        if not self.oldest <= number < self.end:
            return None
        row = number % self._capacity * _FIELDS
        if self._rows[row + 4] == _DONE:
            return None
        return self._view[self._rows[row] : self._rows[row] + self._rows[row + 1]]

    def acknowledge(self, number: int) -> None:
        """The record has arrived; its room is free once all older ones have, too. An unknown number is no error."""
        if self.peek(number) is None:
            return
        row = number % self._capacity * _FIELDS
        self._rows[row + 4] = _DONE
        self.bytes -= self._rows[row + 1]
        while self.oldest < self.end and self._rows[self.oldest % self._capacity * _FIELDS + 4] == _DONE:
            self.oldest += 1

    def __len__(self) -> int:
        return self.end - self.oldest
