"""The batch codec, reading side: bytes of a `telemetry` message to samples (firmware/SPEC.md, section 2).

A payload is what some broker handed over, so it may be cut, changed or forged: what is no batch raises
InputError, in time and memory that its bytes bound, and there is no half-decoded batch.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from host_tools.errors import InputError
from host_tools.reader.events import QUALITIES, Content, Mark, Told, events
from host_tools.reader.header import CLOCKS, Header, read_parts
from host_tools.reader.periodic import Value, periodic
from host_tools.signals.descriptor import WORD
from host_tools.signals.layout import Field
from host_tools.signals.profile import PRIORITIES, Profile
from host_tools.signals.signal import WORD_BITS

YEAR_10000_MS = 253_402_300_800_000  # UTC; later times cannot be written in ISO 8601


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one signal. (device, boot, stream, sequence) is its identity for ever."""

    sequence: int
    index: int  # of the signal in the profile
    name: str
    raw: int  # before scaling, signed or unsigned as the signal is; of a float its bits
    value: float  # physical: raw * scale + offset, in `unit`
    label: str | None  # the name of this raw value, where the profile has one
    unit: str
    time_ms: int  # since boot
    utc: float | None  # seconds since 1970; None while the device's clock is not set
    source: str  # one of signal.SOURCES
    quality: str  # one of QUALITIES
    numbers: int = 1  # how many numbers of the sequence it takes: 2 for a signal of more than 32 bits
    stream: int = 0  # id
    purpose: str = ""
    priority: str = PRIORITIES[-1]  # one of PRIORITIES
    clock: str = CLOCKS[0]  # one of CLOCKS: what `utc` rests on; or HOST


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A sample that is no signal's: a text by its VSS path, an `alert`, a `dtc`, a `position`. Its identity is as `Sample`'s.

    `value`: the text; of an alert `code` and `text`; of a DTC `ecu`, `code` ("P0171-00") and `status`; of a position
    `latitude` and `longitude` in degrees, `altitude` and `accuracy` in metres.
    """

    sequence: int
    name: str
    value: Content
    time_ms: int  # since boot
    utc: float | None  # seconds since 1970; None while the device's clock is not set
    stream: int
    purpose: str
    priority: str
    clock: str  # one of CLOCKS: what `utc` rests on
    numbers: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch: the samples of signals and the others, each in the order of their sequence, and the marks."""

    header: Header
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]
    occurrences: tuple[Occurrence, ...] = ()

    @property
    def records(self) -> list[Sample | Occurrence]:
        """Samples and occurrences, in the order of their sequence."""
        return sorted((*self.samples, *self.occurrences), key=lambda record: record.sequence)


def decode(payload: bytes, profile: Profile) -> Batch:
    """A whole batch, read with the profile that its header names. Raises InputError for what is no batch."""
    header, coded = read_parts(payload)
    if header.purpose >= len(profile.purposes):
        raise InputError(f"batch: of purpose {header.purpose}; its profile has {len(profile.purposes)}")
    sampled = list(periodic(header, coded, profile))
    records = list(events(header, coded, profile))
    marks = tuple(record for record in records if isinstance(record, Mark))
    found = len(sampled) + len(records) - len(marks)
    if found != header.count:
        raise InputError(f"batch: {header.count} samples announced, {found} found; it was cut or forged")
    reader = _Reader(header, profile)
    samples = tuple(reader.records([*_marked(sampled, marks), *_in_order(records)]))
    return Batch(
        header,
        tuple(sample for sample in samples if isinstance(sample, Sample)),
        tuple(replace(mark, index=profile.fields[mark.index].number) for mark in marks),
        tuple(sample for sample in samples if isinstance(sample, Occurrence)),
    )


_Coded = tuple[Value | Told, Mark | None]  # with the mark in force; none before the first: valid, of its descriptor's source


def _in_order(records: Iterable[Value | Mark | Told]) -> Iterator[_Coded]:
    """The events with the mark in force at each: the last one of its signal before it."""
    current: dict[int, Mark] = {}
    for record in records:
        if isinstance(record, Mark):
            current[record.index] = record
        else:
            yield record, current.get(record.index) if isinstance(record, Value) else None


def _marked(sampled: Iterable[Value], marks: Iterable[Mark]) -> Iterator[_Coded]:
    """The periodic samples with the mark in force at the time of each."""
    by_signal: dict[int, list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.time_ms):
        by_signal.setdefault(mark.index, []).append(mark)
    for value in sampled:
        known = by_signal.get(value.index)
        after = bisect_right(known, value.time_ms, key=lambda mark: mark.time_ms) if known else 0
        yield value, known[after - 1] if known and after else None


class _Reader:
    """Turns what is coded in one batch into samples."""

    def __init__(self, header: Header, profile: Profile) -> None:
        self._header = header
        self._fields = profile.fields
        self._of = (header.stream, profile.purposes[header.purpose], PRIORITIES[header.priority], header.clock)

    def records(self, coded: Sequence[_Coded]) -> Iterator[Sample | Occurrence]:
        """The samples; two halves that follow each other make one."""
        position = 0
        while position < len(coded):
            value, mark = coded[position]
            sequence = self._header.first + position
            position += 1
            if isinstance(value, Told):
                utc = self._utc(sequence, value.time_ms)
                yield Occurrence(sequence, value.name, value.content, value.time_ms, utc, *self._of)
                continue
            field, bits, numbers = self._fields[value.index], value.bits, 1
            if field.signal.is_wide:
                high = coded[position][0] if position < len(coded) else value
                bits, numbers = _joined(field, value, high), 2
                position += 1
            yield self._sample(sequence, field, (value.time_ms, bits, numbers), mark)

    def _sample(self, sequence: int, field: Field, coded: tuple[int, int, int], mark: Mark | None) -> Sample:
        (time_ms, bits, numbers), signal = coded, field.signal
        raw = _in_range(field, signal.number(bits), bits)
        utc = self._utc(sequence, time_ms)
        source, quality = (mark.source, mark.quality) if mark else (signal.source, QUALITIES[0])
        return Sample(
            sequence, field.number, signal.name, raw, signal.physical(raw), signal.labels.get(raw), signal.unit,
            time_ms, utc, source, quality, numbers, *self._of,
        )  # fmt: skip

    def _utc(self, sequence: int, time_ms: int) -> float | None:
        if self._header.boot_utc_ms is None:
            return None
        utc_ms = self._header.boot_utc_ms + time_ms
        if utc_ms >= YEAR_10000_MS:
            raise InputError(f"batch: sample {sequence} lies beyond the year 9999; it was forged")
        return utc_ms / 1000


def _joined(field: Field, low: Value, high: Value | Told) -> int:
    """The bits of a signal of more than 32."""
    if not isinstance(high, Value) or field.is_high or (high.index, high.time_ms) != (low.index + 1, low.time_ms):
        raise InputError(f"batch: half of a value of {field.signal.name!r}; it was forged")
    return high.bits << WORD_BITS | low.bits & WORD


def _in_range(field: Field, raw: int, bits: int) -> int:
    """`raw` if its bits can hold it. What a near-lossless signal is beyond them, by its greatest error at most, is cut off."""
    signal = field.signal
    is_signed = signal.is_signed and not signal.is_float
    least = -(1 << signal.length - 1) if is_signed else 0
    greatest = least + (1 << signal.length) - 1
    if signal.quantum and least - signal.quantum <= bits <= greatest + signal.quantum:
        return max(least, min(greatest, bits))
    if not least <= raw <= greatest:
        raise InputError(f"batch: {raw} is beyond the {signal.length} bits of {signal.name!r}; it was forged")
    return raw
