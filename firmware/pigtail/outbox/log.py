"""A log of one priority class: a ring of segments, records at one end, room made at the other.

Each segment begins with a table, which says how far every stream was when it began; so what a damaged spot took is known from
what stands before and behind it. A record's samples count when it is there; a batch is its records 0, 1, 2 … of one stream.
"""

import struct
from micropython import const
from pigtail.outbox.records import HEAD, TABLE, Records, span
from pigtail.outbox.waiting import Waiting

_ENOSPC = const(28)  # not every port's errno names it
_LEAST = const(32)  # bytes of a record that are worth a header, where one is split between two segments
_ENTRY = "<BBII"  # of a table: stream, number of its batch's next record, boot, samples so far
_ENTRY_SIZE = const(10)


class Log(Records):
    """`make_room(log, limit)` must tell all batches that begin before the position `limit` and are not done as lost, and let the
    journal know that the tail is there or behind; then what lies before it may be erased."""

    def __init__(self, segments, make_room):
        super().__init__(segments)
        self._make_room = make_room
        self._done = {}  # position of a record that is done, at or behind the tail: position behind it
        self.ends = {}  # stream: (boot, samples so far, number of the batch's next record)
        self.tail = 0  # the oldest record that is not done
        self.saved_tail = 0  # as the journal knows it
        self.given = self.given_before = -1  # where the last batch begins that was sent; the same, when this session began
        self.end = 0  # where the next one is put; at a segment's first byte it has not begun
        self.is_full = False  # what waited had to go, and nothing was acknowledged since
        self.is_erased = False  # the segment after the newest
        self.oldest = 0  # number of the oldest segment that may hold anything

    def table(self, at: int):
        """Entries (stream, number of its batch's next record, boot, samples so far) of the table at `at`, just found."""
        content = b"".join([bytes(piece) for piece in self.payload(at, self.length)])
        return [struct.unpack_from(_ENTRY, content, i) for i in range(0, len(content), _ENTRY_SIZE)]

    def put_table(self, number: int) -> None:
        content = b"".join([struct.pack(_ENTRY, s, part, boot, count) for s, (boot, count, part) in self.ends.items()])
        at = self.end
        self.end = self.fit(at + span(len(content)))
        self.put(at, TABLE, content, 0, number, 0, 0, True, False)

    def put(self, at, stream, payload, boot, start, count, part, last, more):
        """As that of Records; where a file system is full before the log is, the oldest segments go."""
        while True:
            try:
                return super().put(at, stream, payload, boot, start, count, part, last, more)
            except OSError as error:
                if error.errno != _ENOSPC or not self._relieve():
                    raise

    def _relieve(self):
        oldest = self.oldest
        limit = (oldest + 1) * self.size
        if limit > self.end - 1:  # it is the one being written
            return False
        if self.saved_tail < limit:
            self._make_room(self, limit)
        self.segments.erase(oldest % self.segments.count)
        self.oldest = oldest + 1
        return True

    def append(self, waiting, payload, count: int, is_last: bool) -> None:
        """Writes the batch's next `payload`, with which it has `count` samples; split where the segment ends."""
        start = waiting.first + waiting.count
        at = 0
        while True:
            room = (self._room() - HEAD) & ~3
            if waiting.is_refused:
                return  # its beginning had to make room
            piece = payload[at : at + room] if at or room < len(payload) else payload
            at += len(piece)
            self._append(waiting, piece, start, count - waiting.count, is_last, at < len(payload))
            if at == len(payload):
                return

    def _append(self, waiting, piece, start, count, is_last, more):
        at, part = self.end, len(waiting.records) // 2
        if more:
            count, is_last = 0, False
        self.end = self.fit(at + span(len(piece)))
        self.put(at, waiting.stream, piece, waiting.boot, start, count, part, is_last, more)
        waiting.records += [at, len(piece)]
        waiting.count += count
        self.ends[waiting.stream] = waiting.boot, start + count, part + 1

    def fit(self, at):
        """The first position from `at` on where a record can begin."""
        room = -at % self.size
        return at + room if room < HEAD + _LEAST else at

    def _room(self):
        """Bytes from here to the end of the segment; begins the next one when this one is full."""
        if self.end % self.size == 0:
            while self.prepare():
                pass
            self.is_erased = False
            self.put_table(self.end // self.size)
        return self.size - self.end % self.size

    @property
    def is_low(self) -> bool:
        """Whether the segment is so full that the next one should be prepared."""
        return -self.end % self.size < self.size // 2

    def prepare(self) -> bool:
        """One step towards an erased segment after the newest; False when there is one."""
        if self.is_erased:
            return False
        number, count = (self.end + self.size - 1) // self.size, self.segments.count
        limit = (number + 1 - count) * self.size
        if self.saved_tail < limit:
            self._make_room(self, limit)
        else:
            self.segments.erase(number % count)
            self.oldest = max(self.oldest, number + 1 - count)
            self.is_erased = True
        return True

    def done(self, records) -> None:
        """These records (positions and lengths) need not be kept."""
        for i in range(0, len(records), 2):
            if records[i] >= self.tail:
                self._done[records[i]] = records[i] + span(records[i + 1])

    def is_done(self, at: int) -> bool:
        return at < self.tail or at in self._done

    def advance(self, limit: int) -> None:
        """Moves the tail over what is done, to `limit` at most."""
        while self.tail < limit:
            after = self._done.pop(self.tail, 0)
            if not after:
                after = self.find(self.tail, limit)
                if after < 0:
                    after = limit
                elif after == self.tail:
                    if self.stream != TABLE:
                        return
                    after += span(self.length)
            self.tail = after

    def drop(self, limit: int) -> None:
        """What lies before `limit` has been told as lost."""
        self._done = {at: after for at, after in self._done.items() if at >= limit}
        self.tail = max(self.tail, limit)


class _Chain:
    """What the cursor knows of one stream."""

    def __init__(self):
        self.boot = self.end = self.part = 0
        self.is_sure = True  # nothing was damaged since its last record
        self.batch = None  # being put together; None: what comes belongs to a batch that is done
        self.is_broken = False  # what comes belongs to a batch that lacks a record
        self.whole = 0  # entries of batch.records up to the end of a part


class Cursor:
    """Walks a log from its tail and puts batches together; `lose(boot, stream, first, count)` is told what is damaged."""

    def __init__(self, log, boot: int, lose):
        self._log = log
        self._boot = boot
        self._lose = lose
        self._from = log.tail
        self._chains = {}
        self._ready = []
        self._knows = False  # a table was read: streams that are not in it had nothing
        self._damaged_at = -1  # what it took is not told yet
        self._ended = -1  # the log's end when it was last there
        self.at = log.tail // log.size * log.size

    @property
    def settled(self) -> int:
        """What lies before this has been looked at, and what is missing there has been told."""
        return self.at if self._damaged_at < 0 else min(self._damaged_at, self.at)

    def next(self):
        """The next batch that is complete, or will never be; None when there is none yet."""
        while not self._ready:
            if not self.step():
                return None
        return self._ready.pop(0)

    def drop(self, limit: int, fall) -> None:
        """Walks on until all batches that begin before `limit` are complete; gives each to `fall`, and goes on without them."""
        while self.at < self._log.end and (self.at <= limit or self._open(limit)):
            self.step()
            self._fall(limit, fall)
        if self.at == self._log.end:
            self._at_end()
        for chain in self._open(limit):
            self._complete(chain)
        self._fall(limit, fall)

    def _fall(self, limit, fall):
        ready, self._ready = self._ready, []
        for batch in ready:
            if batch.records[0] < limit:
                fall(batch)
            else:
                self._ready.append(batch)

    def _open(self, limit):
        return [chain for chain in self._chains.values() if chain.batch and chain.batch.records[0] < limit]

    def step(self) -> bool:
        """Looks at the next record; False at the log's end."""
        log = self._log
        if self._ended == log.end:
            return False
        passed = log.passed
        end = log.end if self.at >= self._from else self._from
        at = log.find(self.at, end)
        if log.passed != passed and self.at >= self._from:
            self._damage()
        if at < 0:
            if end == log.end:
                return self._at_end()
            self.at = end
            return True
        if not self._chains and at // log.size > self.at // log.size:
            self._knows = True  # nothing is left of the first segment: all that came before may have been there
        self.at = at + span(log.length)
        if log.stream == TABLE:
            for entry in log.table(at):
                self._entry(*entry)
            self._knows = True
            self._damaged_at = -1
        else:
            self._record(at, log.stream, log.length)
        return True

    def _entry(self, stream, part, boot, count):
        """Of a table. Where it is not what came before, a boot has ended, or records are missing and the batch is at its end."""
        chain = self._chain(stream)
        if chain.boot != boot or chain.end != count or chain.part != part:
            self._complete(chain)
            chain.is_broken = self._knows
        self._evidence(chain, stream, boot, count)
        chain.part = part

    def _damage(self):
        if self._damaged_at < 0:
            self._damaged_at = self.at
        for chain in self._chains.values():
            chain.is_sure = False

    def _at_end(self):
        log = self._log
        for stream, (boot, count, _) in log.ends.items():
            self._evidence(self._chain(stream), stream, boot, count)
        self.at = self._ended = log.end
        self._damaged_at = -1
        for chain in self._chains.values():
            if chain.batch and chain.boot != self._boot:
                self._complete(chain)
        return bool(self._ready)

    def _chain(self, stream):
        chain = self._chains.get(stream)
        if chain is None:
            chain = self._chains[stream] = _Chain()
            chain.is_sure = not self._knows or self._damaged_at < 0
        return chain

    def _evidence(self, chain, stream, boot, start):
        """All below `start` had been put on flash before this; what is not there was damaged."""
        if not chain.is_sure:
            begin = chain.end if chain.boot == boot else 0
            if start > begin:
                self._lose(boot, stream, begin, start - begin)
            chain.is_sure = True
        if chain.boot != boot or start > chain.end:
            chain.boot, chain.end = boot, start

    def _record(self, at, stream, length):
        log = self._log
        chain = self._chain(stream)
        boot, start, count, part = log.boot, log.start, log.count, log.part
        more, is_last = log.more, log.last  # the search for what is done below looks at other records
        follows = chain.boot == boot and chain.end == start and chain.part == part
        self._evidence(chain, stream, boot, start)
        if not part or not follows:
            self._complete(chain)
            chain.is_broken = part and not log.is_done(at)
            chain.whole = 0
            if not part and not log.is_done(at):
                chain.batch = Waiting(stream, boot, start)
                chain.batch.log = log
        chain.boot, chain.end, chain.part = boot, start + count, part + 1
        if not chain.batch:
            if chain.is_broken:
                self._lose(boot, stream, start, count)
            log.done((at, length))
            return
        batch = chain.batch
        batch.records += [at, length]
        batch.count += count
        if not more:
            chain.whole = len(batch.records)
        if is_last:
            self._complete(chain)

    def _complete(self, chain):
        """Gives the chain's batch as far as it goes; what is left of a part that was cut off has no samples."""
        batch, chain.batch = chain.batch, None
        if batch:
            self._log.done(batch.records[chain.whole :])
            batch.records = batch.records[: chain.whole]
            batch.size = sum([batch.records[i] for i in range(1, chain.whole, 2)])
            if batch.size:
                self._ready.append(batch)
