"""The log formats: which reader takes which extension, and how it wants its file opened.

Most readers are python-can's. GVRET's CSV and CRTD are our own.
"""

import gzip
import io
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import can

from host_tools.errors import InputError
from host_tools.logs import crtd, gvret, mf4

_CANDUMP_ERROR = 0x20000000
_CANDUMP_29_BIT_DIGITS = 8
_CAN_CSV = "timestamp,arbitration_id,"

# the readers warn of lines that they skip through this logger; they must not write between the lines of a command
logging.getLogger("can").addHandler(logging.NullHandler())


class Lines(io.TextIOWrapper):
    """A text file that knows the number of the line that was read last."""

    number = 0

    def __next__(self) -> str:  # type: ignore[override]  # typeshed: io.IOBase says bytes
        line = super().__next__()
        self.number += 1
        return line


class CandumpLines(Lines):
    """Without error frames: python-can takes most kinds of them for data frames."""

    def __next__(self) -> str:  # type: ignore[override]
        line = super().__next__()
        while _is_candump_error(line):
            line = super().__next__()
        return line


class Source:
    """A log file to open. What a reader opens is closed with `stack`."""

    def __init__(self, path: Path, stack: ExitStack):
        self.path = path
        self._stack = stack
        self._lines: Lines | None = None
        self._is_packed = path.suffix.lower() == ".gz"
        self.suffix = Path(path.stem if self._is_packed else path.name).suffix.lower()

    def place(self) -> str:
        """Where in the file the reader is, where that can be said."""
        return f", line {self._lines.number}" if self._lines and self._lines.number else ""

    def bytes(self) -> BinaryIO:
        """The file's content, unpacked, read as it is asked for."""
        opened = gzip.open if self._is_packed else open
        return cast(BinaryIO, self._stack.enter_context(opened(self.path, "rb")))

    def lines(self, kind: type[Lines] = Lines) -> Lines:
        """The file's content as text."""
        self._lines = kind(self.bytes(), encoding="utf-8-sig", errors="replace")
        return self._stack.enter_context(self._lines)

    def file(self) -> Path:
        """A path to the unpacked content, for readers that go to and fro in it."""
        self.bytes().read(1)  # a missing or unreadable file shows here
        if not self._is_packed:
            return self.path
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pigtail-")))
        with (folder / f"log{self.suffix}").open("wb") as copy:
            shutil.copyfileobj(self.bytes(), copy)
        return Path(copy.name)

    def using(self, reader: can.io.generic.MessageReader) -> Iterator[can.Message]:
        """The frames of one of python-can's readers, which is stopped in the end."""
        return iter(self._stack.enter_context(reader))


def _is_candump_error(line: str) -> bool:
    ident = line.partition("#")[0].rpartition(" ")[2]
    return len(ident) == _CANDUMP_29_BIT_DIGITS and int(ident, 16) & _CANDUMP_ERROR != 0


def _csv(source: Source) -> Iterator[can.Message]:
    lines = source.lines()
    header = lines.readline()
    lines.seek(0)
    if header.startswith(_CAN_CSV):
        return source.using(can.CSVReader(lines))
    if gvret.is_header(header):
        return gvret.read(lines)
    raise InputError(
        f"{source.path}: neither python-can's CSV nor GVRET's: its first line names other columns"
    )


def _blf(source: Source) -> Iterator[can.Message]:
    reader = can.BLFReader(source.bytes())
    size = source.path.stat().st_size
    if source.path.suffix.lower() == ".blf" and reader.file_size > size:
        raise InputError(f"{source.path}: cut short: {size} of {reader.file_size} bytes")
    return source.using(reader)


FORMATS: dict[str, Callable[[Source], Iterator[can.Message]]] = {
    ".asc": lambda source: source.using(can.ASCReader(source.lines())),
    ".blf": _blf,
    ".crtd": lambda source: crtd.read(source.lines()),
    ".csv": _csv,
    ".db": lambda source: source.using(can.SqliteReader(source.file())),
    ".log": lambda source: source.using(can.CanutilsLogReader(source.lines(CandumpLines))),
    ".mf4": lambda source: mf4.read(source.file()),
    ".trc": lambda source: source.using(can.TRCReader(source.lines())),
}
