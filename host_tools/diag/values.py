"""The values in an answer, where a profile says what lies where in it."""

from host_tools.signals import descriptor
from host_tools.signals.layout import halves
from host_tools.signals.message import Message
from host_tools.signals.profile import Profile
from host_tools.signals.requests import Window
from host_tools.signals.signal import WORD_BITS, Signal


def named(profile: Profile, ecu: str, request: bytes, answer: bytes) -> list[dict[str, object]]:
    """Those that the profile's request to this ECU has, as JSON; empty where it has no such request."""
    messages = {message.key: message for message in profile.messages}
    return [
        _told(signal, answer[window.at :])
        for asked in profile.asking.requests
        if (asked.ecu, asked.request) == (ecu, request)
        for window in asked.windows
        for signal in _within(messages, window, answer)
    ]


def _told(signal: Signal, data: bytes) -> dict[str, object]:
    """As JSON; a value beyond the range that the profile gives it is flagged, not clamped."""
    value = _value(signal, data)
    is_beyond = signal.valid is not None and isinstance(value, int | float) and not signal.valid[0] <= value <= signal.valid[1]
    return {"name": signal.name, "value": value, "unit": signal.unit, "quality": "out_of_range" if is_beyond else "valid"}


def _within(messages: dict[int, Message], window: Window, answer: bytes) -> list[Signal]:
    """The signals that the answer is long enough for."""
    return [signal for signal in messages[window.virtual_id].signals if window.at + signal.size <= len(answer)]


def _value(signal: Signal, data: bytes) -> float | str:
    """Physical, or the label of a raw value that has one."""
    parts = [descriptor.extract(descriptor.encode(part, True), data[:8]) for part in halves(signal)]
    raw = parts[0] if len(parts) == 1 else parts[0] & (1 << WORD_BITS) - 1 | parts[1] << WORD_BITS
    return signal.labels.get(signal.number(raw)) or signal.physical(raw)
