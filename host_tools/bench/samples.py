"""The samples that all codecs are given, in windows of the length of a batch."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from host_tools.signals.profile import ON_CHANGE, Profile, Signal

EPOCH_MS = 1_700_000_000_000  # UTC of the workload's beginning


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of signal number `index`, `time_ms` after the beginning; `raw` before scaling."""

    index: int
    time_ms: int
    raw: int


@dataclass(frozen=True, slots=True)
class Mark:
    """From `time_ms` on signal number `index` has this quality, a number."""

    index: int
    time_ms: int
    quality: int


@dataclass(frozen=True)
class Window:
    """The samples later than `start_ms` up to `end_ms`, in order of time, and the marks."""

    profile: Profile
    start_ms: int
    end_ms: int
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...] = ()

    def signal(self, sample: Sample) -> Signal:
        """What was sampled."""
        return self.profile.signals[sample.index]

    def due(self) -> Iterator[tuple[int, int]]:
        """Every (index, time_ms) at which the schedule asks for a sample, in order of time."""
        grid_ms = self.profile.grid_ms
        for time_ms in range(self.start_ms // grid_ms * grid_ms + grid_ms, self.end_ms + 1, grid_ms):
            for index, signal in enumerate(self.profile.signals):
                if signal.period_ms > 0 and time_ms % signal.period_ms == 0:
                    yield index, time_ms

    def events(self) -> list[Sample]:
        """The samples of signals that are sampled on change."""
        return [sample for sample in self.samples if self.signal(sample).period_ms == ON_CHANGE]

    def by_signal(self) -> dict[int, list[Sample]]:
        """The samples of each signal."""
        found: dict[int, list[Sample]] = {}
        for sample in self.samples:
            found.setdefault(sample.index, []).append(sample)
        return dict(sorted(found.items()))


def windows(
    profile: Profile, samples: Iterable[Sample], length_ms: int, marks: Iterable[Mark] = ()
) -> list[Window]:
    """`samples` in windows, from time 0 on; windows without any are left out."""
    found, marked = _shared_out(samples, length_ms), _shared_out(marks, length_ms)
    return [
        Window(profile, number * length_ms, (number + 1) * length_ms, tuple(own), tuple(marked.get(number, ())))
        for number, own in found.items()
    ]


_Timed = TypeVar("_Timed", Sample, Mark)


def _shared_out(timed: Iterable[_Timed], length_ms: int) -> dict[int, list[_Timed]]:
    found: dict[int, list[_Timed]] = {}
    for one in sorted(timed, key=lambda one: (one.time_ms, one.index)):
        found.setdefault((one.time_ms - 1) // length_ms, []).append(one)
    return found


def rounded(signal: Signal, raw: int) -> float | int:
    """The physical value with no more decimals than it takes to tell raw values apart: the shortest honest text."""
    digits = max(0, math.ceil(-math.log10(abs(signal.scale))))
    value = round(signal.physical(raw), digits)
    return value if digits else int(value)
