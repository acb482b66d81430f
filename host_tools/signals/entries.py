"""The tables of a vehicle file, each checked on its own: keys, types and what they say by themselves."""

import re
from dataclasses import dataclass, replace
from typing import Any

from host_tools.finite import is_number
from host_tools.signals.profile import ON_CHANGE, PRIORITIES, Signal
from host_tools.signals.typed import FaultError, check_keys, typed

_VEHICLE_KEYS = {"name", "version", "vehicle", "dbc", "model_years", "source", "tried"}
SAMPLED_KEYS = {"path", "unit", "datatype", "on_change", "deadband", "range", "purpose", "priority", "max_error"}
_TABLES = {"vehicle", "signals", "messages", "ecus", "states", "requests", "parameters"}
_MESSAGE_KEYS = {"dbc", "counter", "counter_modulo", "counter_step", "checksum", "checksum_rule"}
_PATH = re.compile(r"Vehicle(\.[A-Z][A-Za-z0-9]*)+")
_MAX_PERIOD_MS = 3_600_000


@dataclass(frozen=True)
class Head:
    """[vehicle]: the profile's texts and the database's file."""

    name: str
    version: str
    vehicle: str
    dbc: str


@dataclass(frozen=True)
class Sampled:
    """What becomes of a signal, whatever its bits are. `period_ms` may be ON_CHANGE."""

    path: str
    unit: str
    datatype: str
    period_ms: int
    deadband: float
    valid: tuple[float, float] | None
    purpose: str
    priority: str
    max_error: float

    def sampled(self, signal: Signal) -> Signal:
        """The signal, named and sampled so."""
        return replace(
            signal,
            name=self.path,
            period_ms=self.period_ms,
            valid=self.valid,
            deadband=self.deadband,
            purpose=self.purpose,
            priority=self.priority,
            max_error=self.max_error,
        )


@dataclass(frozen=True)
class Pick(Sampled):
    """[[signals]]: one signal of the database and what becomes of it."""

    message: str
    signal: str


@dataclass(frozen=True)
class Rules:
    """[[messages]]: the signals that guard a message; None where it has no such one. `modulo` None: all its bits."""

    message: str
    counter: str | None
    modulo: int | None
    step: int
    checksum: str | None
    rule: str


def file(content: dict[str, Any]) -> tuple[Head, list[Pick], list[Rules]]:
    """What a file says of its database. It needs none where all signals are asked for. Raises FaultError."""
    check_keys(content, _TABLES, {"vehicle"} if "requests" in content else {"vehicle", "signals"})
    picks = each("signal", typed(content, "signals", list) if "signals" in content else [], _pick)
    rules = each("message", typed(content, "messages", list) if "messages" in content else [], _rules)
    return _head(typed(content, "vehicle", dict), {"dbc"} if "signals" in content or rules else set()), picks, rules


def each(what: str, tables: list[Any], read: Any) -> list[Any]:
    """Each of a list of tables, read. Raises FaultError that says which is wrong."""
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(read(table))
        except FaultError as fault:
            raise FaultError(f"{what} {number}: {fault}") from fault
    return found


def _head(table: dict[str, Any], needed: set[str]) -> Head:
    check_keys(table, _VEHICLE_KEYS, {"name", "version", "vehicle"} | needed)
    for key in _VEHICLE_KEYS & table.keys():
        typed(table, key, str)
    return Head(table["name"], table["version"], table["vehicle"], table.get("dbc", ""))


def _pick(table: dict[str, Any]) -> Pick:
    check_keys(table, SAMPLED_KEYS | {"dbc", "period_ms"}, {"dbc", "path", "datatype", "purpose"})
    message, _, signal = typed(table, "dbc", str).partition(".")
    return Pick(**vars(sampled(table, _period_ms(table))), message=message, signal=signal)


def sampled(table: dict[str, Any], period_ms: int) -> Sampled:
    """What a table with SAMPLED_KEYS says. Raises FaultError."""
    path, purpose = typed(table, "path", str), typed(table, "purpose", str)
    if not _PATH.fullmatch(path):
        raise FaultError(f'"{path}" is no VSS path such as Vehicle.Speed')
    if not purpose:
        raise FaultError(f"{path} has an empty purpose")
    unit = typed(table, "unit", str) if "unit" in table else ""
    datatype = typed(table, "datatype", str)
    deadband = number(table["deadband"], "deadband") if "deadband" in table else 0.0
    if deadband < 0 or (deadband and period_ms != ON_CHANGE):
        raise FaultError("deadband must be above 0 and belongs to on_change = true")
    max_error = number(table["max_error"], "max_error") if "max_error" in table else 0.0
    if max_error < 0 or (max_error and period_ms == ON_CHANGE):
        raise FaultError("max_error must be above 0 and belongs to period_ms")
    priority = typed(table, "priority", str) if "priority" in table else PRIORITIES[-1]
    if priority not in PRIORITIES:
        raise FaultError(f'"{priority}" is no priority; known are {", ".join(PRIORITIES)}')
    return Sampled(path, unit, datatype, period_ms, deadband, _range(table), purpose, priority, max_error)


def _rules(table: dict[str, Any]) -> Rules:
    check_keys(table, _MESSAGE_KEYS, {"dbc"})
    for key, needed in (
        ("counter_modulo", "counter"),
        ("counter_step", "counter"),
        ("checksum", "checksum_rule"),
        ("checksum_rule", "checksum"),
    ):
        if key in table and needed not in table:
            raise FaultError(f'"{key}" needs "{needed}"')
    if not {"counter", "checksum"} & table.keys():
        raise FaultError("it needs a counter or a checksum")
    return Rules(
        typed(table, "dbc", str),
        typed(table, "counter", str) if "counter" in table else None,
        typed(table, "counter_modulo", int) if "counter_modulo" in table else None,
        typed(table, "counter_step", int) if "counter_step" in table else 1,
        typed(table, "checksum", str) if "checksum" in table else None,
        typed(table, "checksum_rule", str) if "checksum" in table else "",
    )


def _period_ms(table: dict[str, Any]) -> int:
    if table.get("on_change") is True and "period_ms" not in table:
        return ON_CHANGE
    if "on_change" in table or "period_ms" not in table:
        raise FaultError("it needs either period_ms or on_change = true")
    period_ms = typed(table, "period_ms", int)
    if not 1 <= period_ms <= _MAX_PERIOD_MS:
        raise FaultError(f"period_ms {period_ms} is not in 1 to {_MAX_PERIOD_MS}")
    return int(period_ms)


def _range(table: dict[str, Any]) -> tuple[float, float] | None:
    if "range" not in table:
        return None
    bounds = typed(table, "range", list)
    if len(bounds) != 2:
        raise FaultError(f'"range" must be [least, greatest], not {bounds!r}')
    low, high = (number(bound, "range") for bound in bounds)
    if not low < high:
        raise FaultError(f'"range" must be [least, greatest], not {bounds!r}')
    return low, high


def number(value: Any, key: str) -> float:
    """A finite number. Raises FaultError."""
    if not is_number(value):
        raise FaultError(f'"{key}" must be made of numbers, not {value!r}')
    return float(value)
