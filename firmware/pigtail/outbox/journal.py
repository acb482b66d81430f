"""The journal: what the outbox must know after a power cut, as snapshots in two sectors of their own.

Every snapshot is whole, and stands in both sectors; the newest that can be read counts. The sector that has the older
one is written first, so what is erased is never the only one. `read` and `write` are those of `pair.Pair`.
"""

from pigtail.outbox.records import TABLE, Records, span


class Journal:
    """`segments` are two."""

    def __init__(self, segments):
        self._records = Records(segments)
        self._free = None
        self._newest = 1  # which copy, 1 or 2
        self._count = 0

    def read(self):
        """The newest snapshot, None when there is none."""
        newest, size, self._count = -1, self._records.size, 0
        self._free = [0, self._end(1), self._end(2)]
        for copy in 1, 2:
            at = self._records.find(copy * size, (copy + 1) * size)
            while at >= 0:
                if self._records.start > self._count:
                    newest, self._newest, self._count = at, copy, self._records.start
                at = self._records.find(at + span(self._records.length), (copy + 1) * size)
        if self._free == [0, size, 2 * size]:
            self._free[2] += size >> 3 << 2  # so that the two are not full at the same time
        if newest < 0:
            return None
        self._records.find(newest, newest + 1)
        return b"".join([bytes(piece) for piece in self._records.payload(newest, self._records.length)])

    def _end(self, copy):
        return self._records.free(copy * self._records.size)

    def write(self, payload) -> None:
        """Puts a snapshot in force; raises OSError when the flash refuses."""
        if self._free is None:
            self.read()
        self._count += 1
        older = 3 - self._newest
        self._put(older, payload)
        self._put(3 - older, payload)
        self._newest = older

    def _put(self, copy, payload):
        at, size = self._free[copy], self._records.size
        if at + span(len(payload)) > (copy + 1) * size:
            at = copy * size
            self._records.segments.erase(copy % 2)
        self._free[copy] = at + span(len(payload))
        self._records.put(at, TABLE, payload, 0, self._count, 0, 0, True, False)
