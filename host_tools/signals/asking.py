"""Whom a vehicle's profile allows to ask, and from which signals it is known whether asking does harm.

[[ecus]]                one ECU that may be asked for diagnostics
name = "engine"
tx_id = 0x7E0           the id of requests; above 0x7FF, or with is_extended_id = true, a 29-bit one
rx_id = 0x7E8           the id of its answers; left out where it is functional
prefix = 0x12           first byte of every frame, where addressing is extended or mixed (ISO 15765-2, 10.3)
rx_prefix = 0xF1        that of the answers' frames, where it is another one: extended addressing, in which it is our address
sessions = [3]          diagnostic sessions that reading needs (ISO 14229-1, 10.2); none is the rule
safe = ["charging"]     states in which asking it is known to do no harm, beside awake: locked, asleep, charging
functional = true       many may answer, such as at 0x7DF
interval_ms = 100       the least time between two requests to it
block_size = 8          frames of its answers between two flow controls (ISO 15765-2, 9.6.5.3); 0, as without it: all at once
st_min = 20             the least time between two of them: 0 to 127 ms, 0xF1 to 0xF9 100 to 900 us (ISO 15765-2, 9.6.5.4)
pad = 0xAA              fills the frames that go to it up to eight bytes; 0 without it
timeout_ms = 1000       how long its answer may be in coming (ISO 14229-2, P2)
[states.charging]       the vehicle is charging, locked or awake while
signal = "Vehicle.…"    this signal of the profile, one that nobody has to ask for; what was told in the last 5 s counts,
raw = [1, 2]            has one of these values
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from host_tools.signals import requests
from host_tools.signals.requests import Request
from host_tools.signals.typed import FaultError, check_keys, typed

SAFE = ("locked", "asleep", "charging")
STATES = ("locked", "charging", "awake")
MOST_ECUS = 16
_ECU_KEYS = {"name", "tx_id", "rx_id", "is_extended_id", "prefix", "rx_prefix", "sessions", "safe", "functional", "interval_ms"}
_TRANSPORT = {"block_size": (0, 255), "st_min": (0, 0xF9), "pad": (0, 255), "timeout_ms": (50, 9900)}
_PROGRAMMING = 2
_STANDARD, _EXTENDED = 1 << 11, 1 << 29


@dataclass(frozen=True)
class Ecu:
    """One that may be asked; `rx_id` None: it is functional. `rx_prefix` None: as `prefix`."""

    name: str
    tx_id: int
    rx_id: int | None
    is_extended_id: bool = False
    prefix: int | None = None
    sessions: tuple[int, ...] = ()
    safe: tuple[str, ...] = ()
    interval_ms: int = 100
    rx_prefix: int | None = None
    block_size: int = 0
    st_min: int = 0
    pad: int = 0
    timeout_ms: int = 1000

    @property
    def functional(self) -> bool:
        """Whether many may answer."""
        return self.rx_id is None

    @property
    def asked_at(self) -> tuple[int, bool, int | None]:
        """Its address on the bus: no other has it."""
        return self.tx_id, self.is_extended_id, self.prefix

    @property
    def answers_from(self) -> tuple[int | None, bool, int | None]:
        """The same of its answers."""
        return self.rx_id, self.is_extended_id, self.prefix if self.rx_prefix is None else self.rx_prefix


@dataclass(frozen=True)
class State:
    """The vehicle is in it while the signal of that name has one of the raw values."""

    signal: str
    raw: tuple[int, ...]


@dataclass(frozen=True)
class Asking:
    """All of it; empty where nothing may be asked."""

    ecus: tuple[Ecu, ...] = ()
    states: Mapping[str, State] = field(default_factory=dict)
    requests: tuple[Request, ...] = ()


def read(content: Mapping[str, Any]) -> Asking:
    """The tables `ecus` and `states` of a vehicle file. Raises FaultError."""
    ecus = []
    for number, table in enumerate(_list(content, "ecus", dict), 1):
        try:
            ecus.append(_ecu(table))
        except FaultError as fault:
            raise FaultError(f"ecu {number}: {fault}") from fault
    if why := conflict(ecus):
        raise FaultError(why)
    return Asking(tuple(ecus), _states(content))


def conflict(ecus: Sequence[Ecu]) -> str:
    """Why one device cannot ask all of these; "" where it can."""
    if len(ecus) > MOST_ECUS:
        return f"{len(ecus)} ecus; a device takes {MOST_ECUS}"
    answering = [ecu.answers_from for ecu in ecus if not ecu.functional]
    for key, what in ("name", [ecu.name for ecu in ecus]), ("tx_id", [ecu.asked_at for ecu in ecus]), ("rx_id", answering):
        if len(set(what)) < len(what):
            return f"two ecus have the same {key}: which is asked, or answers, could not be told"
    forms = {(*ecu.asked_at[:2], ecu.prefix is None) for ecu in ecus}
    if len({form[:2] for form in forms}) < len(forms):
        return "two ecus have the same tx_id, with a prefix and without: what one takes for a length is an address to the other"
    return ""


def read_told(head: Mapping[str, Any]) -> Asking:
    """The inverse of `told`. Raises FaultError."""
    whom = read(head)
    safe = requests.safe_states(whom.ecus)
    return replace(whom, requests=tuple(requests.read_told(table, safe) for table in _list(head, "requests", dict)))


def told(asking: Asking) -> dict[str, object]:
    """The same as JSON, what has its default left out."""
    lines: dict[str, object] = {}
    if asking.ecus:
        lines["ecus"] = [_line(ecu) for ecu in asking.ecus]
    if asking.states:
        lines["states"] = {name: {"signal": s.signal, "raw": list(s.raw)} for name, s in asking.states.items()}
    if asking.requests:
        lines["requests"] = [requests.told(request) for request in asking.requests]
    return lines


def _line(ecu: Ecu) -> dict[str, object]:
    plain = Ecu("", 0, None)
    optional = ("rx_id", "is_extended_id", "prefix", "rx_prefix", "interval_ms", *_TRANSPORT)
    line: dict[str, object] = {"name": ecu.name, "tx_id": ecu.tx_id}
    line |= {key: getattr(ecu, key) for key in optional if getattr(ecu, key) != getattr(plain, key)}
    line |= {key: list(value) for key, value in (("sessions", ecu.sessions), ("safe", ecu.safe)) if value}
    return line | ({"functional": True} if ecu.functional else {})


def _ecu(table: dict[str, Any]) -> Ecu:
    check_keys(table, _ECU_KEYS | _TRANSPORT.keys(), {"name", "tx_id"})
    wide = _flag(table, "is_extended_id") or typed(table, "tx_id", int) >= _STANDARD
    functional = _flag(table, "functional")
    if functional == ("rx_id" in table):
        raise FaultError('it needs either an "rx_id" or functional = true')
    limit = _EXTENDED if wide else _STANDARD
    for key in ("tx_id", "rx_id"):
        if key in table and not 0 <= typed(table, key, int) < limit:
            raise FaultError(f'"{key}" must be below 0x{limit:X}')
    if _is_testers(table.get("rx_id", 0), wide):
        raise FaultError(f'"rx_id" 0x{table["rx_id"]:X} is an id of requests (ISO 15765-4): its answers would pause the device')
    prefix, rx_prefix = (typed(table, key, int) if key in table else None for key in ("prefix", "rx_prefix"))
    for key, byte in (("prefix", prefix), ("rx_prefix", rx_prefix)):
        if byte is not None and not 0 <= byte <= 255:
            raise FaultError(f'"{key}" must be one byte')
    if rx_prefix is not None and prefix is None:
        raise FaultError('"rx_prefix" needs "prefix"')
    sessions = _list(table, "sessions", int)
    if _PROGRAMMING in sessions or not all(1 <= session <= 0x7F for session in sessions):
        raise FaultError('"sessions" must be made of 1 to 0x7F, and never 2, which is for programming')
    safe = _list(table, "safe", str)
    if not set(safe) <= set(SAFE):
        raise FaultError(f'"safe" takes {", ".join(SAFE)}')
    interval_ms = typed(table, "interval_ms", int) if "interval_ms" in table else 100
    if not 50 <= interval_ms <= 3_600_000:
        raise FaultError('"interval_ms" must be in 50 to 3600000')
    return Ecu(
        typed(table, "name", str), table["tx_id"], table.get("rx_id"), wide, prefix, tuple(sessions), tuple(safe), interval_ms,
        rx_prefix, **_transport(table, functional),
    )  # fmt: skip


def _transport(table: dict[str, Any], functional: bool) -> dict[str, int]:
    """How its frames go and come, what is said of it."""
    said = {key: typed(table, key, int) for key in _TRANSPORT if key in table}
    if said and functional:
        raise FaultError(f'"{next(iter(said))}" is for an ECU that answers alone: each is asked by its own')
    for key, value in said.items():
        least, most = _TRANSPORT[key]
        if not least <= value <= most:
            raise FaultError(f'"{key}" must be in {least} to {most}')
    if 0x7F < said.get("st_min", 0) < 0xF1:
        raise FaultError('"st_min" must be 0 to 127 (ms) or 0xF1 to 0xF9 (100 to 900 us): the others are reserved')
    return said


def _is_testers(ident: int, wide: bool) -> bool:
    """Whether the device takes frames with this id for another tester's, whatever the profile (`can/ears`)."""
    return ident == 0x18DB33F1 or ident & 0x1FFF00FF == 0x18DA00F1 if wide else 0x7DF <= ident <= 0x7E7


def _states(content: Mapping[str, Any]) -> dict[str, State]:
    tables = typed(dict(content), "states", dict) if "states" in content else {}
    found = {}
    for name, table in tables.items():
        if name not in STATES:
            raise FaultError(f'states: "{name}" is none; known are {", ".join(STATES)}')
        try:
            check_keys(table, {"signal", "raw"}, {"signal", "raw"})
            found[name] = State(typed(table, "signal", str), tuple(_list(table, "raw", int)))
        except FaultError as fault:
            raise FaultError(f"states.{name}: {fault}") from fault
    return found


def _list(table: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    values = typed(dict(table), key, list) if key in table else []
    if not all(isinstance(value, kind) and not isinstance(value, bool) for value in values):
        raise FaultError(f'"{key}" must be a list of {kind.__name__}')
    return list(values)


def _flag(table: Mapping[str, Any], key: str) -> bool:
    """A yes or no, no where it is left out. Raises FaultError."""
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise FaultError(f'"{key}" must be true or false')
    return value
