"""A profile for people and for programs: a table, a list of plain dicts, and finding a message or signal by its name."""

from collections.abc import Iterable
from difflib import get_close_matches

from rich.table import Table
from rich.text import Text

from host_tools.errors import InputError
from host_tools.signals.drawing import first_bit, ranges_text
from host_tools.signals.profile import ON_CHANGE, PRIORITIES, UNSAMPLED, Message, Profile, Signal

_MOST_LABELS = 3


def table(profile: Profile) -> Table:
    """One row a signal, in the order of ids."""
    columns = ["signal", "id", "bits", "scale", "unit", "range", "period", "purpose", "labels"]
    rows = [_cells(message, signal) for message in profile.messages for signal in message.signals]
    used = [i for i, name in enumerate(columns) if name != "labels" or any(row[i] for row in rows)]
    shown = Table(*(columns[i] for i in used), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        shown.add_row(*(Text(row[i]) for i in used))
    return shown


def plain(profile: Profile) -> dict[str, object]:
    """The profile as what JSON can hold. `start` is as in a DBC, ids are numbers, `period_ms` null means on change."""
    head: dict[str, object] = {"name": profile.name, "version": profile.version, "vehicle": profile.vehicle}
    signals = [_plain(message, signal) for message in profile.messages for signal in message.signals]
    return head | {"signals": signals}


def message_called(profile: Profile, text: str) -> Message:
    """The message of that name, of that id in hexadecimal, or with that signal. Raises InputError that names close ones."""
    for message in profile.messages:
        names = [signal.name for signal in message.signals]
        if text == message.name or text in names or any(name.startswith(f"{text}.") for name in names):
            return message
    for message in profile.messages:
        if text.upper().removeprefix("0X") == f"{message.arbitration_id:X}":
            return message
    known = [name for message in profile.messages for name in (message.name, *(s.name for s in message.signals))]
    raise unknown(f"profile {profile.name} has no message", text, known)


def unknown(what: str, text: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist, with those that are close."""
    names = list(dict.fromkeys(known))
    close = get_close_matches(text, names, n=3, cutoff=0.4) or names[:3]
    return InputError(f"{what} {text!r}; {'close is' if len(close) == 1 else 'close are'} {', '.join(close)}")


def number(value: float) -> str:
    """A number as short as it can be said, six digits at most."""
    return f"{value:,.0f}" if abs(value) >= 1e6 and value == int(value) else f"{value:.6g}"


def counts(profile: Profile) -> str:
    """`3 messages, 1 signal`."""
    heard, asked = sum(not message.is_window for message in profile.messages), len(profile.asking.requests)
    numbers = {"message": heard, **({"request": asked} if asked else {}), "signal": len(profile.signals)}
    return ", ".join(f"{count} {what}{'s' if count != 1 else ''}" for what, count in numbers.items())


def id_text(message: Message) -> str:
    """The id in hexadecimal, as long as its kind is: 3 or 8 digits; of a window request and first byte."""
    if message.is_window:
        return message.name
    return f"{message.arbitration_id:0{8 if message.is_extended_id else 3}X}"


def _cells(message: Message, signal: Signal) -> tuple[str, ...]:
    return (
        signal.name,
        id_text(message),
        _bits(signal),
        _scale(signal),
        signal.unit,
        _range(signal),
        _period(signal),
        _purpose(signal),
        _labels(signal),
    )


def _bits(signal: Signal) -> str:
    """As a DBC has it: start|length@order and sign, `f` for a float; then the selector's values."""
    order, sign = int(signal.byte_order == "little_endian"), "f" if signal.is_float else "+-"[signal.is_signed]
    when = f" m{ranges_text(signal.selection.ranges)}" if signal.selection else ""
    return f"{first_bit(signal)}|{signal.length}@{order}{sign}{when}"


def _scale(signal: Signal) -> str:
    offset = f" {'-' if signal.offset < 0 else '+'} {number(abs(signal.offset))}" if signal.offset else ""
    return f"{number(signal.scale)}{offset}"


def _range(signal: Signal) -> str:
    """The range that is judged; in brackets what the source only says."""
    if signal.valid:
        return f"{number(signal.valid[0])} to {number(signal.valid[1])}"
    if signal.minimum is None or signal.maximum is None:
        return ""
    return f"({number(signal.minimum)} to {number(signal.maximum)})"


def _period(signal: Signal) -> str:
    if signal.period_ms == UNSAMPLED:
        return "not sampled"
    if signal.period_ms != ON_CHANGE:
        period = f"{signal.period_ms / 1000:g} s" if signal.period_ms % 1000 == 0 else f"{signal.period_ms} ms"
        return f"{period} ± {number(signal.max_error)}" if signal.max_error else period
    return f"on change > {number(signal.deadband)}" if signal.deadband else "on change"


def _purpose(signal: Signal) -> str:
    return signal.purpose if signal.priority == PRIORITIES[-1] else f"{signal.purpose} ({signal.priority})"


def _labels(signal: Signal) -> str:
    some = [f"{raw} {text}" for raw, text in list(signal.labels.items())[:_MOST_LABELS]]
    return ", ".join(some) + (", …" if len(signal.labels) > _MOST_LABELS else "")


def _plain(message: Message, signal: Signal) -> dict[str, object]:
    selected, period_ms = signal.selection, signal.period_ms
    return {
        "name": signal.name,
        "message": message.name,
        "arbitration_id": message.arbitration_id,
        "is_extended_id": message.is_extended_id,
        "start": first_bit(signal),
        "length": signal.length,
        "byte_order": signal.byte_order,
        "is_signed": signal.is_signed,
        "is_float": signal.is_float,
        "scale": signal.scale,
        "offset": signal.offset,
        "unit": signal.unit,
        "minimum": signal.minimum,
        "maximum": signal.maximum,
        "range": signal.valid,
        "labels": {str(raw): text for raw, text in signal.labels.items()},
        "is_sampled": period_ms != UNSAMPLED,
        "period_ms": period_ms if period_ms > 0 else None,
        "deadband": signal.deadband,
        "purpose": signal.purpose,
        "priority": signal.priority,
        "max_error": signal.max_error,
        "source": signal.source,
        "selector": selected.selector if selected else None,
        "selector_ranges": selected.ranges if selected else None,
        "is_counter": bool(message.counter and message.counter.signal == signal.name),
        "checksum_rule": message.checksum.rule if message.checksum and message.checksum.signal == signal.name else None,
    }
