"""What an ECU's identifiers say: bytes, or a function of time as data.

"00 1a f8"                              always these bytes
{ text = "KMHXX00XXXX000000" }          always these characters
{ steps = [[0, "00"], [20, "01"]] }     each from its time on (s)
{ ramp = [200, 800], seconds = 60, bytes = 2 }   a number that goes from one to the other and stays there, big-endian
"""

from collections.abc import Callable
from typing import Any

from host_tools.finite import is_number
from host_tools.signals.typed import FaultError, check_keys, typed

Value = Callable[[float], bytes]  # what it is at a time, s since the car started

_MOST_BYTES = 8


def value(said: Any) -> Value:
    """The value of one entry of a table. Raises FaultError."""
    if isinstance(said, str):
        return _always(hexadecimal(said))
    if not isinstance(said, dict) or len(said.keys() & {"text", "steps", "ramp"}) != 1:
        raise FaultError(f'{said!r} is no value: give bytes such as "1a f8", or {{ text = … }}, {{ steps = … }}, {{ ramp = … }}')
    if "text" in said:
        check_keys(said, {"text"}, set())
        return _always(_ascii(typed(said, "text", str)))
    return _steps(said) if "steps" in said else _ramp(said)


def hexadecimal(text: Any) -> bytes:
    """Bytes from their digits. Raises FaultError."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError) as error:
        raise FaultError(f'{text!r} are no bytes: give hexadecimal digits such as "1a f8"') from error


def _ascii(text: str) -> bytes:
    if not text.isascii():
        raise FaultError(f"{text!r} has characters that are not ASCII")
    return text.encode()


def _always(data: bytes) -> Value:
    return lambda at: data


def _steps(said: dict[str, Any]) -> Value:
    check_keys(said, {"steps"}, set())
    steps = []
    for step in typed(said, "steps", list):
        if not isinstance(step, list) or len(step) != 2 or not is_number(step[0]):
            raise FaultError(f'step {step!r}: give [seconds, "bytes"]')
        steps.append((float(step[0]), hexadecimal(step[1])))
    if not steps or steps != sorted(steps, key=lambda step: step[0]):
        raise FaultError("steps: give at least one, in order of time")
    return lambda at: next((data for since, data in reversed(steps) if since <= at), steps[0][1])


def _ramp(said: dict[str, Any]) -> Value:
    check_keys(said, {"ramp", "seconds", "bytes"}, {"seconds", "bytes"})
    ends, seconds, size = typed(said, "ramp", list), said["seconds"], typed(said, "bytes", int)
    if len(ends) != 2 or not all(map(_is_whole, ends)) or not is_number(seconds) or seconds <= 0:
        raise FaultError(f"ramp {ends!r}: give two whole numbers, and seconds above 0")
    if not 1 <= size <= _MOST_BYTES or min(ends) < 0 or max(ends) >= 1 << 8 * size:
        raise FaultError(f"ramp {ends!r}: its numbers must be from 0 on and fit 1 to {_MOST_BYTES} bytes, {size} here")
    first, last = map(int, ends)

    def ramp(at: float) -> bytes:
        share = min(max(at / seconds, 0.0), 1.0)
        return int(first + (last - first) * share + 0.5).to_bytes(size, "big")

    return ramp


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)
