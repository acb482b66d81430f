"""What the subscriber was handed: counted here once more, apart from the reader's own books, and kept for views."""

from collections.abc import Callable, Iterator

from host_tools.reader import Account, BatchEvent, Sample


class Delivered:
    """`on_sample(boot, sample)` is called for every sample handed on."""

    def __init__(self) -> None:
        self.account = Account()
        self.latest: dict[str, Sample] = {}
        self.bytes = 0  # of batches
        self.on_sample: Callable[[int, Sample], None] | None = None
        self.spans: dict[int, tuple[int, int]] = {}  # boot: uptime of its first and last sample, ms

    def take(self, event: BatchEvent) -> None:
        """Books what a batch brought."""
        self.bytes += event.size
        boot = event.batch.header.boot
        numbers = [sample.sequence + n for sample in event.batch.samples for n in range(sample.numbers)]
        for first, count in _runs(numbers):
            self.account.add(boot, first, count)
        for sample in event.batch.samples:
            self.latest[sample.name] = sample
            first, last = self.spans.get(boot, (sample.time_ms, sample.time_ms))
            self.spans[boot] = min(first, sample.time_ms), max(last, sample.time_ms)
            if self.on_sample:
                self.on_sample(boot, sample)


def _runs(sequences: list[int]) -> Iterator[tuple[int, int]]:
    """(first, count) of each unbroken run in ascending numbers."""
    start = 0
    for i in range(1, len(sequences) + 1):
        if i == len(sequences) or sequences[i] != sequences[i - 1] + 1:
            yield sequences[start], i - start
            start = i
