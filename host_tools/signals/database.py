"""Signal databases of all kinds that cantools reads: DBC (repaired first), KCD, SYM and ARXML."""

from pathlib import Path

import cantools
from cantools.database import Database
from cantools.database.errors import UnsupportedDatabaseFormatError

from host_tools.errors import InputError
from host_tools.signals import dbc
from host_tools.signals.convert import Places
from host_tools.signals.repair import Report
from host_tools.signals.source import read

SUFFIXES = (".dbc", ".kcd", ".sym", ".arxml")


def places(path: Path) -> Places:
    """Where each signal stands in a file that `load` can read, where it has lines that a person reads: a DBC."""
    return dbc.places(path) if path.suffix.lower() == ".dbc" else {}


def load(path: Path, report: Report) -> Database:
    """The database in a file, its format by its suffix. Signals may overlap and overrun their messages.

    Raises InputError where the file cannot be read, or is not what its suffix says; `report` gets no line then.
    """
    notes: list[str] = []
    database = _load(path, notes.append)
    for note in notes:
        report(note)
    return database


def _load(path: Path, report: Report) -> Database:
    suffix = path.suffix.lower()
    if suffix == ".dbc":
        return dbc.load(path, report)
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: no signal database by its suffix; known are {', '.join(SUFFIXES)}")
    kind = suffix.removeprefix(".")
    try:
        database = cantools.database.load_string(read(path, report), kind, strict=False)
    except UnsupportedDatabaseFormatError as error:
        raise InputError(f"{path}: not {kind.upper()} that can be read: {dbc.one_line(str(error))}") from error
    if not isinstance(database, Database) or not database.messages:
        raise InputError(f"{path}: no message is defined in it")
    return database
