"""Samples of stored batches as tables, and tables as files: JSON lines, CSV, Parquet, with the FIELDS of `lines`."""

import csv
import importlib
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import IO, Any, Protocol

from host_tools.errors import InputError
from host_tools.reader.archive import Decoded
from host_tools.reader.clocks import Clocks
from host_tools.reader.columns import Columns
from host_tools.reader.events import QUALITIES
from host_tools.reader.lines import FIELDS, iso8601
from host_tools.signals.profile import PRIORITIES, SOURCES

FORMATS = ("jsonl", "csv", "parquet")
_ROWS_AT_ONCE = 50_000

Table = dict[str, list[Any]]  # a list for each of FIELDS; `utc` in seconds


def tables(decoded: Decoded, clocks: Clocks) -> Iterator[Table]:
    """The samples that had not come before, in the order of the batches and of their sequence, some at a time."""
    batch = decoded.block.columns.batch
    first = begin = 0
    for number in range(len(decoded.stored)):
        end = bisect_left(batch, number + 1, begin)  # type: ignore[call-overload]  # any column has order
        if end - begin >= _ROWS_AT_ONCE or number == len(decoded.stored) - 1:
            yield _Part(decoded, clocks, range(first, number + 1), slice(begin, end)).table()
            first, begin = number + 1, end


class _Part:
    """Some of the batches, one after the other, and their rows."""

    def __init__(self, decoded: Decoded, clocks: Clocks, numbers: range, rows: slice) -> None:
        self._decoded = decoded
        self._numbers = numbers
        self._columns = Columns(*(column[rows] for column in decoded.block.columns))  # type: ignore[arg-type]
        self._occurrences = [(number, told) for number, told in decoded.block.occurrences if number in numbers]
        of_boot = ((number, decoded.stored[number]) for number in numbers)
        self._clocks = {number: clocks.of(stored.device, stored.header.boot) for number, stored in of_boot}

    def table(self) -> Table:
        """All rows that are fresh."""
        own, told = self._columns, [occurrence for _, occurrence in self._occurrences]
        batch = own.batch.tolist()
        of_profile = {number: self._decoded.profiles[number].signals for number in self._numbers}
        signals = [of_profile[number][index] for number, index in zip(batch, own.signal.tolist(), strict=True)]
        raw = [signal.number(bits) for signal, bits in zip(signals, own.raw.tolist(), strict=True)]
        none = [None] * len(told)
        batch += [number for number, _ in self._occurrences]
        time_ms = own.time_ms.tolist() + [occurrence.time_ms for occurrence in told]
        table = self._of_batches(batch) | {
            "sequence": own.sequence.tolist() + [occurrence.sequence for occurrence in told],
            "time_ms": time_ms,
            "utc": [self._clocks[number].utc(at) for number, at in zip(batch, time_ms, strict=True)],
            "name": [signal.name for signal in signals] + [occurrence.name for occurrence in told],
            "value": [*own.value.tolist(), *(occurrence.value for occurrence in told)],
            "unit": [signal.unit for signal in signals] + [""] * len(told),
            "raw": raw + none,
            "source": [SOURCES[code] for code in own.source.tolist()] + none,
            "quality": [QUALITIES[code] for code in own.quality.tolist()] + none,
            "label": [signal.labels.get(bits) for signal, bits in zip(signals, raw, strict=True)] + none,
        }
        return self._fresh(batch, {field: table[field] for field in FIELDS})

    def _of_batches(self, batch: list[int]) -> Table:
        """What all samples of a batch have in common."""
        heads = {}
        for number in self._numbers:
            stored, profile = self._decoded.stored[number], self._decoded.profiles[number]
            header, clock = stored.header, self._clocks[number].quality
            purpose = profile.purposes[header.purpose] if header.purpose < len(profile.purposes) else ""
            heads[number] = stored.device, header.boot, header.stream, clock, purpose, PRIORITIES[header.priority]
        names = "device", "boot", "stream", "clock", "purpose", "priority"
        columns = zip(*(heads[number] for number in batch), strict=True) if batch else [()] * len(names)
        return dict(zip(names, map(list, columns), strict=True))

    def _fresh(self, batch: list[int], table: Table) -> Table:
        """The rows in order, without those that came before."""
        partly = {}
        for number in self._numbers:
            header, fresh = self._decoded.stored[number].header, self._decoded.fresh[number]
            if fresh != [(header.first, header.first + header.count)]:
                partly[number] = fresh
        if not partly and not self._occurrences:
            return table
        keys = zip(batch, table["sequence"], range(len(batch)), strict=True)
        kept = (key for key in keys if key[0] not in partly or _is_in(key[1], partly[key[0]]))
        order = [place for _, _, place in sorted(kept)]
        return {field: [column[place] for place in order] for field, column in table.items()}


def _is_in(sequence: int, parts: list[tuple[int, int]]) -> bool:
    return any(first <= sequence < stop for first, stop in parts)


class Writer(Protocol):
    """Takes tables; `close` ends the file. Raises OSError where it cannot be written."""

    def write(self, table: Table) -> None: ...
    def close(self) -> None: ...


class Lines:
    """JSON lines or CSV, as `lines` has them, to an open text file, which stays open."""

    def __init__(self, file: IO[str], form: str) -> None:
        self._file = file
        self._csv = csv.writer(file, lineterminator="\n") if form == "csv" else None
        if self._csv:
            self._csv.writerow(FIELDS)

    def write(self, table: Table) -> None:
        """One line a sample."""
        seconds = {utc: iso8601(utc) for utc in set(table["utc"])}
        text = {"utc": [seconds[utc] for utc in table["utc"]], "value": [_finite(value) for value in table["value"]]}
        if self._csv:
            text["value"] = [json.dumps(value) if isinstance(value, Mapping) else value for value in text["value"]]
        rows = zip(*(table | text).values(), strict=True)
        if self._csv:
            self._csv.writerows(rows)
        else:
            self._file.writelines(json.dumps(dict(zip(FIELDS, row, strict=True))) + "\n" for row in rows)

    def close(self) -> None:
        """Writes out what is left."""
        self._file.flush()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


def _text(value: float | str | Mapping[str, object]) -> str | None:
    return None if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


class Parquet:
    """A Parquet file, compressed. `value` holds numbers alone: the value of a text or an occurrence is in a column `text`, the
    latter as JSON. An unsigned `raw` beyond 2^63 - 1 appears as its two's complement, a value beyond floating point as it is."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where pyarrow is not installed."""
        try:
            self._arrow = importlib.import_module("pyarrow")
            parquet = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise InputError("Parquet needs pyarrow, which is not installed: pip install pyarrow") from error
        numbers = dict.fromkeys(("boot", "stream", "sequence", "time_ms", "raw"), "int64") | {"value": "float64"}
        kinds = {field: self._arrow.type_for_alias(numbers.get(field, "string")) for field in FIELDS}
        kinds["utc"] = self._arrow.timestamp("ms", "UTC")
        self._schema = self._arrow.schema([*kinds.items(), ("text", self._arrow.string())])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, table: Table) -> None:
        """One row group."""
        own = {
            "value": [value if isinstance(value, float) else None for value in table["value"]],
            "text": [_text(value) for value in table["value"]],
            "raw": [None if number is None else (number + (1 << 63)) % (1 << 64) - (1 << 63) for number in table["raw"]],
            "utc": [None if utc is None else round(utc * 1000) for utc in table["utc"]],
        }
        self._writer.write_table(self._arrow.Table.from_pydict(table | own, schema=self._schema))

    def close(self) -> None:
        """Writes the file's end."""
        self._writer.close()
