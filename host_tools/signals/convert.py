"""From cantools' model to ours: take what the packed table can carry, say what was left out and why."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from cantools.database import Database
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal

from host_tools.errors import InputError
from host_tools.finite import is_number
from host_tools.signals import descriptor
from host_tools.signals.overlap import overlaps
from host_tools.signals.profile import Message, Profile, Selection, Signal
from host_tools.signals.repair import Report
from host_tools.signals.signal import UNITS, is_of_a_unit

_MAX_DATA = 8
_MAX_LENGTH = 64
_MAX_SELECTOR = 32
_FLOATS = (16, 32, 64)

Places = Mapping[tuple[int, str], str]  # "car.dbc, line 10: ", where it stands, by message key and name of a signal


def profile(
    database: Database, name: str, period_ms: int, report: Report, places: Places = MappingProxyType({})
) -> Profile:
    """All signals of `database` that the packed table can carry, named "Message.Signal", sampled every `period_ms`.

    What is left out and what overlaps is reported, a line each, with its place in the file if that is known. Raises
    InputError where nothing is left, see also `Profile`.
    """
    messages = []
    for message, message_name in _distinct(database.messages, report):
        at = _places(message, places)
        signals = tuple(_signals(message, message_name, period_ms, report, at))
        for one, other in overlaps(signals):
            report(f"{at[other.name.removeprefix(f'{message_name}.')]}signal {other.name} overlaps {one.name}")
        if signals:
            messages.append(Message(message.frame_id, message.is_extended_frame, message_name, signals))
    if not messages:
        raise InputError(f"{name}: it has no signal that can be sampled")
    return Profile(name, database.version or "", name, tuple(messages))


def reasons_to_leave_out(message: DbcMessage) -> dict[str, str]:
    """By name of the signal: why the packed table cannot carry it. Signals that it can carry are not in it."""
    found = {signal.name: signal for signal in message.signals}
    reasons = {name: why for name, signal in found.items() if (why := _own_reason(message, signal))}
    for name in found.keys() - reasons.keys():
        if why := _selector_reason(found[name], found, reasons):
            reasons[name] = why
    return reasons


def convert(signal: DbcSignal, name: str, period_ms: int, selected: Selection | None = None) -> Signal:
    """`signal`, one with no reason to leave it out, as the profile models it."""
    start, byte_order = descriptor.from_dbc(signal.start, signal.length, signal.byte_order)
    minimum, maximum = _range(signal)
    return Signal(
        name,
        start,
        signal.length,
        byte_order,
        signal.is_signed and not signal.is_float,
        float(signal.scale),
        float(signal.offset),
        signal.unit or "",
        minimum,
        maximum,
        {int(raw): str(label) for raw, label in (signal.choices or {}).items()},
        period_ms,
        signal.is_float,
        selected,
    )


def selection(signal: DbcSignal, names: Mapping[str, str]) -> Selection | None:
    """When `signal` is in a frame; `names` says what the signals of its message are called. None means always."""
    if not signal.multiplexer_ids or signal.multiplexer_signal is None:
        return None
    ranges: list[tuple[int, int]] = []
    for value in sorted(set(signal.multiplexer_ids)):
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], value
        else:
            ranges.append((value, value))
    return Selection(names[signal.multiplexer_signal], tuple(ranges))


def _own_reason(message: DbcMessage, signal: DbcSignal) -> str:
    if signal.length > _MAX_LENGTH:
        return f"longer than {_MAX_LENGTH} bits"
    if not (is_of_a_unit(signal.scale) and is_of_a_unit(signal.offset)):
        return f"its scale or offset is not 0 or from {UNITS[0]:g} to {UNITS[1]:g}"
    if signal.is_float and signal.length not in _FLOATS:
        return f"no IEEE float has {signal.length} bits"
    start, byte_order = descriptor.from_dbc(signal.start, signal.length, signal.byte_order)
    if start < 0 or start + signal.length > 8 * _MAX_DATA:
        return f"beyond the end of its message of {message.length} bytes"
    if Signal("", start, signal.length, byte_order).size > message.length:
        return f"beyond the end of its message of {message.length} bytes"
    return ""


def _selector_reason(signal: DbcSignal, found: dict[str, DbcSignal], reasons: dict[str, str]) -> str:
    seen = {signal.name}
    while signal.multiplexer_ids and signal.multiplexer_signal is not None:
        name = signal.multiplexer_signal
        if name not in found or name in seen:
            return f"its selector {name} is not in the message, or selects itself"
        if name in reasons or found[name].is_float or found[name].length > _MAX_SELECTOR:
            return f"its selector {name} is left out or no integer of up to {_MAX_SELECTOR} bits"
        if max(signal.multiplexer_ids) >> _MAX_SELECTOR:
            return f"its selector {name} has {_MAX_SELECTOR} bits at most, its value there has more"
        seen.add(name)
        signal = found[name]
    return ""


def _distinct(messages: Iterable[DbcMessage], report: Report) -> Iterator[tuple[DbcMessage, str]]:
    """Every id once, and a name for each that no other has; without what needs CAN FD."""
    ids: set[tuple[int, bool]] = set()
    names: set[str] = set()
    for message in messages:
        key = message.frame_id, message.is_extended_frame
        if message.length > _MAX_DATA:
            report(f"message {message.name} left out: its {message.length} bytes need CAN FD, which the device has not")
            continue
        if key in ids:
            report(f"message {message.name} left out: its id {message.frame_id:X} is taken by another")
            continue
        name = message.name if message.name not in names else f"{message.name}_{message.frame_id:X}"
        if name != message.name:
            report(f"message {message.name} with id {message.frame_id:X} is now {name}: the name is taken")
        ids.add(key)
        names.add(name)
        yield message, name


def _places(message: DbcMessage, places: Places) -> dict[str, str]:
    """Those of the message's signals by their names; empty where they are not known."""
    key = message.frame_id | message.is_extended_frame << 29
    return {signal.name: places.get((key, signal.name), "") for signal in message.signals}


def _signals(
    message: DbcMessage, message_name: str, period_ms: int, report: Report, at: Mapping[str, str]
) -> Iterator[Signal]:
    names = {signal.name: f"{message_name}.{signal.name}" for signal in message.signals}
    reasons = reasons_to_leave_out(message)
    given = Counter[str]()
    for signal in message.signals:
        given[signal.name] += 1
        why = reasons.get(signal.name) or ("its message has the name twice" if given[signal.name] > 1 else "")
        if why:
            report(f"{at[signal.name]}signal {names[signal.name]} left out: {why}")
        else:
            yield convert(signal, names[signal.name], period_ms, selection(signal, names))


def _range(signal: DbcSignal) -> tuple[float | None, float | None]:
    minimum, maximum = signal.minimum, signal.maximum
    if is_number(minimum) and is_number(maximum) and minimum < maximum:
        return float(minimum), float(maximum)
    return None, None
