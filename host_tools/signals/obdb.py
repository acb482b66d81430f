"""OBDb's signal sets (signalset.json of a repository of github.com/OBDb): requests, ECUs and values as a profile.

What cannot be taken is left out, and what is doubtful said, a line each. A standard parameter has the scale of SAE J1979, not the
set's. Values beyond a signal's range, which OBDb clamps, the device marks out_of_range.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from host_tools.errors import InputError
from host_tools.finite import is_number
from host_tools.signals import answer, asking, doubts, obd, requests, services
from host_tools.signals.answer import Asked, Value
from host_tools.signals.asking import Asking, Ecu
from host_tools.signals.overlap import overlaps
from host_tools.signals.profile import Profile, Signal
from host_tools.signals.repair import Report
from host_tools.signals.requests import Request
from host_tools.signals.signal import is_of_a_unit
from host_tools.signals.tables import MOST_MESSAGES
from host_tools.signals.typed import FaultError, typed

PURPOSE = "diagnosis"
_PERIODS_MS = (250, 1000, 5000, 30_000, 300_000, 3_600_000)  # a profile has eight; OBDb has any
_FORM = {"bix", "len", "min", "max", "mul", "div", "add", "sign", "unit", "map", "nullmin", "nullmax"}
_COMMAND = {
    "hdr", "rax", "eax", "tst", "pri", "tmo", "fcm1", "cmd", "freq", "signals", "filter", "dbg", "dbgfilter", "proto",
}  # fmt: skip
_WHOLE = re.compile("-?[0-9]{1,20}")  # no integer that a label is for has more digits
_FUNCTIONAL = {0x7DF, 0x18DB33F1}
_TESTER, _PRIORITY = 0xF1, 0x18  # of 29-bit ids where nothing is said (ISO 15765-2, 10.3.3)
_ANSWERS_AT = 8  # an ECU's answers by convention, above its requests
_NEARLY = 0.01  # of a signal's span: a range as wide as this less is only rounded
_UNITS = {
    "volts": "V", "millivolts": "mV", "amps": "A", "milliamps": "mA", "ampereHours": "Ah", "milliohms": "mOhm", "watts": "W",
    "kilowatts": "kW", "kilowattHours": "kWh", "percent": "percent", "celsius": "celsius", "kilometers": "km", "miles": "mi",
    "kilometersPerHour": "km/h", "metersPerSecondSquared": "m/s^2", "kilopascal": "kPa", "bars": "bar", "psi": "psi",
    "seconds": "s", "minutes": "min", "hours": "h", "rpm": "rpm", "degrees": "degrees", "newtonMeters": "Nm",
    "gramsPerSecond": "g/s", "litersPerHour": "l/h", "liters": "l", "kilogramsPerHour": "kg/h", "scalar": "",
    "milligramsPerStroke": "mg/stroke", "hex": "",
}  # fmt: skip
_TEXTS = {"noyes": ("no", "yes"), "yesno": ("yes", "no"), "offon": ("off", "on"), "onoff": ("on", "off")}


@dataclass(frozen=True)
class _Command:
    """One that can be asked."""

    ecu: Ecu
    asked: Asked


def load(path: Path, report: Report) -> Profile:
    """The profile of a signal set; it has ECUs, requests and their windows only. Raises InputError."""
    commands = []
    for number, table in enumerate(_commands(path), 1):
        try:
            commands.append(_command(table, report))
        except (FaultError, InputError) as fault:
            report(f"command {number}{_called(table)} left out: {fault}")
    taken = list(_fitting(_distinct(commands, report), report))
    if not taken:
        raise InputError(f"{path}: no command of it can be asked")
    found, windows = answer.compiled([command.asked for command in taken])
    for window in windows:
        for one, other in overlaps(window.signals):
            report(f"signal {other.name} overlaps {one.name}")
    ecus = tuple(dict.fromkeys(command.ecu for command in taken))
    return Profile(path.stem, "", path.stem, tuple(windows), Asking(ecus, {}, found))


def _commands(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    commands = content.get("commands") if isinstance(content, dict) else None
    if not isinstance(commands, list) or not commands:
        raise InputError(f'{path}: no OBDb signal set: it has no list "commands"')
    return commands


def _called(table: Any) -> str:
    """" (7E4 220101)", as far as it says so."""
    if not isinstance(table, dict) or not isinstance(table.get("cmd"), dict):
        return ""
    request = "".join(f"{service}{what}" for service, what in table["cmd"].items())
    return f" ({table.get('hdr')} {request})"


def _command(table: Any, report: Report) -> _Command:
    if not isinstance(table, dict):
        raise FaultError("it is no object")
    for key in table.keys() - _COMMAND:
        raise FaultError(f'its "{key}" is not known')
    ecu = _ecu(table)
    command = typed(table, "cmd", dict) if "cmd" in table else {}
    if len(command) != 1:
        raise FaultError('its "cmd" is no single service')
    ((service, what),) = command.items()
    plain = {"ecu": ecu.name, "request": f"{service}{what}", "period_ms": _period_ms(table)}
    request = requests.read(plain, {ecu.name: (requests.AWAKE,)})
    if services.identifiers(request.request):
        raise FaultError("it reads several identifiers, and does not say where one's data end")
    signals = typed(table, "signals", list) if "signals" in table else []
    values = tuple(_values(signals, request, report))
    if not values:
        raise FaultError("none of its signals can be taken")
    return _Command(ecu, Asked(request, values))


def _ecu(table: dict[str, Any]) -> Ecu:
    """By `hdr`, in which a 29-bit id has two bytes; `rax`, `eax` and `tst` as in an ELM327."""
    text = typed(table, "hdr", str) if "hdr" in table else ""
    header = _hex(text, "hdr")
    tester = _hex(table["tst"], "tst") if "tst" in table else _TESTER
    is_wide = len(text) > 3
    first = _hex(table["pri"], "pri") << 24 if "pri" in table else _PRIORITY << 24
    tx_id = first | (header << 8 | tester if len(text) == 4 else header) if is_wide else header
    if tx_id in _FUNCTIONAL:
        raise FaultError(f"{tx_id:X} asks all ECUs at once; a value is asked of one")
    if "rax" in table:
        rx_id = _hex(table["rax"], "rax") | (first if is_wide else 0)
    elif not is_wide:
        rx_id = tx_id + _ANSWERS_AT
    elif header >> 8 == 0xDA:
        rx_id = first | 0xDA << 16 | tester << 8 | header & 0xFF
    else:
        raise FaultError('it does not say by "rax" where the answer comes from')
    ecu: dict[str, object] = {"name": f"{tx_id:X}", "tx_id": tx_id, "rx_id": rx_id, "is_extended_id": is_wide}
    if "eax" in table:
        prefix = _hex(table["eax"], "eax")
        ecu |= {"name": f"{tx_id:X}-{prefix:02X}", "prefix": prefix, "rx_prefix": tester}
    return asking.read({"ecus": [ecu]}).ecus[0]


def _hex(text: Any, key: str) -> int:
    try:
        return int(text, 16)
    except (TypeError, ValueError) as error:
        raise FaultError(f'its "{key}" is no hexadecimal number') from error


def _period_ms(table: dict[str, Any]) -> int:
    seconds = table.get("freq", 1)
    if not is_number(seconds) or seconds <= 0:
        raise FaultError('its "freq" is no time in seconds')
    return next((period for period in _PERIODS_MS if period >= seconds * 1000), _PERIODS_MS[-1])


def _values(signals: list[Any], request: Request, report: Report) -> Iterator[Value]:
    for number, table in enumerate(signals, 1):
        name = table.get("id") if isinstance(table, dict) else None
        try:
            value = _value(table, request)
        except (FaultError, InputError) as fault:
            report(f"signal {name or number} of {request.request.hex().upper()} left out: {fault}")
            continue
        value, lines = doubts.settled(value, request.request, obd.catalogue())
        for line in lines:
            report(f"signal {name} ({request.request.hex().upper()}): {line}")
        yield value


def _value(table: Any, request: Request) -> Value:
    if not isinstance(table, dict) or not isinstance(table.get("fmt"), dict):
        raise FaultError('it has no "fmt"')
    form = table["fmt"]
    if "id" not in table or "len" not in form:
        raise FaultError('it has no "id"' if "id" not in table else 'its "fmt" has no "len"')
    for key in form.keys() - _FORM:
        raise FaultError(f'its "{key}" is not known')
    name, length = typed(table, "id", str), typed(form, "len", int)
    unit = typed(form, "unit", str) if "unit" in form else ""
    labels = _labels(typed(form, "map", dict)) if "map" in form else {}
    labels = labels or (dict(enumerate(_TEXTS[unit])) if unit in _TEXTS and length == 1 else {})
    scale, offset = _number(form, "mul", 1) / _number(form, "div", 1), _number(form, "add", 0)
    unit = "" if unit in _TEXTS else _UNITS.get(unit, unit)
    is_signed = bool(form.get("sign", False))
    signal = Signal(
        name, 0, length, "big_endian", is_signed, float(scale), float(offset), unit,
        labels=labels, period_ms=request.period_ms, purpose=PURPOSE,
    )  # fmt: skip
    value = Value(typed(form, "bix", int) if "bix" in form else 0, replace(signal, valid=_range(form, signal)))
    if why := answer.fault(value, request.request):
        raise FaultError(why)
    return value


def _labels(said: dict[str, Any]) -> dict[int, str]:
    if not all(_WHOLE.fullmatch(raw) and isinstance(text, dict) and "value" in text for raw, text in said.items()):
        raise FaultError('its "map" is not made as {"1": {"value": "ON"}}')
    return {int(raw): str(text["value"]) for raw, text in said.items()}


def _number(form: dict[str, Any], key: str, default: int) -> Fraction:
    number = form.get(key, default)
    if not is_number(number) or not is_of_a_unit(number) or (key in ("mul", "div") and not number):
        raise FaultError(f'its "{key}" is no number that can be used')
    return Fraction(repr(number))


def _range(form: dict[str, Any], signal: Signal) -> tuple[float, float] | None:
    """What the device judges values by; None where all that the bits can say is good."""
    if signal.is_wide or signal.labels:
        return None
    bottom, top = doubts.span(signal)
    slack, step = _NEARLY * (top - bottom), abs(signal.scale)
    low = float(_number(form, "min", 0)) if "min" in form else bottom
    high = float(_number(form, "max", 0)) if "max" in form else top
    low, high = bottom if low <= bottom + slack else low, top if high >= top - slack else high
    if "nullmin" in form:
        low = max(low, float(_number(form, "nullmin", 0)) + step)
    if "nullmax" in form:
        high = min(high, float(_number(form, "nullmax", 0)) - step)
    return (low, high) if (low, high) != (bottom, top) and low < high else None


def _distinct(commands: list[_Command], report: Report) -> Iterator[_Command]:
    """Each request to an ECU once, and each name once; an ECU answers at one id."""
    seen, names = set(), set[str]()
    asked, answering = dict[object, Ecu](), dict[object, Ecu]()
    for command in commands:
        request, ecu = command.asked.request, command.ecu
        text = f"{request.ecu} {request.request.hex().upper()}"
        if asked.setdefault(ecu.asked_at, ecu) != ecu:
            report(f"request {text} left out: {ecu.name} answers at another id before")
        elif (other := answering.setdefault(ecu.answers_from, ecu)) != ecu:
            report(f"request {text} left out: {other.name} answers at that id before")
        elif (request.ecu, request.request) in seen:
            report(f"request {text} left out: it is asked already")
        else:
            seen.add((request.ecu, request.request))
            yield replace(command, asked=_renamed(command.asked, names, report))


def _renamed(asked: Asked, names: set[str], report: Report) -> Asked:
    values = []
    for value in asked.values:
        name, text = value.signal.name, asked.request.request.hex().upper()
        for more in (text, asked.request.ecu):  # which no other has both
            name = f"{name}_{more}" if name in names else name
        if name != value.signal.name:
            report(f"signal {value.signal.name} of {text} is now {name}: the name is taken")
        names.add(name)
        values.append(value._replace(signal=replace(value.signal, name=name)))
    return replace(asked, values=tuple(values))


def _fitting(commands: Iterator[_Command], report: Report) -> Iterator[_Command]:
    """As many as a device takes."""
    windows, ecus = 0, set[Ecu]()
    for command in commands:
        text = f"{command.ecu.name} {command.asked.request.request.hex().upper()}"
        own = len(answer.compiled([command.asked])[1])
        if windows + own > MOST_MESSAGES:
            report(f"request {text} left out: a device reads {MOST_MESSAGES} parts of answers")
        elif len(ecus | {command.ecu}) > asking.MOST_ECUS:
            report(f"request {text} left out: a device takes {asking.MOST_ECUS} ecus")
        else:
            windows += own
            ecus.add(command.ecu)
            yield command
