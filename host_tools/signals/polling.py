"""[[requests]] of a vehicle file: what the device asks for by itself, once the owner allows it.

[[requests]]            one request to one ECU
ecu = "battery"         name of one of the [[ecus]]
request = "220101"      its bytes; one that reads values: see services
period_ms = 1000        how often, also the period of its signals
priority = 1            among those that are due it counts as so many periods late; 0 when nothing is said
while = ["awake"]       the vehicle's states in which it is asked: awake, as when nothing is said, or what is `safe` for the ECU
[[requests.signals]]    one signal in the answer each, keys as in [[signals]], without dbc and period_ms, and
start = 32              bits from behind the identifier to its most significant bit, the highest bit of a byte first;
byte_order = "little_endian"  with that to its least significant one, the lowest first; big_endian when nothing is said
length = 16             bits
is_signed = true        scale = 0.1, offset = -40, is_float: as in a DBC
labels = { 0 = "off" }  texts by raw value
optional = true         an answer that ends before it is good, too

[[requests]]            two or three identifiers of ISO 14229-1 in one request
request = "22F40CF40D"
sizes = [2, 1]          then: bytes of each one's data, six at most
[[requests.signals]]    `start` counts behind its own identifier
identifier = "F40D"

[[requests]]            the same for standard values of SAE J1979:
ecu = "engine"
obd = ["EngineSpeed"]   names of the vehicle file `obd2`, without "Vehicle.OBD."; it says the rest
period_ms = 1000

[[parameters]]          in `obd2` only: request and signals, as above, of what a DBC cannot have: answers of several frames
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from host_tools.errors import InputError
from host_tools.signals import datatypes, requests, services
from host_tools.signals.answer import MOST_OF_SEVERAL, Asked, Value
from host_tools.signals.asking import Ecu
from host_tools.signals.entries import SAMPLED_KEYS, each, number, sampled
from host_tools.signals.profile import ON_CHANGE, Signal
from host_tools.signals.requests import Request
from host_tools.signals.typed import FaultError, check_keys, typed

Catalogue = Mapping[str, tuple[bytes, Value]]  # request and signal by name
_REQUEST_KEYS = {"ecu", "request", "period_ms", "priority", "while", "signals", "sizes"}
_OBD_KEYS = _REQUEST_KEYS - {"request", "signals", "sizes"} | {"obd"}
_BITS_KEYS = {"identifier", "start", "length", "byte_order", "is_signed", "is_float", "scale", "offset", "labels", "optional"}
_ORDERS = ("big_endian", "little_endian")


def read(content: Mapping[str, Any], ecus: Sequence[Ecu], standard: Callable[[], Catalogue]) -> list[Asked]:
    """The tables `requests`. Raises FaultError."""
    tables = typed(dict(content), "requests", list) if "requests" in content else []
    safe = requests.safe_states(ecus)
    asked = [one for several in each("request", tables, lambda table: list(_asked(table, safe, standard))) for one in several]
    seen = set()
    for one in asked:
        if (key := (one.request.ecu, one.request.request)) in seen:
            raise FaultError(f"{one.request.ecu} is asked twice for {one.request.request.hex().upper()}")
        seen.add(key)
    return asked


def parameters(content: Mapping[str, Any]) -> dict[str, tuple[bytes, Value]]:
    """The tables `parameters` by the paths of their signals. Raises FaultError."""
    tables = typed(dict(content), "parameters", list) if "parameters" in content else []
    found = {}
    for request, values in each("parameter", tables, _parameter):
        found.update({value.signal.name: (request, value) for value in values})
    return found


def _asked(table: Any, safe: Mapping[str, tuple[str, ...]], standard: Callable[[], Catalogue]) -> Iterator[Asked]:
    if isinstance(table, dict) and "obd" in table:
        check_keys(table, _OBD_KEYS, {"ecu", "obd", "period_ms"})
        yield from _standard(table, safe, standard())
        return
    check_keys(table, _REQUEST_KEYS, {"ecu", "request", "period_ms", "signals"})
    request = requests.read(table, safe)
    several = services.identifiers(request.request)
    signals = each("signal", typed(table, "signals", list), lambda signal: _value(signal, request.period_ms, several))
    yield Asked(request, tuple(signals), _sizes(table, several))


def _sizes(table: dict[str, Any], several: list[bytes]) -> tuple[int, ...]:
    if not several:
        if "sizes" in table:
            raise FaultError('"sizes" is for requests with several identifiers')
        return ()
    sizes = typed(table, "sizes", list) if "sizes" in table else []
    if len(sizes) != len(several) or not all(type(size) is int and 1 <= size <= MOST_OF_SEVERAL for size in sizes):
        raise FaultError(f'"sizes" must tell the bytes of each of the {len(several)} identifiers\' data, 1 to {MOST_OF_SEVERAL}')
    return tuple(sizes)


def _standard(table: dict[str, Any], safe: Mapping[str, tuple[str, ...]], standard: Catalogue) -> Iterator[Asked]:
    """One request for each parameter; several of the names may be in one."""
    by_request: dict[bytes, list[Value]] = {}
    for name in typed(table, "obd", list):
        if not isinstance(name, str) or name not in standard:
            raise FaultError(f'"{name}" is no standard value; `pigtail signals show obd2` has those of one frame')
        request, value = standard[name]
        by_request.setdefault(request, []).append(value)
    if not by_request:
        raise FaultError('"obd" is empty')
    for request, values in by_request.items():
        whole: Request = requests.read({**table, "request": request.hex()}, safe)
        yield Asked(whole, tuple(_every(value, whole.period_ms) for value in values))


def _every(value: Value, period_ms: int) -> Value:
    if value.signal.period_ms == ON_CHANGE:
        return value
    return value._replace(signal=replace(value.signal, period_ms=period_ms))


def _parameter(table: Any) -> tuple[bytes, list[Value]]:
    check_keys(table, {"request", "signals"}, {"request", "signals"})
    plain = {"ecu": "", "period_ms": requests.LEAST_PERIOD_MS, "request": table["request"]}
    request = requests.read(plain, {"": (requests.AWAKE,)}).request
    signals = each("signal", typed(table, "signals", list), lambda signal: _value(signal, requests.LEAST_PERIOD_MS, []))
    return request, signals


def _value(table: Any, period_ms: int, several: list[bytes]) -> Value:
    check_keys(table, SAMPLED_KEYS | _BITS_KEYS, {"path", "datatype", "purpose", "start", "length"})
    if table.get("on_change", True) is not True:
        raise FaultError("on_change is true or left out: then the request's period counts")
    own = sampled(table, ON_CHANGE if "on_change" in table else period_ms)
    order = typed(table, "byte_order", str) if "byte_order" in table else _ORDERS[0]
    if order not in _ORDERS:
        raise FaultError(f'"byte_order" is big_endian or little_endian, not "{order}"')
    start, length = typed(table, "start", int), typed(table, "length", int)
    if start < 0:
        raise FaultError('"start" must not be negative')
    try:
        signal = own.sampled(_plain(table, own.path, own.unit, length, order))
    except InputError as error:
        raise FaultError(str(error)) from error
    datatypes.check(signal, own.path, own.datatype, "its bits and scale")
    return Value(start, signal, _flag(table, "optional"), _identifier(table, several))


def _identifier(table: dict[str, Any], several: list[bytes]) -> bytes:
    """Which of the request's, where there are several, the signal is behind."""
    text = typed(table, "identifier", str) if "identifier" in table else ""
    found = [one for one in several if one.hex().upper() == text.upper()]
    if (several or text) and not found:
        known = ", ".join(one.hex().upper() for one in several) or "none: the request has a single one"
        raise FaultError(f'"identifier" must be one of the request\'s: {known}')
    return found[0] if found else b""


def _plain(table: dict[str, Any], path: str, unit: str, length: int, order: Any) -> Signal:
    scale, offset = (number(table.get(key, default), key) for key, default in (("scale", 1.0), ("offset", 0.0)))
    if not scale:
        raise FaultError('"scale" must not be 0')
    signed, is_float = _flag(table, "is_signed"), _flag(table, "is_float")
    return Signal(path, 0, length, order, signed, scale, offset, unit, labels=_labels(table), is_float=is_float)


def _labels(table: dict[str, Any]) -> dict[int, str]:
    labels = typed(table, "labels", dict) if "labels" in table else {}
    try:
        return {int(raw): typed(labels, raw, str) for raw in labels}
    except ValueError as error:
        raise FaultError('"labels" must be texts by raw value') from error


def _flag(table: dict[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise FaultError(f'"{key}" must be true or false')
    return value
