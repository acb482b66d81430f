"""The books on one device: which samples of each boot came, came twice, or will never come, and why."""

from collections import Counter
from dataclasses import dataclass, field

from host_tools.reader.intervals import Intervals


@dataclass(frozen=True)
class Totals:
    """Counts of samples over all boots of one device, or of several added up."""

    received: int = 0  # each once
    duplicates: int = 0  # came again
    missing: int = 0  # neither came nor ledgered, though a later one did
    lost: Counter[str] = field(default_factory=Counter)  # ledgered and did not come, by reason

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.received + other.received,
            self.duplicates + other.duplicates,
            self.missing + other.missing,
            self.lost + other.lost,
        )


class Account:
    """Exact books on the samples of one device; boot and sequence are what a sample is known by."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._received: dict[int, Intervals] = {}
        self._known: dict[int, Intervals] = {}  # received or ledgered
        self._lost: dict[int, dict[str, Intervals]] = {}

    @property
    def boots(self) -> list[int]:
        """The boots of which anything is known, in order."""
        return sorted(self._known)

    def add(self, boot: int, first: int, count: int) -> int:
        """Books `count` samples that came, from sequence `first` on. Returns how many came again."""
        duplicates = count - sum(stop - start for start, stop in self.fresh(boot, first, count))
        self.duplicates += duplicates
        for books in (self._received, self._known):
            books.setdefault(boot, Intervals()).add(first, first + count)
        return duplicates

    def fresh(self, boot: int, first: int, count: int) -> list[tuple[int, int]]:
        """The parts (first, stop) of these samples that have not come before, in order."""
        return self._received.get(boot, Intervals()).absent(first, first + count)

    def ledgered(self, boot: int, first: int, count: int, reason: str) -> None:
        """Books samples that the device says will not come. The first reason given for a sample holds."""
        known = self._known.setdefault(boot, Intervals())
        lost = self._lost.setdefault(boot, {}).setdefault(reason, Intervals())
        for start, stop in known.absent(first, first + count):
            lost.add(start, stop)
        known.add(first, first + count)

    def missing(self, boot: int, first: int | None = None, stop: int | None = None) -> list[tuple[int, int]]:
        """The parts (first, stop) of a boot that neither came nor are ledgered, in order.

        Without bounds: between the lowest and the highest sequence known, as a reader that comes late cannot
        know what was before.
        """
        known = self._known.get(boot, Intervals())
        ends = [end for pair in known for end in pair] or [0]
        return known.absent(ends[0] if first is None else first, ends[-1] if stop is None else stop)

    def lost(self, boot: int) -> Counter[str]:
        """How many samples of a boot are ledgered and did not come, by reason."""
        counts = Counter[str]()
        for reason, sequences in self._lost.get(boot, {}).items():
            parts = (part for first, stop in sequences for part in self.fresh(boot, first, stop - first))
            counts[reason] = sum(stop - first for first, stop in parts)
        return +counts

    def totals(self) -> Totals:
        """The sums over all boots."""
        return Totals(
            sum(received.total() for received in self._received.values()),
            self.duplicates,
            sum(stop - first for boot in self._known for first, stop in self.missing(boot)),
            sum(map(self.lost, self._known), Counter()),
        )
