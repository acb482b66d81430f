"""Samples of signals as columns: what many batches hold, without an object for each sample."""

from array import array
from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeVar

from host_tools.reader.batch import Batch
from host_tools.reader.events import QUALITIES
from host_tools.signals.profile import SOURCES

T = TypeVar("T", int, float)


class Column(Protocol[T]):
    """Numbers: an `array`, or one of numpy's."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: slice, /) -> "Column[T]": ...
    def tolist(self) -> list[T]: ...


class Columns(NamedTuple):
    """A row is a sample; rows are in the order of the batches, in each in the order of their sequence."""

    batch: Column[int]  # which of the batches given
    sequence: Column[int]
    signal: Column[int]  # its index in the profile of its batch
    raw: Column[int]  # before scaling; of 64 unsigned bits their two's complement
    value: Column[float]  # physical
    time_ms: Column[int]  # since boot
    quality: Column[int]  # index in QUALITIES
    source: Column[int]  # index in SOURCES


def columns(batches: Iterable[tuple[int, Batch]]) -> Columns:
    """The samples of batches, each with its number."""
    batch, sequence, signal, raw, time_ms = (array("q") for _ in range(5))
    value, quality, source = array("d"), array("B"), array("B")
    for number, decoded in batches:
        samples = decoded.samples
        batch.extend([number] * len(samples))
        sequence.extend([sample.sequence for sample in samples])
        signal.extend([sample.index for sample in samples])
        raw.extend([(sample.raw + (1 << 63)) % (1 << 64) - (1 << 63) for sample in samples])
        value.extend([sample.value for sample in samples])
        time_ms.extend([sample.time_ms for sample in samples])
        quality.extend([QUALITIES.index(sample.quality) for sample in samples])
        source.extend([SOURCES.index(sample.source) for sample in samples])
    return Columns(batch, sequence, signal, raw, value, time_ms, quality, source)
