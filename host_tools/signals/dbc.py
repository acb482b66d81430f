"""DBC files to profiles: read tolerantly, take what the packed table can carry, say what was left out."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import cantools
from cantools.database import Database
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal
from cantools.database.errors import UnsupportedDatabaseFormatError

from host_tools.errors import InputError
from host_tools.signals import descriptor
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.signals.repair import Report, repair

_MAX_DATA = 8
_MAX_LENGTH = 32
_OVERRUN = "beyond the end of their message"

# cantools warns of names used twice through this logger; `profile` reports them itself
logging.getLogger("cantools").addHandler(logging.NullHandler())


def load(path: Path, report: Report) -> Database:
    """The database in a DBC file, after repairs, each told to `report` in one line.

    Signals may overlap and overrun their messages. Raises InputError where the file cannot be read or parsed.
    """
    text = repair(_read(path, report), lambda line: report(f"{path.name}, {line}"))
    try:
        database = cantools.database.load_string(text, "dbc", strict=False)
    except UnsupportedDatabaseFormatError as error:
        raise InputError(f"{path}: not a DBC that can be read: {_one_line(str(error))}") from error
    if not isinstance(database, Database) or not database.messages:
        raise InputError(f"{path}: no message is defined in it; is it a DBC?")
    return database


def profile(database: Database, name: str, period_ms: int, report: Report) -> Profile:
    """All signals of `database` that the packed table can carry, named "Message.Signal", sampled every `period_ms`.

    What is left out is reported, one line a kind. Raises InputError where nothing is left, see also `Profile`.
    """
    left_out: Counter[str] = Counter()
    messages = []
    for message, message_name in _distinct(database.messages, report):
        signals = tuple(_signals(message, message_name, period_ms, left_out))
        if signals:
            messages.append(Message(message.frame_id, message.is_extended_frame, message_name, signals))
    for reason, count in left_out.items():
        report(f"{name}: {count} signal{'s' if count > 1 else ''} left out: {reason}")
    if not messages:
        raise InputError(f"{name}: it has no signal that can be sampled")
    return Profile(name, database.version or "", name, tuple(messages))


def reason_to_leave_out(message: DbcMessage, signal: DbcSignal) -> str:
    """Why the packed table cannot carry `signal`; empty where it can."""
    if message.length > _MAX_DATA:
        return f"in messages longer than {_MAX_DATA} bytes"
    if signal.multiplexer_ids is not None:
        return "multiplexed"
    if signal.is_float:
        return "floating point"
    if signal.length > _MAX_LENGTH:
        return f"longer than {_MAX_LENGTH} bits"
    start, byte_order = descriptor.from_dbc(signal.start, signal.length, signal.byte_order)
    if start < 0 or start + signal.length > 8 * _MAX_DATA:
        return _OVERRUN
    if Signal("", start, signal.length, byte_order).size > message.length:
        return _OVERRUN
    return ""


def convert(signal: DbcSignal, name: str, period_ms: int) -> Signal:
    """`signal`, one with no reason to leave it out, as the profile models it."""
    start, byte_order = descriptor.from_dbc(signal.start, signal.length, signal.byte_order)
    minimum, maximum = _range(signal)
    return Signal(
        name,
        start,
        signal.length,
        byte_order,
        signal.is_signed,
        float(signal.scale),
        float(signal.offset),
        signal.unit or "",
        minimum,
        maximum,
        {int(raw): str(label) for raw, label in (signal.choices or {}).items()},
        period_ms,
    )


def _read(path: Path, report: Report) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        report(f"{path.name}: not UTF-8, read as Windows-1252")
        text = data.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n")


def _one_line(message: str) -> str:
    # the parser marks the place in the line that it quotes with >>!<<, which reads as if that were in the file
    marked = re.sub(r"\s+", " ", message.removeprefix('DBC: "')).strip().rstrip('"')
    return marked.replace(">>!<<", " [here] ")


def _distinct(messages: Iterable[DbcMessage], report: Report) -> Iterator[tuple[DbcMessage, str]]:
    """Every id once, and a name for each that no other has."""
    ids: set[tuple[int, bool]] = set()
    names: set[str] = set()
    for message in messages:
        key = message.frame_id, message.is_extended_frame
        if key in ids:
            report(f"message {message.name} left out: its id {message.frame_id:X} is taken by another")
            continue
        name = message.name if message.name not in names else f"{message.name}_{message.frame_id:X}"
        if name != message.name:
            report(f"message {message.name} with id {message.frame_id:X} is now {name}: the name is taken")
        ids.add(key)
        names.add(name)
        yield message, name


def _signals(
    message: DbcMessage, message_name: str, period_ms: int, left_out: Counter[str]
) -> Iterator[Signal]:
    names: set[str] = set()
    for signal in message.signals:
        reason = reason_to_leave_out(message, signal)
        if not reason and signal.name in names:
            reason = "of a name that their message has twice"
        if reason:
            left_out[reason] += 1
            continue
        names.add(signal.name)
        yield convert(signal, f"{message_name}.{signal.name}", period_ms)


def _range(signal: DbcSignal) -> tuple[float | None, float | None]:
    if signal.minimum is None or signal.maximum is None or not signal.minimum < signal.maximum:
        return None, None
    return float(signal.minimum), float(signal.maximum)
