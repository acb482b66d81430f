"""A batch that waits in the outbox: where its bytes are, in RAM or in records on flash."""

from errno import EIO


class Waiting:
    """Samples `first` to `first + count - 1` of `stream` in `boot`; what `Outbox.next` gives and `acknowledge` takes."""

    def __init__(self, stream: int, boot: int, first: int):
        self.stream = stream
        self.boot = boot
        self.first = first
        self.count = 0
        self.size = 0  # bytes of its payload
        self.log = None
        self.records = []  # position and length of each record on flash, one after the other
        self.ring = None  # where it is sent from RAM
        self.at = -1  # offset there, -1 when it has gone
        self.opened_ms = 0
        self.is_given = False
        self.was_given = False  # in an earlier session
        self.is_refused = False  # it is one that is not kept on flash, or no longer
        self.is_failed = False  # flash did not take all of it

    def chunks(self):
        """Its `size` bytes piece by piece, each valid until the next call; OSError when they had to go meanwhile."""
        if self.ring:
            if self.at < 0:
                raise OSError(EIO)
            yield self.ring.payload(self)
            return
        for i in range(0, len(self.records), 2):
            for piece in self.log.payload(self.records[i], self.records[i + 1]):
                if self.records[i] < self.log.tail:
                    raise OSError(EIO)
                yield piece
