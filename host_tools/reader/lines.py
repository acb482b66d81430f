"""Samples as lines of text: plain for people, JSON lines and CSV for programs."""

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO

from host_tools.reader.batch import Sample
from host_tools.reader.inbox import BatchEvent
from host_tools.reader.sections import QUALITIES

FORMATS = ("table", "jsonl", "csv")
FIELDS = (
    "device", "boot", "sequence", "time_ms", "utc",
    "name", "value", "unit", "raw", "source", "quality", "label",
)  # fmt: skip


_Format = Callable[[str, int, Sample], str]


class Lines:
    """Writes the samples of each batch to `file` as "table" (plain), "jsonl" or "csv" lines, and flushes."""

    def __init__(self, file: IO[str], form: str) -> None:
        self._file = file
        self._format: _Format = {"table": plain, "jsonl": jsonl, "csv": csv_line}[form]
        if form == "csv":
            file.write(",".join(FIELDS) + "\n")
            file.flush()

    def show(self, event: BatchEvent) -> None:
        """Writes one line a sample. Raises OSError where the file cannot be written."""
        for sample in event.batch.samples:
            self._file.write(self._format(event.device, event.batch.header.boot, sample) + "\n")
        self._file.flush()


def jsonl(device: str, boot: int, sample: Sample) -> str:
    """A JSON object with the keys of FIELDS; a value beyond floating point is null."""
    return json.dumps(record(device, boot, sample))


def csv_line(device: str, boot: int, sample: Sample) -> str:
    """The FIELDS in their order, quoted as RFC 4180 has it; what is not known is empty."""
    line = io.StringIO()
    csv.writer(line).writerow(record(device, boot, sample).values())
    return line.getvalue().removesuffix("\r\n")


def plain(device: str, boot: int, sample: Sample) -> str:
    """A line for people: when, device, name, value, and where it is from unless from the bus and valid."""
    when = iso8601(sample.utc) or f"{sample.time_ms / 1000:.3f} s since boot {boot}"
    return printable(f"{when}  {device}  {sample.name} {value_text(sample)}  {origin_text(sample)}")


def record(device: str, boot: int, sample: Sample) -> dict[str, object]:
    """The FIELDS of a sample: `time_ms` since boot, `utc` as ISO 8601 or None, `value` physical in `unit`."""
    value = sample.value if math.isfinite(sample.value) else None
    values = (
        device, boot, sample.sequence, sample.time_ms, iso8601(sample.utc),
        sample.name, value, sample.unit, sample.raw, sample.source, sample.quality, sample.label,
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def iso8601(utc: float | None) -> str | None:
    """UTC seconds since 1970 as `2026-01-31T12:00:00.250Z`; None stays None."""
    if utc is None:
        return None
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def value_text(sample: Sample) -> str:
    """The label where the raw value has one, else the physical value and its unit."""
    return sample.label or f"{sample.value:.10g} {sample.unit}".rstrip()


def origin_text(sample: Sample) -> str:
    """Source, and quality where it is not plain valid."""
    return sample.source if sample.quality == QUALITIES[0] else f"{sample.source}, {sample.quality}"


def printable(text: str) -> str:
    """The text without control characters: names come from the network and must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
