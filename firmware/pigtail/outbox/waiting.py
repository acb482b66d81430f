"""A batch that waits in the outbox: where its bytes are, in RAM or in records on flash."""

from errno import EIO


class Waiting:
    """Samples `first` to `first + count - 1` of `stream` in `boot`; what `Outbox.next` gives and `acknowledge` takes."""

    # Of the class until they are set: sixteen that are under way from flash take half as much of the heap so.
    log = None
    ring = None  # where it is sent from RAM
    at = -1  # offset there, -1 when it has gone
    opened_ms = 0
    is_given = False
    was_given = False  # in an earlier session
    is_refused = False  # it is one that is not kept on flash, or no longer
    is_failed = False  # flash did not take all of it

    def __init__(self, stream: int, boot: int, first: int):
        self.stream = stream
        self.boot = boot
        self.first = first
        self.count = 0
        self.size = 0  # bytes of its payload
        self.records = []  # position and length of each record on flash, one after the other

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
