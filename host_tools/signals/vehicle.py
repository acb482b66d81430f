"""Vehicle files: which signals of a DBC make up a profile, under which names and how often (TOML).

[vehicle]               the car: name, version, vehicle, dbc; for people: model_years, source, tried
[[signals]]             one signal each
dbc = "Message.Signal"  where the bits are
path = "Vehicle.Speed"  its name from then on: a path of COVESA's Vehicle Signal Specification (VSS)
unit = "km/h"           VSS's unit, which must be the DBC's too; left out where there is none
datatype = "float"      VSS's
period_ms = 100         or: on_change = true
purpose = "driving"     what the owner's consent goes by
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cantools.database import Database
from cantools.database import Message as DbcMessage

from host_tools.errors import InputError
from host_tools.signals import dbc
from host_tools.signals.convert import reasons_to_leave_out
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.signals.repair import Report

_VEHICLE_KEYS = {"name", "version", "vehicle", "dbc", "model_years", "source", "tried"}
_SIGNAL_KEYS = {"dbc", "path", "unit", "datatype", "period_ms", "on_change", "purpose"}
_PATH = re.compile(r"Vehicle(\.[A-Z][A-Za-z0-9]*)+")
_MAX_PERIOD_MS = 3_600_000

# what a signal must be for each of VSS's datatypes
_DATATYPES: dict[str, Callable[[Signal], bool]] = {
    "boolean": lambda signal: signal.length == 1,
    "string": lambda signal: bool(signal.labels),
    **dict.fromkeys(("float", "double"), lambda signal: True),
    **dict.fromkeys(("uint8", "uint16", "uint32"), lambda signal: _is_whole(signal) and not signal.is_signed),
    **dict.fromkeys(("int8", "int16", "int32"), lambda signal: _is_whole(signal)),
}


def load(path: Path, report: Report) -> Profile:
    """The profile in a vehicle file; its DBC's path is relative to it, and its repairs go to `report`.

    Raises InputError that names the file and what in it is unknown, missing or contradicts the DBC.
    """
    content = _parse(path)
    try:
        _check_keys(content, {"vehicle", "signals"}, {"vehicle", "signals"})
        vehicle = _typed(content, "vehicle", dict)
        _check_keys(vehicle, _VEHICLE_KEYS, {"name", "version", "vehicle", "dbc"})
        database = dbc.load(path.parent / _typed(vehicle, "dbc", str), report)
        messages = _messages(database, _typed(content, "signals", list))
        name, version, car = (_typed(vehicle, key, str) for key in ("name", "version", "vehicle"))
        return Profile(name, version, car, messages)
    except _FaultError as fault:
        raise InputError(f"{path}: {fault}") from fault


class _FaultError(Exception):
    """What is wrong in the file; `load` adds the file's name."""


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not TOML: {error}") from error


def _messages(database: Database, entries: list[Any]) -> tuple[Message, ...]:
    by_name = {message.name: message for message in database.messages}
    signals: dict[str, list[Signal]] = {}
    for number, entry in enumerate(entries, 1):
        try:
            message_name, signal = _signal(by_name, entry)
        except _FaultError as fault:
            raise _FaultError(f"signal {number}: {fault}") from fault
        signals.setdefault(message_name, []).append(signal)
    return tuple(
        Message(by_name[name].frame_id, by_name[name].is_extended_frame, name, tuple(found))
        for name, found in signals.items()
    )


def _signal(by_name: dict[str, DbcMessage], entry: dict[str, Any]) -> tuple[str, Signal]:
    _check_keys(entry, _SIGNAL_KEYS, {"dbc", "path", "datatype", "purpose"})
    source, path = _typed(entry, "dbc", str), _typed(entry, "path", str)
    message_name, _, signal_name = source.partition(".")
    message = by_name.get(message_name)
    found = [signal for signal in message.signals if signal.name == signal_name] if message else []
    if message is None or not found:
        raise _FaultError(f'the DBC has no signal "{source}"')
    if not _PATH.fullmatch(path):
        raise _FaultError(f'"{path}" is no VSS path such as Vehicle.Speed')
    if reason := reasons_to_leave_out(message).get(signal_name):
        raise _FaultError(f'"{source}" cannot be sampled: {reason}')
    signal = dbc.convert(found[0], path, _period_ms(entry))
    _check_meaning(entry, signal)
    return message_name, signal


def _check_meaning(entry: dict[str, Any], signal: Signal) -> None:
    unit, datatype = _typed(entry, "unit", str) if "unit" in entry else "", _typed(entry, "datatype", str)
    if unit != signal.unit:
        raise _FaultError(f'{signal.name} is in "{unit}" here and in "{signal.unit}" in the DBC')
    if datatype not in _DATATYPES:
        raise _FaultError(f'"{datatype}" is no datatype; known are {", ".join(_DATATYPES)}')
    if not _DATATYPES[datatype](signal):
        raise _FaultError(f"{signal.name} is no {datatype} by the DBC")
    if not _typed(entry, "purpose", str):
        raise _FaultError(f"{signal.name} has an empty purpose")


def _period_ms(entry: dict[str, Any]) -> int:
    if entry.get("on_change") is True and "period_ms" not in entry:
        return 0
    if "on_change" in entry or "period_ms" not in entry:
        raise _FaultError("it needs either period_ms or on_change = true")
    period_ms = _typed(entry, "period_ms", int)
    if not 1 <= period_ms <= _MAX_PERIOD_MS:
        raise _FaultError(f"period_ms {period_ms} is not in 1 to {_MAX_PERIOD_MS}")
    return int(period_ms)


def _is_whole(signal: Signal) -> bool:
    return signal.scale.is_integer() and signal.offset.is_integer()


def _check_keys(table: Any, known: set[str], needed: set[str]) -> None:
    if not isinstance(table, dict):
        raise _FaultError("a table is expected")
    for key in table.keys() - known:
        raise _FaultError(f'unknown key "{key}"; known are {", ".join(sorted(known))}')
    for key in sorted(needed - table.keys()):
        raise _FaultError(f'"{key}" is missing')


def _typed(table: dict[str, Any], key: str, kind: type) -> Any:
    value = table[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _FaultError(f'"{key}" must be of type {kind.__name__}, not {value!r}')
    return value
