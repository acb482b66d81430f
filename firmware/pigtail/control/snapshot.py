"""The latest values of some signals, physical."""

import struct
from micropython import const
from pigtail.signals.profile import LOW_HALF, row_of
from time import ticks_ms

_QUALITY = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
_STALE = const(2)
_SILENT = const(15)  # data length of a row that has gone silent


def snapshot(profile, values, found):
    """{name: what is known of it, None where it was never heard} for all in `found`, as `listing` has it."""
    if values.judge:
        values.judge.limits()
    now = ticks_ms()
    return {name: _latest(profile, values, found[name], now) for name in found}


def _latest(profile, values, meaning, now):
    s = meaning[0]
    row = row_of(profile, s)
    ticks = values.ticks[row]
    if not ticks:
        return None
    return {
        "value": _physical(profile, values.raw, s, *meaning[2:]),
        "age_ms": now - ticks & 0x0FFFFFFF,
        "quality": _QUALITY[_STALE if ticks >> 28 == _SILENT else values.quality[s]],
        "source": "diagnostic" if profile.is_window(row) else "broadcast",
    }


def _physical(profile, raw, s, length, is_signed, is_float, scale, offset):
    """raw × scale + offset; None for what JSON has no number for."""
    value = raw[s] & 0xFFFFFFFF
    if profile.classes[s] & LOW_HALF:
        value |= (raw[s + 1] & 0xFFFFFFFF) << 32
    value &= (1 << length) - 1
    if is_float:
        value = _float(value, length)
    elif is_signed and value >> length - 1:
        value -= 1 << length
    value = value * scale + offset
    return value if value - value == 0 else None


def _float(bits, length):
    """What an IEEE 754 number of 16, 32 or 64 bits stands for."""
    if length > 16:
        return struct.unpack("<f" if length == 32 else "<d", struct.pack("<Q", bits))[0]
    exponent, fraction = bits >> 10 & 31, bits & 1023
    if exponent == 31:
        value = float("nan") if fraction else float("inf")
    elif exponent:
        value = (1024 + fraction) * 2.0 ** (exponent - 25)
    else:
        value = fraction * 2.0**-24
    return -value if bits & 0x8000 else value
