"""DBC files: read tolerantly, with every repair told by its line."""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cantools
from cantools.database import Database
from cantools.database.errors import UnsupportedDatabaseFormatError

from host_tools.errors import InputError
from host_tools.signals.consistency import declared, settle, without_absent
from host_tools.signals.convert import Places, convert, profile
from host_tools.signals.repair import Report, repair
from host_tools.signals.salvage import salvage
from host_tools.signals.source import read
from host_tools.signals.statements import Statement, split

__all__ = ["convert", "load", "one_line", "places", "profile"]

_ID = (1 << 29) - 1
_HERE = re.compile(r'(?<=: ")(.*)>>!<<(.*)')
_QUOTED = 30  # characters of a line that is quoted, on either side of the place

# cantools warns of names used twice through this logger; `convert` reports them itself
logging.getLogger("cantools").addHandler(logging.NullHandler())


def load(path: Path, report: Report) -> Database:
    """The database in a DBC file, after repairs, each told to `report` in one line.

    Signals may overlap and overrun their messages. Raises InputError where the file cannot be read or is no DBC.
    """
    text = read(path, report)

    def by_line(line: str) -> None:
        report(f"{path.name}, {line}")

    statements = list(split(text))
    if not any(statement.keyword == "BO_" for statement in statements):
        _, why = _parsed(text)
        raise InputError(f"{path}: not a DBC that can be read: {why or 'no message is defined in it'}")
    settled = settle(repair(_sections(statements, by_line), by_line), by_line)
    statements = list(without_absent(settled, by_line))
    database, why = _parsed(_joined(statements))
    if database is None:
        saved = salvage(statements, lambda text: _parsed(text)[1], by_line)
        database, why = _parsed(_joined(without_absent(saved, by_line)))
    if database is None or not database.messages:
        raise InputError(f"{path}: not a DBC that can be read: {why or 'no message is left in it'}")
    return database


def places(path: Path) -> Places:
    """Where each signal stands in a DBC file that can be read."""
    statements = list(repair(_sections(list(split(read(path, _quiet))), _quiet), _quiet))
    lines = {}
    for ident, signals in declared(statements).items():
        number = int(ident)
        key = number & _ID | (number >> 31) << 29
        lines.update({(key, s.name): f"{path.name}, line {statements[s.place].line}: " for s in signals})
    return lines


def _quiet(_: str) -> None:
    """Repairs that `load` has told."""


def _sections(statements: list[Statement], report: Report) -> Iterator[Statement]:
    """Without `BS_:` or `BU_:` after it, the list of new symbols (`NS_ :`) has no end."""
    is_open = False
    for statement in statements:
        if is_open and statement.keyword and statement.keyword not in ("BS_", "BU_"):
            report(f"line {statement.line}: put the missing BS_ and BU_ before the first message")
            yield Statement(statement.line, "BS_", "BS_: BU_:")
        if statement.keyword:
            is_open = statement.keyword == "NS_"
        yield statement


def _joined(statements: Iterable[Statement]) -> str:
    return "\n".join(statement.text for statement in statements)


def _parsed(text: str) -> tuple[Database | None, str]:
    """The database, or what is wrong with it in one line."""
    try:
        database = cantools.database.load_string(text, "dbc", strict=False)
    except UnsupportedDatabaseFormatError as error:
        return None, one_line(str(error))
    return (database, "") if isinstance(database, Database) else (None, "no CAN database")


def one_line(message: str) -> str:
    """cantools' complaint without its marks: the place in a line that it quotes is [here], with some of what is around it."""
    marked = re.sub(r"\s+", " ", re.sub(r'^\w+: "', "", message)).strip().rstrip('"')
    return _HERE.sub(_around, marked).replace("[<class 'decimal.ConversionSyntax'>]", "not a number")


def _around(quote: re.Match[str]) -> str:
    before, after = quote.groups()
    before = f"…{before[-_QUOTED:]}" if len(before) > _QUOTED else before
    return f"{before} [here] {after[:_QUOTED]}…" if len(after) > _QUOTED else f"{before} [here] {after}"
