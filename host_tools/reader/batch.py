"""The batch codec, reading side: bytes of a `telemetry` message to samples (firmware/SPEC.md, section 2).

A payload is what some broker handed over, so it may be cut, changed or forged: what is no batch raises
InputError, in time and memory that its bytes bound, and there is no half-decoded batch.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from host_tools.errors import InputError
from host_tools.reader.cursor import Cursor
from host_tools.reader.sections import QUALITIES, SOURCES, Mark, Value, events, periodic
from host_tools.signals.descriptor import WORD
from host_tools.signals.layout import Field
from host_tools.signals.profile import Profile
from host_tools.signals.signal import WORD_BITS

FORMAT_VERSION = 1
CLOCKS = ("none", "rtc", "ntp", "gnss")
YEAR_10000_MS = 253_402_300_800_000  # UTC; later times cannot be written in ISO 8601


@dataclass(frozen=True, slots=True)
class Header:
    """What a batch says of itself; readable without its profile."""

    profile_hash: int  # CRC-32 of the packed profile
    clock: str  # one of CLOCKS: what the device's UTC rests on
    priority: int  # 0-3
    purpose: int  # 0-15
    configuration: int
    consent: int
    boot: int  # from 1
    first: int  # sequence of the first sample in this boot, from 0
    count: int  # samples
    start: int  # grid tick of the first periodic sample
    first_signal: int  # index of the signal at which that tick begins
    boot_utc_ms: int | None  # UTC of boot in ms since 1970; None while the clock is not set


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one signal. (device, boot, sequence) is its identity for ever."""

    sequence: int
    index: int  # of the signal in the profile
    name: str
    raw: int  # before scaling, signed or unsigned as the signal is; of a float its bits
    value: float  # physical: raw * scale + offset, in `unit`
    label: str | None  # the name of this raw value, where the profile has one
    unit: str
    time_ms: int  # since boot
    utc: float | None  # seconds since 1970; None while the device's clock is not set
    source: str  # one of SOURCES
    quality: str  # one of QUALITIES
    numbers: int = 1  # how many numbers of the sequence it takes: 2 for a signal of more than 32 bits


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch: samples in the order of their sequence, and the marks that stand among them."""

    header: Header
    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]


def read_header(payload: bytes) -> Header:
    """The header of a batch, without its profile. Raises InputError for bytes that are no batch."""
    return _open(payload)[0]


def decode(payload: bytes, profile: Profile) -> Batch:
    """A whole batch, read with the profile that its header names. Raises InputError for what is no batch."""
    header, periodic_section, event_section = _open(payload)
    last: dict[int, int] = {}
    sampled = list(periodic(periodic_section, profile, header.start, header.first_signal, last))
    records = list(events(event_section, profile, header.start, last))
    marks = tuple(record for record in records if isinstance(record, Mark))
    found = len(sampled) + len(records) - len(marks)
    if found != header.count:
        raise InputError(f"batch: {header.count} samples announced, {found} found; it was cut or forged")
    ordered = [*_marked(sampled, marks), *_in_order(records)]
    fields = profile.fields
    return Batch(
        header,
        tuple(_samples(header, ordered, fields)),
        tuple(replace(mark, index=fields[mark.index].number) for mark in marks),
    )


def _open(payload: bytes) -> tuple[Header, Cursor, Cursor]:
    """The header, and the two sections as yet unread."""
    cursor = Cursor(payload, "header")
    version, flags = cursor.uint(1), cursor.uint(1)
    if version != FORMAT_VERSION:
        raise InputError(f"batch: format version {version}; this reader knows version {FORMAT_VERSION}")
    profile_hash = cursor.uint(4)
    configuration, consent, boot, first, count, start, first_signal = (cursor.varint() for _ in range(7))
    boot_utc_ms = cursor.uint(6) if flags & 3 else None
    cursor.take(cursor.varint())  # reserved
    periodic_section = Cursor(cursor.take(cursor.varint()), "periodic section")
    event_section = Cursor(cursor.take(len(cursor)), "event section")
    if boot == 0 or count > len(periodic_section) + len(event_section):
        raise InputError(f"batch: {count} samples of boot {boot} in {len(payload)} bytes; it was forged")
    header = Header(
        profile_hash, CLOCKS[flags & 3], flags >> 2 & 3, flags >> 4,
        configuration, consent, boot, first, count, start, first_signal, boot_utc_ms,
    )  # fmt: skip
    return header, periodic_section, event_section


_FRESH = Mark(0, 0, QUALITIES[0], SOURCES[0])  # every signal starts a batch as valid and broadcast


def _in_order(records: Iterable[Value | Mark]) -> list[tuple[Value, Mark]]:
    """The events with the mark in force at each: the last one of its signal before it."""
    current: dict[int, Mark] = {}
    values = []
    for record in records:
        if isinstance(record, Mark):
            current[record.index] = record
        else:
            values.append((record, current.get(record.index, _FRESH)))
    return values


def _marked(sampled: Iterable[Value], marks: Iterable[Mark]) -> list[tuple[Value, Mark]]:
    """The periodic samples with the mark in force at the time of each."""
    by_signal: dict[int, list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.time_ms):
        by_signal.setdefault(mark.index, [_FRESH]).append(mark)
    values = []
    for value in sampled:
        known = by_signal.get(value.index, [_FRESH])
        after = bisect_right(known, value.time_ms, lo=1, key=lambda mark: mark.time_ms)
        values.append((value, known[after - 1]))
    return values


def _samples(
    header: Header, values: Sequence[tuple[Value, Mark]], fields: Sequence[Field]
) -> Iterator[Sample]:
    """The samples of coded values; two halves that follow each other make one."""
    position = 0
    while position < len(values):
        value, mark = values[position]
        field = fields[value.index]
        bits, numbers = value.bits, 1
        if field.signal.is_wide:
            high = values[position + 1][0] if position + 1 < len(values) else value
            if field.is_high or (high.index, high.time_ms) != (value.index + 1, value.time_ms):
                raise InputError(f"batch: half of a value of {field.signal.name!r}; it was forged")
            bits, numbers = high.bits << WORD_BITS | value.bits & WORD, 2
        yield _sample(header, header.first + position, (value.time_ms, bits, numbers), field, mark)
        position += numbers


def _sample(
    header: Header, sequence: int, coded: tuple[int, int, int], field: Field, mark: Mark
) -> Sample:
    (time_ms, bits, numbers), signal = coded, field.signal
    raw = signal.number(bits)
    is_signed = signal.is_signed and not signal.is_float
    if (raw >> (signal.length - 1) not in (0, -1)) if is_signed else raw >> signal.length:
        raise InputError(f"batch: {raw} is beyond the {signal.length} bits of {signal.name!r}; it was forged")
    utc_ms = None if header.boot_utc_ms is None else header.boot_utc_ms + time_ms
    if utc_ms is not None and utc_ms >= YEAR_10000_MS:
        raise InputError(f"batch: sample {sequence} lies beyond the year 9999; it was forged")
    return Sample(
        sequence, field.number, signal.name, raw, signal.physical(raw), signal.labels.get(raw), signal.unit,
        time_ms, None if utc_ms is None else utc_ms / 1000, mark.source, mark.quality, numbers,
    )  # fmt: skip
