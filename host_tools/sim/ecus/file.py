"""The file of a virtual car that answers (TOML): its ECUs, what they know and how they behave.

[states]                  when the vehicle is in which state (s), by any names
locked = [[30, 60]]
[[ecus]]                  one ECU each
name = "battery"
tx_id = 0x7e4             the id of requests; above 0x7ff, or with is_extended_id = true, a 29-bit one
rx_id = 0x7ec             the id of its answers
prefix = 0x07             extended and mixed addressing: the first byte of requests; rx_prefix: that of answers
functional = [0x7df]      ids at which all are asked; left out: 0x7df, or 0x18db33f1 for 29 bits
services = [0x22, 0x3e]   left out: 10, 14, 19, 22, 3e; OBD's where there are pids, freeze or infos; 21 where there are locals
sessions = [1]            that it takes
delay_ms = 5              until it answers; an hour at most, as all that is in ms
pad = 0xaa                fills its frames; "none": they are as short as can be
block_size = 0, st_min = 0     asked of testers whose requests are long
alarm_while = ["locked"]  states in which a frame to it sets off the alarm
silent_while = ["asleep"] states in which it does not answer
[ecus.dids]               identifiers and what they say, see values; or pids (service 01), freeze (02), infos (09), locals (21)
f190 = { text = "KMHXX00XXXX000000" }
[[ecus.codes]]            trouble codes, see trouble
code = "P0420"
[[ecus.behaviours]]       see facts.Behaviour
request = "22 01 01"
pending = 3
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from math import inf
from pathlib import Path
from typing import Any

from host_tools.errors import InputError
from host_tools.finite import is_number
from host_tools.signals.typed import FaultError, check_keys, typed
from host_tools.sim.ecus import obd, trouble
from host_tools.sim.ecus.facts import Behaviour, Facts, Spans
from host_tools.sim.ecus.server import KNOWN
from host_tools.sim.ecus.trouble import Code
from host_tools.sim.ecus.values import Value, hexadecimal, value

_STANDARD, _EXTENDED = 0x7FF, 0x1FFFFFFF
_EVERYONE, _EVERYONE_EXTENDED = 0x7DF, 0x18DB33F1
_ALWAYS = frozenset({0x10, 0x14, 0x19, 0x22, 0x3E})
_LOCAL = 0x21
_TABLES = {"dids": 2, "pids": 1, "freeze": 1, "infos": 1, "locals": 1}  # bytes of their identifiers
_NUMBERS = {"prefix": 0xFF, "rx_prefix": 0xFF, "block_size": 0xFF, "st_min": 0xFF}  # and their greatest
_KEYS = {
    "name", "tx_id", "rx_id", "is_extended_id", "functional", "services", "sessions", "delay_ms", "pad", "codes", "behaviours",
    "alarm_while", "silent_while", *_TABLES, *_NUMBERS,
}  # fmt: skip
_CODE_KEYS = {"code", "status", "since", "until", "permanent", "snapshot", "extended"}
_FRAME, _ALWAYS_SINGLE = 8, 6  # bytes
_ENDLESS = {"until", "times"}  # may be inf
_COUNTS = {"pending", "copies", "flow_controls"}  # of frames that are made at once
_MOST_FRAMES, _MOST = 10_000, 3_600_000  # the latter of ms and s


def load_all(paths: Sequence[Path]) -> tuple[Facts, ...]:
    """The ECUs of all files. Raises InputError, also where two are asked at the same id."""
    ecus: list[Facts] = []
    for path in paths:
        for fresh in load(path):
            if same := [ecu.name for ecu in ecus if _asked_at(ecu) == _asked_at(fresh)]:
                raise InputError(f"{path}: {fresh.name} is asked at {fresh.tx_id:#x} like {same[0]}: give it an id of its own")
            if fresh.name in [ecu.name for ecu in ecus]:
                raise InputError(f"{path}: there is an ecu {fresh.name} already: give it a name of its own")
            ecus.append(fresh)
    return tuple(ecus)


def _asked_at(ecu: Facts) -> tuple[int, bool, int | None]:
    return ecu.tx_id, ecu.is_extended_id, ecu.prefix


def load(path: Path) -> list[Facts]:
    """The ECUs of a file. Raises InputError that names the file and what in it is wrong."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    try:
        check_keys(content, {"states", "ecus"}, {"ecus"})
        states = {name: _spans(name, said) for name, said in _table(content, "states").items()}
        return [_named(f"ecu {n}", _ecu, table, states) for n, table in enumerate(typed(content, "ecus", list), 1)]
    except FaultError as fault:
        raise InputError(f"{path}: {fault}") from fault


def _named(what: str, read: Callable[..., Any], *said: Any) -> Any:
    try:
        return read(*said)
    except FaultError as fault:
        raise FaultError(f"{what}: {fault}") from fault


def _ecu(table: Any, states: Mapping[str, Spans]) -> Facts:
    check_keys(table, _KEYS, {"name", "tx_id", "rx_id"})
    tx_id, rx_id = _number(table, "tx_id", _EXTENDED), _number(table, "rx_id", _EXTENDED)
    is_extended = _flag(table, "is_extended_id") or max(tx_id, rx_id) > _STANDARD
    if ("prefix" in table) != ("rx_prefix" in table):
        raise FaultError("prefix and rx_prefix: give both or neither")
    everyone = [_EVERYONE_EXTENDED if is_extended else _EVERYONE]
    tables: dict[str, Any] = {key: _named(key, _values, _table(table, key), size) for key, size in _TABLES.items()}
    tables |= {key: _number(table, key, most) for key, most in _NUMBERS.items() if key in table}
    return Facts(
        typed(table, "name", str), tx_id, rx_id, is_extended,
        functional=tuple(_numbers(table, "functional", _EXTENDED, everyone)),
        pad=_pad(table.get("pad", 0)),
        delay_ms=_quantity(table, "delay_ms", 5.0),
        services=_services(table),
        sessions=frozenset(_numbers(table, "sessions", 0x7F, [1])),
        codes=[_named(f"code {n}", _code, said) for n, said in enumerate(_list(table, "codes"), 1)],
        behaviours=[_named(f"behaviour {n}", _behaviour, said) for n, said in enumerate(_list(table, "behaviours"), 1)],
        alarm=_while(table, "alarm_while", states),
        asleep=_while(table, "silent_while", states),
        **tables,
    )  # fmt: skip


def _services(table: dict[str, Any]) -> frozenset[int]:
    services = set(_ALWAYS)
    if table.keys() & {"pids", "freeze", "infos"}:
        services |= set(obd.SERVICES)
    if "locals" in table:
        services.add(_LOCAL)
    chosen = frozenset(_numbers(table, "services", 0xFF, sorted(services)))
    if unknown := chosen - KNOWN:
        known = ", ".join(f"{service:02x}" for service in sorted(KNOWN))
        raise FaultError(f"service {min(unknown):02x} is not one that a virtual ECU knows: {known}")
    return chosen


def _values(table: dict[str, Any], size: int) -> dict[int, Value]:
    return {_identifier(key, size): _named(f'"{key}"', value, said) for key, said in table.items()}


def _identifier(text: str, size: int) -> int:
    digits = text.lower().removeprefix("0x")
    if not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", digits):
        raise FaultError(f'"{text}" is no identifier: give {2 * size} hexadecimal digits')
    return int(digits, 16)


def _code(table: Any) -> Code:
    check_keys(table, _CODE_KEYS, {"code"})
    return Code(
        trouble.parse(typed(table, "code", str)),
        _number(table, "status", 0xFF, 0x2F),
        _quantity(table, "since", 0.0),
        _quantity(table, "until", inf),
        _flag(table, "permanent"),
        {_identifier(key, 2): hexadecimal(data) for key, data in _table(table, "snapshot").items()},
        {_identifier(key, 1): hexadecimal(data) for key, data in _table(table, "extended").items()},
    )


def _behaviour(table: Any) -> Behaviour:
    """Each key as the field of that name is."""
    kinds = {field.name: field.type for field in fields(Behaviour)}
    check_keys(table, set(kinds), set())
    read = Behaviour(**{key: _READ[kinds[key]](table, key) for key in table})
    if any(len(data) > _FRAME for data in read.frames):
        raise FaultError("frames: a frame has eight bytes at most")
    if read.interleaved is not None and not 0 < len(read.interleaved) <= _ALWAYS_SINGLE:
        raise FaultError("interleaved: one to six bytes, for they go in a single frame")
    if read.answer is not None and not read.answer:
        raise FaultError("answer: at least one byte; or silent = true")
    if not read.copies:
        raise FaultError("copies: from 1 on; or silent = true")
    for key, whole_ms in ("pending", read.pending * read.pending_ms), ("copies", read.copies * read.copies_ms):
        if whole_ms > _MOST:
            raise FaultError(f"{key} times {key}_ms: {_MOST} at most")
    return read


def _spans(name: str, said: Any) -> Spans:
    spans = []
    for span in said if isinstance(said, list) else [said]:
        if not isinstance(span, list) or len(span) != 2 or not all(map(_is_quantity, span)) or span[0] >= span[1]:
            raise FaultError(f"state {name}: give [[start, end], …] in seconds with end after start, such as [[30, 60]]")
        spans.append((float(span[0]), float(span[1])))
    return tuple(spans)


def _while(table: dict[str, Any], key: str, states: Mapping[str, Spans]) -> Spans:
    for name in _list(table, key):
        if not isinstance(name, str) or name not in states:
            raise FaultError(f'{key}: there is no state "{name}" under [states]')
    return tuple(span for name in _list(table, key) for span in states[name])


def _pad(said: Any) -> int | None:
    return None if said == "none" else _number({"pad": said}, "pad", 0xFF)


def _table(table: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = typed(table, key, dict) if key in table else {}
    return found


def _list(table: dict[str, Any], key: str) -> list[Any]:
    found: list[Any] = typed(table, key, list) if key in table else []
    return found


def _flag(table: dict[str, Any], key: str) -> bool:
    if not isinstance(table.get(key, False), bool):
        raise FaultError(f'"{key}" must be true or false, not {table[key]!r}')
    return bool(table.get(key, False))


def _number(table: dict[str, Any], key: str, most: int, default: int = 0) -> int:
    number: int = typed(table, key, int) if key in table else default
    if not 0 <= number <= most:
        told = most if key in _COUNTS else f"{most:#x}"
        raise FaultError(f'"{key}" must be from 0 to {told}, not {number}')
    return number


def _numbers(table: dict[str, Any], key: str, most: int, default: list[int]) -> list[int]:
    return [_number({key: said}, key, most) for said in _list(table, key)] if key in table else default


def _quantity(table: dict[str, Any], key: str, default: float) -> float:
    said = table.get(key, default)
    if not _is_quantity(said) or said < 0:
        raise FaultError(f'"{key}" must be a number from 0 on, not {said!r}')
    if said > _MOST and key not in _ENDLESS:
        raise FaultError(f'"{key}" must be {_MOST} at most, not {said!r}')
    return float(said)


def _is_quantity(said: Any) -> bool:
    return is_number(said) or said == inf  # for ever


def _bytes(table: dict[str, Any], key: str) -> bytes:
    data: bytes = _named(key, hexadecimal, table[key])
    return data


_READ: dict[Any, Callable[[dict[str, Any], str], Any]] = {
    bytes: _bytes,
    bytes | None: _bytes,
    bool: _flag,
    float: lambda table, key: _quantity(table, key, 0.0),
    float | None: lambda table, key: _quantity(table, key, 0.0),
    int: lambda table, key: _number(table, key, _MOST_FRAMES if key in _COUNTS else _EXTENDED),
    int | None: lambda table, key: _number(table, key, 0xFF if key == "nrc" else _EXTENDED),
    tuple[bytes, ...]: lambda table, key: tuple(_named(key, hexadecimal, data) for data in _list(table, key)),
}
