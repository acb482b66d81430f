"""Limits, rules and quanta in the packed profile: valid ranges, deadbands and greatest errors as raw numbers, counters and
checksums (SPEC, section 1)."""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction

from host_tools.signals.message import CHECKSUM_RULES, Checksum, Counter
from host_tools.signals.profile import Profile, Signal

LIMIT = struct.Struct("<HHiiI")
RULE = struct.Struct("<HHHHHBB")
QUANTUM = struct.Struct("<HH")
NONE = 0xFFFF
_SIGNED, _UNSIGNED, _FLOAT = range(3)
_LEAST, _MOST = -(1 << 31), (1 << 31) - 1
_MAX_U32 = 0xFFFFFFFF


def limits(profile: Profile) -> list[bytes]:
    """One entry a signal that has a valid range or a deadband."""
    return [
        LIMIT.pack(index, _kind(field.signal), *_bounds(field.signal), _deadband(field.signal))
        for index, field in enumerate(profile.fields)
        if (field.signal.valid or field.signal.deadband) and not field.is_high
    ]


def rules(profile: Profile) -> list[bytes]:
    """One entry a message that has a counter or a checksum."""
    index = {field.signal.name: i for i, field in enumerate(profile.fields)}
    packed = []
    for number, message in enumerate(profile.messages):
        counter, checksum = message.counter, message.checksum
        if counter or checksum:
            counts = (index[counter.signal], counter.step, counter.modulo) if counter else (NONE, 0, 0)
            checks = (index[checksum.signal], CHECKSUM_RULES.index(checksum.rule) + 1) if checksum else (NONE, 0)
            packed.append(RULE.pack(number, *counts, *checks, 0))
    return packed


def quanta(profile: Profile) -> list[bytes]:
    """One entry a signal whose samples need not be exact."""
    errors = ((index, field.signal.quantum) for index, field in enumerate(profile.fields))
    return [QUANTUM.pack(index, most) for index, most in errors if most]


def unpack_rules(table: bytes, names: list[str]) -> Iterator[tuple[int, Counter | None, Checksum | None]]:
    """(message, its counter, its checksum) of each entry; `names` of the fields. Raises ValueError, InputError."""
    for number, counts, step, modulo, checks, rule, _ in RULE.iter_unpack(table):
        if (counts != NONE and counts >= len(names)) or (checks != NONE and checks >= len(names)):
            raise ValueError(f"its rule for message {number} is out of bounds")
        if checks != NONE and not 1 <= rule <= len(CHECKSUM_RULES):
            raise ValueError(f"it has a checksum by an unknown rule {rule}")
        counter = Counter(names[counts], modulo, step) if counts != NONE else None
        checksum = Checksum(names[checks], CHECKSUM_RULES[rule - 1]) if checks != NONE else None
        yield number, counter, checksum


def _kind(signal: Signal) -> int:
    return _FLOAT if signal.is_float else _SIGNED if signal.is_signed else _UNSIGNED


def _bounds(signal: Signal) -> tuple[int, int]:
    """Least and greatest valid raw value, as the keys by which the device compares."""
    if not signal.valid:
        return _LEAST, _MOST
    low, high = (_raw(signal, bound) for bound in signal.valid)
    if signal.scale < 0:
        low, high = high, low
    if signal.is_float:
        return _float_key(low, above=True), _float_key(high, above=False)
    key = 0 if signal.is_signed else 1 << 31  # unsigned numbers, moved so that they compare as signed ones
    return _clamp(math.ceil(low) - key), _clamp(math.floor(high) - key)


def _raw(signal: Signal, physical: float) -> Fraction:
    """Exact in the decimals that the user wrote, so that 250 km/h is 25000 × 0.01."""
    return (Fraction(repr(physical)) - Fraction(repr(signal.offset))) / Fraction(repr(signal.scale))


def _clamp(value: int) -> int:
    return max(_LEAST, min(_MOST, value))


def _float_key(value: Fraction, above: bool) -> int:
    """The key of the 32-bit float nearest to `value` that is not beyond it."""
    try:
        (bits,) = struct.unpack("<i", struct.pack("<f", float(value)))
    except OverflowError:
        (bits,) = struct.unpack("<i", struct.pack("<f", math.copysign(math.inf, value)))
    key = bits ^ (0x7FFFFFFF if bits < 0 else 0)
    (rounded,) = struct.unpack("<f", struct.pack("<i", bits))
    if math.isinf(rounded):
        return int(key)
    if above and Fraction(rounded) < value:
        return int(key) + 1
    return int(key) - (not above and Fraction(rounded) > value)


def _deadband(signal: Signal) -> int:
    """Greatest difference of raw values that is not told."""
    return min(_MAX_U32, math.floor(Fraction(repr(signal.deadband)) / abs(Fraction(repr(signal.scale)))))
