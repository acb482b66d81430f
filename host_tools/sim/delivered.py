"""What the subscriber was handed: counted here once more, apart from the reader's own books, and kept for views."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from host_tools.reader import BatchEvent, Gap, Sample
from host_tools.reader.intervals import Intervals

Stream = tuple[int, int]  # boot and stream id: samples are numbered from 0 in each


@dataclass(frozen=True)
class Balance:
    """One stream of one boot: each sample taken is delivered, or lost for a reason that the ledger tells, or lost after
    the broker had acknowledged it, or missing."""

    taken: int
    delivered: int
    lost: list[tuple[int, int, str]] = field(default_factory=list)  # (first, stop, reason)
    missing: int = 0
    never_taken: int = 0  # and delivered all the same
    after_ack: list[tuple[int, int]] = field(default_factory=list)  # (first, stop)

    def by_reason(self) -> Counter[str]:
        """How many samples are lost, by reason."""
        counts = Counter[str]()
        for first, stop, reason in self.lost:
            counts[reason] += stop - first
        return counts

    def lost_after_ack(self) -> int:
        """How many samples the broker acknowledged and did not hand on."""
        return sum(stop - first for first, stop in self.after_ack)


class Delivered:
    """`on_sample(boot, sample)` is called for every sample handed on."""

    def __init__(self) -> None:
        self.samples = 0
        self.duplicates = 0
        self.bytes = 0  # of batches
        self.latest: dict[str, Sample] = {}
        self.on_sample: Callable[[int, Sample], None] | None = None
        self.spans: dict[int, tuple[int, int]] = {}  # boot: uptime of its first and last sample, ms
        self._came: defaultdict[Stream, Intervals] = defaultdict(Intervals)
        self._told: defaultdict[Stream, list[tuple[int, int, str]]] = defaultdict(list)

    @property
    def boots(self) -> list[int]:
        """The boots of which a sample came, in order."""
        return sorted(self.spans)

    @property
    def streams(self) -> set[Stream]:
        """The streams of which anything came."""
        return set(self._came)

    def take(self, event: BatchEvent) -> None:
        """Books what a batch brought."""
        self.bytes += event.size
        header = event.batch.header
        came = self._came[header.boot, header.stream]
        for record in event.batch.records:
            fresh = sum(stop - first for first, stop in came.absent(record.sequence, record.sequence + record.numbers))
            came.add(record.sequence, record.sequence + record.numbers)
            self.samples += fresh
            self.duplicates += record.numbers - fresh
        for sample in event.batch.samples:
            self.latest[sample.name] = sample
            first, last = self.spans.get(header.boot, (sample.time_ms, sample.time_ms))
            self.spans[header.boot] = min(first, sample.time_ms), max(last, sample.time_ms)
            if self.on_sample:
                self.on_sample(header.boot, sample)

    def told(self, gap: Gap) -> None:
        """Books an entry of the device's ledger."""
        self._told[gap.boot, gap.stream].append((gap.first, gap.first + gap.count, gap.reason))

    def balance(self, stream: Stream, taken: int, acknowledged: Iterable[tuple[int, int]] = ()) -> Balance:
        """What became of the `taken` samples of a stream. The first reason told for a sample holds. `acknowledged`: the samples
        (first, stop) of which the broker said that it had them."""
        came = self._came.get(stream, Intervals())
        known = Intervals()
        for first, stop in came:
            known.add(first, min(stop, taken))
        delivered = known.total()
        lost = []
        for begin, end, reason in self._told.get(stream, ()):
            for first, stop in known.absent(begin, min(end, taken)):
                lost.append((first, stop, reason))
                known.add(first, stop)
        after_ack = []
        for begin, end in acknowledged:
            for first, stop in known.absent(begin, min(end, taken)):
                after_ack.append((first, stop))
                known.add(first, stop)
        return Balance(taken, delivered, lost, taken - known.total(), came.total() - delivered, after_ack)
