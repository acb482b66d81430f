"""What the device asks for by itself when the owner allows it, and the windows through which it reads the answers.

A window is an ordinary message of the profile's tables with an id that no bus has, 0x800 and on: its data are eight bytes of the
positive answer (the last may be shorter), from byte `at`, counted from the answer's first, its service.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from host_tools.signals import services
from host_tools.signals.typed import FaultError, check_keys, typed

AWAKE = "awake"
LEAST_PERIOD_MS, MOST_PERIOD_MS = 100, 3_600_000
MOST_PRIORITY = 255
_KEYS = {"ecu", "request", "period_ms", "priority", "while"}
_NEEDED = {"ecu", "request", "period_ms"}


class Window(NamedTuple):
    """Bytes of an answer from `at` on, as the message of the id `virtual_id`."""

    virtual_id: int
    at: int


@dataclass(frozen=True)
class Request:
    """`request` goes to the ECU of that name every `period_ms` while the vehicle is in one of the `states`; among
    those that are due it counts as `priority` periods late."""

    ecu: str
    request: bytes
    period_ms: int
    priority: int = 0
    states: tuple[str, ...] = (AWAKE,)
    windows: tuple[Window, ...] = ()


def safe_states(ecus: Sequence[Any]) -> dict[str, tuple[str, ...]]:
    """Of each ECU that can be polled the states in which that is harmless."""
    return {ecu.name: (AWAKE, *ecu.safe) for ecu in ecus if not ecu.functional}


def read(table: Mapping[str, Any], safe: Mapping[str, tuple[str, ...]]) -> Request:
    """What a table says but for its windows; `safe`: see `safe_states`. Raises FaultError."""
    ecu = typed(dict(table), "ecu", str)
    if ecu not in safe:
        raise FaultError(f'"{ecu}" is none of the ecus that answer alone; those are {", ".join(safe) or "not there"}')
    states = typed(dict(table), "while", list) if "while" in table else [AWAKE]
    if not states or not all(state in safe[ecu] for state in states):
        raise FaultError(f'"while" takes the states in which asking {ecu} is safe: {", ".join(safe[ecu])}')
    period_ms = _number(table, "period_ms", LEAST_PERIOD_MS, MOST_PERIOD_MS)
    priority = _number(table, "priority", 0, MOST_PRIORITY) if "priority" in table else 0
    return Request(ecu, _bytes(typed(dict(table), "request", str)), period_ms, priority, tuple(states))


def read_told(table: Any, safe: Mapping[str, tuple[str, ...]]) -> Request:
    """The inverse of `told`. Raises FaultError."""
    check_keys(table, _KEYS | {"windows"}, _NEEDED | {"windows"})
    plain = read(table, safe)
    windows = []
    for window in typed(table, "windows", list):
        if not (isinstance(window, list) and len(window) == 2 and all(type(number) is int for number in window)):
            raise FaultError('"windows" must be made of pairs of numbers')
        windows.append(Window(*window))
    return Request(plain.ecu, plain.request, plain.period_ms, plain.priority, plain.states, tuple(windows))


def told(request: Request) -> dict[str, object]:
    """As JSON, what has its default left out."""
    line: dict[str, object] = {"ecu": request.ecu, "request": request.request.hex().upper(), "period_ms": request.period_ms}
    if request.priority:
        line["priority"] = request.priority
    if request.states != (AWAKE,):
        line["while"] = list(request.states)
    return line | {"windows": [list(window) for window in request.windows]}


def _bytes(text: str) -> bytes:
    try:
        request = bytes.fromhex(text)
    except ValueError as error:
        raise FaultError(f'"request" must be bytes in hexadecimal such as "220101", not "{text}"') from error
    if why := services.fault(request):
        raise FaultError(f'"{text}" cannot be asked: {why}')
    return request


def _number(table: Mapping[str, Any], key: str, least: int, most: int) -> int:
    number = typed(dict(table), key, int)
    if not least <= number <= most:
        raise FaultError(f'"{key}" must be in {least} to {most}')
    return int(number)
