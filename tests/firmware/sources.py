"""Made-up streams for the store's tests: parts that say what they are, sets of samples as bit masks, and what a reader finds."""

import struct

_PART = "<BBIIIH"  # mark, stream, boot, first, count, bytes that follow
_SIZE = struct.calcsize(_PART)
_MARK = 0x5A


def part(boot, stream, first, count, size):
    """A part of `size` bytes or a little more, of the samples from `first` on."""
    fill = max(0, size - _SIZE)
    return struct.pack(_PART, _MARK, stream, boot, first, count, fill) + bytes([(first + i * 7) & 0xFF for i in range(fill)])


def parts(payload):
    """(boot, stream, first, count) of every part; AssertionError where a byte is not as it was made."""
    at, found = 0, []
    while at < len(payload):
        mark, stream, boot, first, count, fill = struct.unpack_from(_PART, payload, at)
        assert mark == _MARK, "no part at %d of %d" % (at, len(payload))
        assert payload[at : at + _SIZE + fill] == part(boot, stream, first, count, _SIZE + fill), "a part that is damaged"
        found.append((boot, stream, first, count))
        at += _SIZE + fill
    assert at == len(payload)
    return found


class Samples:
    """Sets of samples: for each (boot, stream) a bit mask of the numbers."""

    def __init__(self):
        self.masks = {}

    def add(self, boot, stream, first, count):
        key = boot, stream
        self.masks[key] = self.masks.get(key, 0) | ((1 << count) - 1) << first

    def has(self, boot, stream, first, count):
        mask = ((1 << count) - 1) << first
        return self.masks.get((boot, stream), 0) & mask == mask

    def without(self, *others):
        """{(boot, stream): mask} of what is in none of the others; empty ones left out."""
        found = {}
        for key, mask in self.masks.items():
            for other in others:
                mask &= ~other.masks.get(key, 0)
            if mask:
                found[key] = mask
        return found

    def within(self, other):
        found = {}
        for key, mask in self.masks.items():
            if mask & other.masks.get(key, 0):
                found[key] = mask & other.masks[key]
        return found


def spans(found):
    """Masks as text: the numbers, in ranges."""
    told = []
    for key, mask in found.items():
        first = 0
        while mask:
            while not mask & 1:
                mask >>= 1
                first += 1
            count = 0
            while mask & 1:
                mask >>= 1
                count += 1
            told.append("%s %d..%d" % (key, first, first + count - 1))
            first += count
    return ", ".join(told)


def drained(outbox, acknowledge=False):
    """All that the outbox has to send, as (batches: list of [(boot, stream, first, count)], samples)."""
    batches, samples = [], Samples()
    while batch := outbox.next():
        payload = b"".join([bytes(piece) for piece in batch.chunks()])
        assert len(payload) == batch.size, "another size than was said"
        found = parts(payload)
        assert found[0][:3] == (batch.boot, batch.stream, batch.first), "another batch than was said"
        assert sum([count for _, _, _, count in found]) == batch.count, "another count than was said"
        at = batch.first
        for boot, stream, first, count in found:
            assert (boot, stream, first) == (batch.boot, batch.stream, at), "not the part that follows"
            samples.add(boot, stream, first, count)
            at += count
        batches.append(found)
        if acknowledge:
            outbox.acknowledge(batch)
    return batches, samples


def ledgered(ledger):
    """{reason: Samples} of all ranges, which stay in the ledger."""
    found = {}
    kept, changed = bytearray(ledger.ranges), ledger.changed
    while told := ledger.peek():
        boot, stream, first, count, reason = told
        found.setdefault(reason, Samples()).add(boot, stream, first, count)
        ledger.acknowledge(told)
    ledger.ranges, ledger.changed = kept, changed
    return found


class Source:
    """One stream of one boot: takes samples, hands them to the outbox as the sampler and its batch do."""

    def __init__(self, outbox, boot, stream):
        self.outbox = outbox
        self.boot = boot
        self.stream = stream
        self.first = 0
        self.count = 0
        self._told = 0
        self._opened_ms = 0
        self._whole = b""

    def take(self, count, now_ms):
        self.outbox.reserve(self.stream, self.first + self.count + count)
        if not self.count:
            self._opened_ms = now_ms
        self.count += count

    def _part(self, size):
        made = part(self.boot, self.stream, self.first + self._told, self.count - self._told, size)
        self._told = self.count
        self._whole += made
        return made

    def checkpoint(self, size, is_last=False):
        if self.count > self._told or is_last:
            self.outbox.checkpoint(self.stream, self._part(size), self.boot, self.first, self.count, is_last)

    def close(self, size):
        """Closes the batch: the rest as a part if there have been parts."""
        if not self.count:
            return
        if self._whole:
            self.checkpoint(size, True)
        else:
            self._part(size)
        first, count, whole = self.first, self.count, self._whole
        self.first += count
        self.count = self._told = 0
        self._whole = b""
        self.outbox.append(self.stream, whole, self.boot, first, count, self._opened_ms)


def long(source, checkpoints, count=5, size=40):
    """An open batch: that many parts of `count` samples and `size` bytes."""
    for _ in range(checkpoints):
        source.take(count, 0)
        source.checkpoint(size)
