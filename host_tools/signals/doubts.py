"""Is what a signal set says of a value true? By SAE J1979 where that defines it, else by what its unit makes plausible."""

from collections.abc import Iterator
from dataclasses import replace

from host_tools.signals.answer import Value
from host_tools.signals.polling import Catalogue
from host_tools.signals.show import number
from host_tools.signals.signal import Signal

_SAME = 1e-6  # relative difference of two scales that are the same, but for rounding
_FACTORS = {("mA", "A"): 0.001, ("kPa", "Pa"): 1000.0, ("", "ratio"): 1.0}  # from a unit to the vehicle file's
_LEAST_BITS = 16  # of a current: fewer are a share of something rather than a current both ways
_MOST = 10_000  # in such units even 16 bits with a tenth as a step stay below
_BOUNDED = {"V", "A", "percent", "celsius", "km/h", "psi", "bar"}


def settled(value: Value, request: bytes, standard: Catalogue) -> tuple[Value, list[str]]:
    """The value as it is to be taken, and what is to be told about it, a line each."""
    for asked, other in standard.values():
        same_place = (asked, other.start, other.signal.length) == (request, value.start, value.signal.length)
        if same_place and not value.signal.labels:
            return _by_standard(value, other.signal)
    return value, list(_implausible(value.signal))


def span(signal: Signal) -> tuple[float, float]:
    """The least and the greatest physical value that its bits can say."""
    least = -(1 << signal.length - 1) if signal.is_signed else 0
    one, other = (raw * signal.scale + signal.offset for raw in (least, least + (1 << signal.length) - 1))
    return min(one, other), max(one, other)


def _by_standard(value: Value, standard: Signal) -> tuple[Value, list[str]]:
    signal = value.signal
    if signal.unit != standard.unit and (signal.unit, standard.unit) not in _FACTORS:
        return value, [f'it is in "{signal.unit}", by SAE J1979 in "{standard.unit}"']
    factor = _FACTORS.get((signal.unit, standard.unit), 1.0)
    wanted = standard.scale / factor, standard.offset / factor, standard.is_signed
    ours = signal.scale, signal.offset, signal.is_signed
    if ours[2] == wanted[2] and _is_same(ours[0], wanted[0], abs(wanted[0])) and _is_same(ours[1], wanted[1], abs(wanted[1])):
        return value, []
    settled = replace(signal, scale=wanted[0], offset=wanted[1], is_signed=wanted[2], valid=None)
    return value._replace(signal=settled), [f"it says {_formula(signal)}, SAE J1979 {_formula(settled)}, which is taken"]


def _is_same(one: float, other: float, size: float) -> bool:
    return abs(one - other) <= _SAME * max(size, _SAME)


def _formula(signal: Signal) -> str:
    """`unsigned × 0.5 - 40`"""
    offset = f" {'-' if signal.offset < 0 else '+'} {number(abs(signal.offset))}" if signal.offset else ""
    return f"{'signed' if signal.is_signed else 'unsigned'} × {signal.scale:.8g}{offset}"


def _implausible(signal: Signal) -> Iterator[str]:
    _, top = span(signal)
    if signal.valid:
        top = min(top, signal.valid[1])
    if signal.unit in _BOUNDED and top > _MOST:
        yield f"it reaches {number(top)} {signal.unit}: is a divisor missing?"
    if signal.unit == "A" and not signal.is_signed and signal.offset >= 0 and signal.length >= _LEAST_BITS:
        yield "a current that is never negative: is it signed?"
