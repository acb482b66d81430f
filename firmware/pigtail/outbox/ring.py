"""The RAM ring: the bytes of whole batches, closed and not yet acknowledged. They are sent from here while they are here."""

from micropython import const

_MOST = const(24)  # batches; each is an object on the heap besides


class Ring:
    """`size` bytes for batches, which have `at` (their offset here, -1: not here) and `size`. `leave(batch)` is called with the
    oldest when its room is needed; it goes in any case."""

    def __init__(self, size: int, leave):
        self._view = memoryview(bytearray(size))
        self._leave = leave
        self._head = 0  # where the next one is put
        self.batches = []

    def put(self, batch, payload) -> bool:
        """Keeps a copy of `payload`; False when it is larger than the ring."""
        if len(payload) > len(self._view):
            return False
        while (at := self._room(len(payload))) < 0:
            oldest = self.batches[0]
            self._leave(oldest)
            self.remove(oldest)
        self._view[at : at + len(payload)] = payload
        self._head = at + len(payload)
        batch.at = at
        self.batches.append(batch)
        return True

    def _room(self, length):
        """Offset of `length` free bytes in one piece, -1 when there are none."""
        if not self.batches:
            return 0
        if len(self.batches) >= _MOST:
            return -1
        tail = self.batches[0].at
        if self._head > tail:
            if len(self._view) - self._head >= length:
                return self._head
            return 0 if tail >= length else -1
        return self._head if tail - self._head >= length else -1

    def remove(self, batch) -> None:
        """Its room is free once all older ones have gone, too. What is not here is no error."""
        if batch.at >= 0:
            self.batches.remove(batch)
            batch.at = -1

    def payload(self, batch):
        return self._view[batch.at : batch.at + batch.size]
