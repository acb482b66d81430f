"""The text of a packed profile: compressed JSON lines that say what its numbers mean (SPEC, section 1).

The device never inflates it; readers do, so what it inflates to is bounded and every field's type is checked.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from host_tools.finite import is_number
from host_tools.signals import asking
from host_tools.signals.asking import Asking
from host_tools.signals.profile import PRIORITIES, SOURCES, Profile, Signal
from host_tools.signals.typed import FaultError

_WINDOW_BITS = 10
_MAX_SIZE = 1 << 24
_HEAD = ("name", "version", "vehicle")
_TELEMETRY = PRIORITIES[-1]

T = TypeVar("T")


class Rest(NamedTuple):
    """What of a signal stands in the text alone; `Signal`'s fields of the same names."""

    scale: float
    offset: float
    unit: str
    minimum: float | None
    maximum: float | None
    labels: Mapping[int, str]
    is_float: bool
    valid: tuple[float, float] | None
    deadband: float
    purpose: str
    priority: str
    max_error: float
    source: str


class Meaning(NamedTuple):
    """One signal's line."""

    name: str
    length: int
    is_signed: bool
    rest: Rest


class Meanings(NamedTuple):
    """The whole text: the profile's `name`, `version` and `vehicle`, its purposes, whom it allows to ask, and the signals in
    their order."""

    head: dict[str, str]
    purposes: list[str]
    asking: Asking
    signals: list[Meaning]


def compress(profile: Profile) -> bytes:
    """The text of `profile` as a zlib stream."""
    head = {key: getattr(profile, key) for key in _HEAD} | {"purposes": list(profile.purposes)}
    lines: list[dict[str, object]] = [head | asking.told(profile.asking)]
    lines += [_line(signal) for signal in profile.signals]
    text = "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS)
    return packer.compress(text.encode()) + packer.flush()


def decompress(data: bytes, signals: int) -> Meanings:
    """The text of a profile of so many signals. Raises ValueError where it is damaged or of another kind."""
    lines = [_object(line) for line in _inflate(data).decode().split("\n")]
    if len(lines) != signals + 1:
        raise ValueError(f"{signals} signals but {len(lines)} lines of text")
    head = {key: _typed(lines[0], key, str, "") for key in _HEAD}
    purposes: list[Any] = _typed(lines[0], "purposes", list, [])
    purposes = [_typed({"purposes": name}, "purposes", str, "") for name in purposes]
    try:
        whom = asking.read_told(lines[0])
    except FaultError as fault:
        raise ValueError(f"its text allows to ask what cannot be: {fault}") from fault
    return Meanings(head, purposes, whom, [_meaning(line) for line in lines[1:]])


def _line(signal: Signal) -> dict[str, object]:
    line: dict[str, object] = {"name": signal.name, "signed": signal.is_signed, "length": signal.length}
    optional = {
        "unit": (signal.unit, ""),
        "scale": (_short(signal.scale), 1),
        "offset": (_short(signal.offset), 0),
        "minimum": (_short(signal.minimum), None),
        "maximum": (_short(signal.maximum), None),
        "labels": ({str(raw): text for raw, text in signal.labels.items()}, {}),
        "float": (signal.is_float, False),
        "valid": (signal.valid and [_short(bound) for bound in signal.valid], None),
        "deadband": (_short(signal.deadband), 0),
        "purpose": (signal.purpose, ""),
        "priority": (signal.priority, _TELEMETRY),
        "max_error": (_short(signal.max_error), 0),
        "source": (signal.source, SOURCES[0]),
    }
    return line | {key: value for key, (value, default) in optional.items() if value != default}


def _short(value: float | None) -> float | None:
    return int(value) if value is not None and value == int(value) else value


def _inflate(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MAX_SIZE)
    except zlib.error as error:
        raise ValueError(f"its text does not inflate ({error})") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("its text is cut short, too long or followed by something else")
    return text


def _object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except RecursionError as error:
        raise ValueError("a line of its text nests too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("a line of its text is no JSON object")
    return value


def _meaning(line: dict[str, Any]) -> Meaning:
    labels: dict[str, Any] = _typed(line, "labels", dict, {})
    rest = Rest(
        scale=_number(line, "scale", 1.0),
        offset=_number(line, "offset", 0.0),
        unit=_typed(line, "unit", str, ""),
        minimum=_number(line, "minimum", 0.0) if "minimum" in line else None,
        maximum=_number(line, "maximum", 0.0) if "maximum" in line else None,
        labels={int(raw): _typed(labels, raw, str, "") for raw in labels},
        is_float=_typed(line, "float", bool, False),
        valid=_valid(line),
        deadband=_number(line, "deadband", 0.0),
        purpose=_typed(line, "purpose", str, ""),
        priority=_typed(line, "priority", str, _TELEMETRY),
        max_error=_number(line, "max_error", 0.0),
        source=_typed(line, "source", str, SOURCES[0]),
    )
    name, length = _typed(line, "name", str, ""), _typed(line, "length", int, 0)
    return Meaning(name, length, _typed(line, "signed", bool, False), rest)


def _valid(line: dict[str, Any]) -> tuple[float, float] | None:
    if "valid" not in line:
        return None
    bounds = _typed(line, "valid", list, [])
    if len(bounds) != 2:
        raise ValueError('"valid" in its text is no pair')
    low, high = (_number({"valid": bound}, "valid", 0.0) for bound in bounds)
    return low, high


def _typed(line: dict[str, Any], key: str, kind: type[T], default: T) -> T:
    value = line.get(key, default)
    if not isinstance(value, kind):
        raise ValueError(f'"{key}" in its text is no {kind.__name__}')
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair is none: UnicodeEncodeError is a ValueError
    return value


def _number(line: dict[str, Any], key: str, default: float) -> float:
    value = line.get(key, default)
    if not is_number(value):
        raise ValueError(f'"{key}" in its text is no number')
    return float(value)
