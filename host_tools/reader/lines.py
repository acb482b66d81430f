"""Samples as lines of text: plain for people, JSON lines and CSV for programs."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO

from host_tools.reader.batch import Occurrence, Sample
from host_tools.reader.events import QUALITIES
from host_tools.reader.inbox import BatchEvent, Reply

FORMATS = ("table", "jsonl", "csv")
FIELDS = (
    "device", "boot", "stream", "sequence", "time_ms", "utc", "clock",
    "name", "value", "unit", "raw", "source", "quality", "label", "purpose", "priority",
)  # fmt: skip


Record = Sample | Occurrence
_Format = Callable[[str, int, Record], str]


class Lines:
    """Writes the samples of each batch to `file` as "table" (plain), "jsonl" or "csv" lines, and flushes."""

    def __init__(self, file: IO[str], form: str) -> None:
        self._file = file
        self._format: _Format = {"table": plain, "jsonl": jsonl, "csv": csv_line}[form]
        if form == "csv" and not (file.seekable() and file.tell()):
            file.write(",".join(FIELDS) + "\n")
            file.flush()

    def show(self, event: BatchEvent) -> None:
        """Writes one line a sample. Raises OSError where the file cannot be written."""
        for sample in event.batch.records:
            self._file.write(self._format(event.device, event.batch.header.boot, sample) + "\n")
        self._file.flush()


def jsonl(device: str, boot: int, sample: Record) -> str:
    """A JSON object with the keys of FIELDS; a value beyond floating point is null."""
    return json.dumps(record(device, boot, sample))


def csv_line(device: str, boot: int, sample: Record) -> str:
    """The FIELDS in their order, quoted as RFC 4180 has it; what is not known is empty, an occurrence's value JSON."""
    line, values = io.StringIO(), record(device, boot, sample).values()
    csv.writer(line).writerow(json.dumps(value) if isinstance(value, Mapping) else value for value in values)
    return line.getvalue().removesuffix("\r\n")


def plain(device: str, boot: int, sample: Record) -> str:
    """A line for people: when, device, name, value, of which stream, and where it is from."""
    utc = iso8601(sample.utc)
    when = f"{utc} ({sample.clock})" if utc else f"{sample.time_ms / 1000:.3f} s since boot {boot}"
    parts = when, device, f"{sample.name} {value_text(sample)}", stream_text(sample), origin_text(sample)
    return printable("  ".join(parts).rstrip())


def record(device: str, boot: int, sample: Record) -> dict[str, object]:
    """The FIELDS of a sample: `time_ms` since boot, `utc` as ISO 8601 or None, `value` physical in `unit`; the value of a
    text is a text, that of an occurrence a dict, and neither has a unit, source and so on."""
    if isinstance(sample, Sample):
        value = sample.value if math.isfinite(sample.value) else None
        meaning: tuple[object, ...] = value, sample.unit, sample.raw, sample.source, sample.quality, sample.label
    else:
        meaning = sample.value, "", None, None, None, None
    values = (
        device, boot, sample.stream, sample.sequence, sample.time_ms, iso8601(sample.utc), sample.clock,
        sample.name, *meaning, sample.purpose, sample.priority,
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def iso8601(utc: float | None) -> str | None:
    """UTC seconds since 1970 as `2026-01-31T12:00:00.250Z`; None stays None."""
    if utc is None:
        return None
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def value_text(sample: Record) -> str:
    """The label where the raw value has one, else the physical value and its unit; an occurrence's parts by name."""
    if isinstance(sample, Occurrence):
        return sample.value if isinstance(sample.value, str) else " ".join(f"{k} {v}" for k, v in sample.value.items())
    return sample.label or f"{sample.value:.10g} {sample.unit}".rstrip()


def stream_text(sample: Record) -> str:
    """`purpose/priority`, or the priority alone where the profile says nothing of purposes."""
    return "/".join(filter(None, (sample.purpose, sample.priority)))


def origin_text(sample: Record) -> str:
    """Source, and quality where it is not plain valid."""
    if isinstance(sample, Occurrence):
        return ""
    return sample.source if sample.quality == QUALITIES[0] else f"{sample.source}, {sample.quality}"


def reply_text(reply: Reply) -> str:
    """A device's answer as one line."""
    if reply.ok:
        return f"{reply.command} done {json.dumps(reply.result)}"
    return f"{reply.command} refused: {reply.reason}{reply.text and ', '}{reply.text}"


def printable(text: str) -> str:
    """The text without control characters: names come from the network and must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
