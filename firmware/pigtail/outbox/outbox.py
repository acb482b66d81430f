"""The outbox: what was sampled waits here until the reader has it, in RAM and on flash, through power cuts.

One log on flash for each priority class, a RAM ring of closed batches before them, the ledger of what is lost, and the journal
with what must be known after a power cut. Bytes, orders and bounds: SPEC, "The outbox on flash".
"""

import struct
from micropython import const
from pigtail import once
from pigtail.outbox.ledger import Ledger
from pigtail.outbox.log import Cursor
from pigtail.outbox.ring import Ring
from pigtail.outbox.waiting import Waiting

RESERVED = 4096  # numbers that a record on flash reserves behind its own
_TIMES = const(16)  # as many are reserved by the journal, where those did not last
CLASSES = const(3)  # alert, diagnostic, telemetry
_SECTORS_MS = const(1500)
_FILES_MS = const(9000)
_LONGEST_MS = const(60000)
_CLOSED_MS = const(7000)  # in files: what is acknowledged before the bound is over is never written
_SAVE_MS = const(120000)
HEADER = "<BBHHHIIIIIIIB"  # version, clean, segments of each log, boot, tail of each log (number, offset), streams
STREAM = "<BIII"  # id, on flash, accounted for, reserved
VERSION = const(1)


class _Stream:
    """How far a stream has come in this boot; counts of samples."""

    def __init__(self):
        self.on_flash = 0
        self.settled = 0  # all before are on flash, acknowledged or in the ledger
        self.reserved = 0
        self.batch = None  # being written to flash while it is open


class Outbox:
    """`device`: a block device of the outbox's own; without one, `files` files below `folder`. `segments`: those of the classes
    alert and diagnostic; telemetry has the rest. `thin`: of each class, when its flash is full, every n-th new batch is kept. The
    boot is `boot` afterwards, or higher: flash that knows of later ones than were counted has lost their count."""

    def __init__(
        self, boot: int, streams, device=None, ram: int = 4096, segments=(4, 8), files: int = 64, thin=(1, 1, 1), folder="/outbox"
    ):  # fmt: skip
        self.boot = boot
        self._thin = thin
        self._refused = [0] * CLASSES
        self._streams = {}
        self._clean = False
        self._saved_ms = 0
        self.errors = 0
        self._on_files = not device
        self.bound_ms = _SECTORS_MS if device else _FILES_MS  # nothing may be in RAM only for longer
        self.batch_ms = _LONGEST_MS if device else _CLOSED_MS  # no batch may be open for longer
        self._ring = Ring(ram, self._leave)
        self.ledger = Ledger()
        self.logs = []
        self.layout = ()
        self.journal = once.call("pigtail.outbox.mounting", "mount", self, streams, device, segments, files, folder)
        self.save()

    def stream(self, stream: int):
        """What is known of a stream in this boot."""
        if stream not in self._streams:
            self._streams[stream] = _Stream()
        return self._streams[stream]

    def reserve(self, stream: int, end: int) -> None:
        """Call before numbers up to `end - 1` are given to samples."""
        state = self.stream(stream)
        if end > state.reserved or self._clean:
            state.reserved = max(state.reserved, end + _TIMES * RESERVED if end > RESERVED else RESERVED)
            self.save()

    def checkpoint(self, stream: int, part, boot: int, first: int, count: int, is_last: bool = False) -> None:
        """Puts on flash what the open batch that begins with sample `first` has coded since the part before. It has `count`
        samples now. With its last part it is closed: then give the whole of it to `append` as well."""
        state = self.stream(stream)
        batch = state.batch
        if batch is None or batch.first != first or batch.boot != boot:
            self._flush_older(stream)
            batch = state.batch = Waiting(stream, boot, first)
            batch.is_refused = self._refuses(stream)
        if not (batch.is_refused or batch.is_failed) and not self._write(batch, part, count, is_last):
            batch.is_failed = True  # what is there stays; the whole of it is tried again when it is closed

    def append(self, stream: int, payload, boot: int, first: int, count: int, opened_ms: int) -> None:
        """Takes a closed batch: samples `first` to `first + count - 1`, the oldest of which is of `opened_ms` (uptime)."""
        state = self.stream(stream)
        batch, state.batch = state.batch, None
        if batch is None or batch.first != first or batch.boot != boot or batch.is_failed:
            batch = Waiting(stream, boot, first)
        elif batch.is_refused and not batch.records:
            return self._lose(boot, stream, first, count, "flash_full")
        batch.opened_ms = opened_ms
        batch.count = count
        batch.size = len(payload)
        if self._ring.put(batch, payload):
            batch.ring = self._ring
            if stream & 3 == 0:
                self._flush(batch, payload)  # alerts wait for nothing
        elif not batch.records:
            self._flush_older(stream)
            if not self._flush(batch, payload):
                self._lose(boot, stream, first, count, "flash_full")

    def _flush_older(self, stream):
        """Numbers reach flash in their order."""
        for batch in list(self._ring.batches):
            if batch.stream == stream:
                self._leave(batch)

    def _leave(self, batch):
        """Puts a batch of the RAM ring on flash; where it cannot be, into the ledger."""
        if not self._flush(batch, self._ring.payload(batch)):
            self._give_up(batch)

    def _give_up(self, batch):
        batch.is_refused = True
        self._ring.remove(batch)
        self._lose(batch.boot, batch.stream, batch.first, batch.count, "flash_full")

    def _flush(self, batch, payload) -> bool:
        """Whether a closed batch is on flash now, or one of those that are not kept."""
        if batch.records or batch.is_refused:
            return True
        if self._refuses(batch.stream):
            self._give_up(batch)
            return True
        count, batch.count = batch.count, 0
        done = self._write(batch, payload, count, True)
        batch.count = count
        if not done:
            batch.records = []
        return done

    def _flush_together(self, batches):
        """In files: with one flush of each log, since each costs a block; where that fails, with one of each batch."""
        for log in self.logs:
            log.segments.holds = True
        for batch in batches:
            self._flush(batch, self._ring.payload(batch))
        for log in self.logs:
            if not log.segments.release():
                for batch in batches:
                    if batch.log is log and batch.records:
                        batch.records = []
                        self._flush(batch, self._ring.payload(batch))

    def _refuses(self, stream):
        """Whether a new batch is one of those that are not kept while flash is full."""
        c = stream & 3
        if not self.logs[c].is_full:
            self._refused[c] = 0
            return False
        self._refused[c] += 1
        return self._refused[c] % self._thin[c] != 0

    def _write(self, batch, payload, count, is_last):
        """Whether the flash took it; its samples then reserve the numbers behind them."""
        batch.log = log = self.logs[batch.stream & 3]
        if self.ledger.changed > 1:
            self.save()  # before numbers behind a gap are on flash
        try:
            log.append(batch, memoryview(payload), count, is_last)
        except OSError:
            self.errors += 1
            return False
        if batch.is_refused:
            return True
        state = self.stream(batch.stream)
        state.on_flash = max(state.on_flash, batch.first + count)
        state.settled = max(state.settled, state.on_flash)
        state.reserved = max(state.reserved, state.on_flash + RESERVED)
        return True

    def make_room(self, log, limit):
        """Tells the ledger and the journal that what lies before `limit` in the log is to be erased."""
        if log.tail < limit:
            self._drop(log, limit)
        self.save()

    def _drop(self, log, limit):
        def fall(batch):
            records = batch.records
            self._lose(batch.boot, batch.stream, batch.first, batch.count, "flash_full")
            self._forget(log, records[0])
            for i in range(0, len(records), 2):
                if records[i] >= limit:
                    log.done(records[i : i + 2])
            log.is_full = True

        cursor = Cursor(log, self.boot, self._damaged)
        cursor.drop(limit, fall)
        log.drop(limit)
        i = self.logs.index(log)
        if self._cursors[i].at < limit:
            self._cursors[i] = cursor
        log.advance(self._cursors[i].settled)

    def _forget(self, log, at):
        """The batch that begins at `at` is on flash no longer."""
        for batch in self._ring.batches + [state.batch for state in self._streams.values() if state.batch]:
            if batch.log is log and batch.records and batch.records[0] == at:
                batch.is_refused = True
                batch.records = []

    def _lose(self, boot, stream, first, count, reason):
        self.ledger.add(boot, stream, first, count, reason)
        self._settle(boot, stream, first, count)

    def _damaged(self, boot, stream, first, count):
        self.ledger.add(boot, stream, first, count, "corrupt")

    def _settle(self, boot, stream, first, count):
        state = self._streams.get(stream)
        if state and boot == self.boot and first <= state.settled:
            state.settled = max(state.settled, first + count)

    def next(self):
        """The batch to send next: alerts before diagnostics before telemetry, then the oldest. None when all are under way."""
        for i, cursor in enumerate(self._cursors):
            while batch := cursor.next():
                batch = self._in_ram(batch) or batch
                if batch.records[0] >= batch.log.tail and not batch.is_given:
                    return self._given(batch)
            for batch in self._ring.batches:
                if batch.stream & 3 == i and not batch.records and not batch.is_given:
                    return self._given(batch)
        return None

    def _given(self, batch):
        batch.is_given = True
        if batch.records:
            log, begin = batch.log, batch.records[0]
            batch.was_given = batch.was_given or begin <= log.given_before
            log.given = max(log.given, begin)
        return batch

    def _in_ram(self, stored):
        for batch in self._ring.batches:
            if batch.log is stored.log and batch.records and batch.records[0] == stored.records[0]:
                return batch
        return None

    def rewind(self) -> None:
        """A new session: what was under way is given again."""
        self._cursors = [Cursor(log, self.boot, self._damaged) for log in self.logs]
        for log in self.logs:
            log.given_before = log.given
        for batch in self._ring.batches:
            batch.was_given = batch.was_given or batch.is_given
            batch.is_given = False

    def acknowledge(self, batch) -> None:
        """The reader has it."""
        self._ring.remove(batch)
        self._settle(batch.boot, batch.stream, batch.first, batch.count)
        if batch.records:
            log = batch.log
            log.done(batch.records)
            log.is_full = False
            log.advance(self._cursors[self.logs.index(log)].settled)

    def tidy(self, now_ms: int) -> None:
        """Twice a second at least: flushes what has waited long enough, makes room on flash, a step at a time."""
        new = [batch for batch in self._ring.batches if not (batch.records or batch.is_refused)]
        due = [batch for batch in new if now_ms - batch.opened_ms >= self.bound_ms]
        if due and self._on_files:
            self._flush_together(new)
        else:
            for batch in due:
                self._flush(batch, self._ring.payload(batch))
        for i, log in enumerate(self.logs):
            log.advance(self._cursors[i].settled)
            if log.is_low and log.prepare():
                return
        if now_ms - self._saved_ms >= _SAVE_MS:
            self._saved_ms = now_ms
            if self.ledger.changed or any([log.saved_tail != log.tail for log in self.logs]):
                self.save()

    def flush_all(self) -> None:
        """Before the power goes, when all open batches are closed: nothing is lost. The next `reserve` takes this back."""
        for batch in list(self._ring.batches):
            self._leave(batch)
        self.save(True)

    @property
    def bytes(self) -> int:
        """What waits: bytes of flash between tail and end, and what is in RAM only."""
        ram = sum([batch.size for batch in self._ring.batches if not batch.records])
        return ram + sum([log.end - log.tail for log in self.logs])

    @property
    def dropped_samples(self) -> int:
        return self.ledger.samples

    def save(self, clean=False):
        """A snapshot of all that must be known after a power cut."""
        for log in self.logs:
            log.saved_tail = log.tail
            if self._on_files:
                log.segments.flush()  # what is said to be on flash is there
        numbers = [number for log in self.logs for number in divmod(log.tail, log.size)]
        head = struct.pack(HEADER, VERSION, clean, *self.layout, self.boot, *numbers, len(self._streams))
        streams = [
            struct.pack(STREAM, s, state.on_flash, state.settled, state.reserved) for s, state in self._streams.items()
        ]  # fmt: skip
        try:
            self.journal.write(b"".join([head] + streams + [self.ledger.ranges]))
        except OSError:
            self.errors += 1
            return
        self._clean = clean
        self.ledger.changed = 0
