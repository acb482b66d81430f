"""The books on one device: which samples of each boot and stream came, came twice, or will never come, and why."""

from collections import Counter
from dataclasses import dataclass, field

from host_tools.reader.intervals import Intervals

_Key = tuple[int, int]  # boot, stream


@dataclass(frozen=True)
class Totals:
    """Counts of samples over all boots and streams of one device, or of several added up."""

    received: int = 0  # each once
    duplicates: int = 0  # came again
    missing: int = 0  # neither came nor ledgered, though a later one did
    lost: Counter[str] = field(default_factory=Counter)  # ledgered and did not come, by reason
    frames_lost: int = 0  # of the bus, at the controller: no samples

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(
            self.received + other.received,
            self.duplicates + other.duplicates,
            self.missing + other.missing,
            self.lost + other.lost,
            self.frames_lost + other.frames_lost,
        )

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.lost.items()))
        lost = f"{self.lost.total()} lost" + (f" ({reasons})" if reasons else "")
        frames = f", {self.frames_lost} frames lost" if self.frames_lost else ""
        return f"{self.received} samples, {self.duplicates} duplicates, {lost}, {self.missing} missing{frames}"


class Account:
    """Exact books on the samples of one device; boot, stream (its id) and sequence are what a sample is known by."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._received: dict[_Key, Intervals] = {}
        self._known: dict[_Key, Intervals] = {}  # received or ledgered
        self._lost: dict[_Key, dict[str, Intervals]] = {}
        self._frames: dict[_Key, tuple[int, int]] = {}  # by boot and from_ms: to_ms, how many

    @property
    def boots(self) -> list[int]:
        """The boots of which anything is known, in order."""
        return sorted({boot for boot, _ in self._known})

    @property
    def streams(self) -> list[tuple[int, int]]:
        """The (boot, stream) of which anything is known, in order."""
        return sorted(self._known)

    def add(self, boot: int, stream: int, first: int, count: int) -> int:
        """Books `count` samples that came, from sequence `first` on. Returns how many came again."""
        duplicates = count - sum(stop - start for start, stop in self.fresh(boot, stream, first, count))
        self.duplicates += duplicates
        for books in (self._received, self._known):
            books.setdefault((boot, stream), Intervals()).add(first, first + count)
        return duplicates

    def fresh(self, boot: int, stream: int, first: int, count: int) -> list[tuple[int, int]]:
        """The parts (first, stop) of these samples that have not come before, in order."""
        return self._received.get((boot, stream), Intervals()).absent(first, first + count)

    def ledgered(self, boot: int, stream: int, first: int, count: int, reason: str) -> None:
        """Books samples that the device says will not come. The first reason given for a sample holds."""
        known = self._known.setdefault((boot, stream), Intervals())
        lost = self._lost.setdefault((boot, stream), {}).setdefault(reason, Intervals())
        for start, stop in known.absent(first, first + count):
            lost.add(start, stop)
        known.add(first, first + count)

    def frames_lost(self, boot: int, from_ms: int, to_ms: int, frames: int) -> None:
        """Books frames that the controller lost between two uptimes. What is told again is known by boot and `from_ms`; it may
        have grown."""
        self._frames[boot, from_ms] = max(self._frames.get((boot, from_ms), (0, 0)), (to_ms, frames))

    @property
    def lost_frames(self) -> list[tuple[int, int, int, int]]:
        """What the device says of lost frames: (boot, from_ms, to_ms, frames), in order."""
        return [(*key, *told) for key, told in sorted(self._frames.items())]

    def missing(self, boot: int, stream: int, first: int | None = None, stop: int | None = None) -> list[tuple[int, int]]:
        """The parts (first, stop) of a boot's stream that neither came nor are ledgered, in order.

        Without bounds: between the lowest and the highest sequence known, as a reader that comes late cannot
        know what was before.
        """
        known = self._known.get((boot, stream), Intervals())
        ends = [end for pair in known for end in pair] or [0]
        return known.absent(ends[0] if first is None else first, ends[-1] if stop is None else stop)

    def lost(self, boot: int, stream: int) -> Counter[str]:
        """How many samples of a boot's stream are ledgered and did not come, by reason."""
        counts = Counter[str]()
        for reason, sequences in self._lost.get((boot, stream), {}).items():
            parts = (part for first, stop in sequences for part in self.fresh(boot, stream, first, stop - first))
            counts[reason] = sum(stop - first for first, stop in parts)
        return +counts

    def totals(self) -> Totals:
        """The sums over all boots and streams."""
        return Totals(
            sum(received.total() for received in self._received.values()),
            self.duplicates,
            sum(stop - first for key in self._known for first, stop in self.missing(*key)),
            sum((self.lost(*key) for key in self._known), Counter()),
            sum(frames for _, frames in self._frames.values()),
        )
