"""The text of a database file, whatever its encoding and line ends."""

import codecs
import re
from pathlib import Path

from host_tools.errors import InputError
from host_tools.signals.repair import Report

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def read(path: Path, report: Report) -> str:
    """The text with line ends of `\\n`; what is odd about it goes to `report`. Raises InputError where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    text = _decoded(data, path.name, report).replace("\r\n", "\n").replace("\r", "\n")
    plain, count = _CONTROL.subn(" ", text)
    if count:
        report(f"{path.name}: {count} control character{'s' if count > 1 else ''} taken as spaces")
    return plain


def _decoded(data: bytes, name: str, report: Report) -> str:
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            if encoding != "utf-8":
                report(f"{name}: not UTF-8, read as UTF-16")
            return data[len(mark) :].decode(encoding, errors="replace")
    if len(data) > 1 and 0 in (data[0], data[1]) and any((data[0], data[1])):
        report(f"{name}: not UTF-8, read as UTF-16")
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        report(f"{name}: not UTF-8, read as Windows-1252")
        return data.decode("cp1252", errors="replace")
