"""The event section of a batch (firmware/SPEC.md, section 2, section E): samples on change, marks, texts and occurrences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from host_tools.errors import InputError
from host_tools.reader.cursor import Cursor
from host_tools.reader.header import Coded, Header
from host_tools.reader.periodic import Value, wrapped
from host_tools.signals.profile import ON_CHANGE, SOURCES, Profile, Signal

QUALITIES = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
OCCURRENCES = ("alert", "dtc", "position")
_SAMPLE, _MARK, _TEXT, _OCCURRENCE = range(4)

Content = str | Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Mark:
    """From `time_ms` (ms since boot) on, the signal of this index has this quality and source. (In `Batch.marks` the
    index is that in `Profile.signals`; here it is that of its first field.)"""

    index: int
    time_ms: int
    quality: str
    source: str


@dataclass(frozen=True, slots=True)
class Told:
    """A text by its VSS path, or an occurrence by one of OCCURRENCES."""

    name: str
    time_ms: int
    content: Content


def events(header: Header, coded: Coded, profile: Profile) -> Iterator[Value | Mark | Told]:
    """The records in their order. Raises InputError."""
    fields, cursor = profile.fields, Cursor(coded.events, "event section")
    last: dict[int, int] = {}
    time_ms = header.start * profile.grid_ms
    while len(cursor):
        index, kind = divmod(cursor.varint(), 4)
        time_ms += cursor.zigzag()
        known = {_TEXT: 1, _OCCURRENCE: len(OCCURRENCES)}.get(kind, len(fields))
        if index >= known or time_ms < 0:
            raise InputError(f"batch: an event of kind {kind} and index {index} at {time_ms} ms; it was forged")
        if kind == _MARK:
            yield _mark(index, time_ms, cursor.uint(1), fields[index].signal)
        elif kind == _TEXT:
            yield Told(cursor.text(), time_ms, cursor.text())
        elif kind == _OCCURRENCE:
            yield Told(OCCURRENCES[index], time_ms, (_alert, _dtc, _position)[index](cursor))
        else:
            signal = fields[index].signal
            if signal.period_ms != ON_CHANGE or profile.stream(signal) != header.stream:
                raise InputError(f"batch: an event of {signal.name!r}, which is not sampled on change in its stream")
            last[index] = wrapped(last.get(index, 0) + cursor.zigzag())
            yield Value(index, time_ms, last[index])


def _mark(index: int, time_ms: int, code: int, signal: Signal) -> Mark:
    quality, source = code & 15, code >> 4
    if quality >= len(QUALITIES) or source >= len(SOURCES):
        raise InputError(f"batch: a mark of quality {quality} and source {source}: one of them is not known")
    return Mark(index, time_ms, QUALITIES[quality], SOURCES[source] if source else signal.source)


def _alert(cursor: Cursor) -> Content:
    return {"code": cursor.varint(), "text": cursor.text()}


def _dtc(cursor: Cursor) -> Content:
    """The code as SAE J2012 writes it, with its failure type: P0171-00."""
    ecu = cursor.varint()
    high, low, failure = cursor.take(3)
    return {"ecu": ecu, "code": f"{'PCBU'[high >> 6]}{high & 0x3F:02X}{low:02X}-{failure:02X}", "status": cursor.uint(1)}


def _position(cursor: Cursor) -> Content:
    """Degrees and metres."""
    latitude, longitude = cursor.zigzag(), cursor.zigzag()
    if abs(latitude) > 90 * 10**7 or abs(longitude) > 180 * 10**7:
        raise InputError(f"batch: a position at {latitude / 1e7}, {longitude / 1e7} degrees; it was forged")
    altitude, accuracy = cursor.zigzag(), cursor.varint()
    return {"latitude": latitude / 1e7, "longitude": longitude / 1e7, "altitude": altitude / 10, "accuracy": accuracy / 10}
