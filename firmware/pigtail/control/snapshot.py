"""The latest values of some signals, physical, as the profile's text explains them."""

import struct
from micropython import const
from pigtail.control.names import find
from pigtail.signals.profile import LOW_HALF
from time import ticks_ms

_MOST = const(16)
_QUALITY = ("valid", "out_of_range", "stale", "bad_counter", "bad_checksum")
_STALE = const(2)
_SILENT = const(15)  # data length of a row that has gone silent


def snapshot(commands, names):
    """A generator; its value is {name: value or None}. Raises ValueError for names that it cannot take."""
    if not 1 <= len(names) <= _MOST or not all([type(name) is str for name in names]):
        raise ValueError("signals: takes 1 to %d names" % _MOST)
    found = yield from find(commands.profile, names)
    for name in names:
        if name not in found:
            raise ValueError("signals: the profile has no " + name)
    if commands.values.judge:
        commands.values.judge.limits()
    now = ticks_ms()
    return {name: latest(commands.profile, commands.values, found[name][0], found[name][1], now) for name in names}


def latest(profile, values, s: int, meaning: dict, now: int):
    """What is known of descriptor `s` at tick `now`; None when it was never heard."""
    ticks = values.ticks[_row_of(profile, s)]
    if not ticks:
        return None
    is_silent = ticks >> 28 == _SILENT
    return {
        "value": physical(_raw(profile, values.raw, s, meaning), meaning),
        "age_ms": now - ticks & 0x0FFFFFFF,
        "quality": _QUALITY[_STALE if is_silent else values.quality[s]],
        "source": "broadcast",
    }


def _row_of(profile, s):
    for row in range(profile.row_count):
        if profile.first(row) <= s < profile.first(row) + profile.count(row):
            return row


def _raw(profile, raw, s, meaning):
    """The whole number that the bits are, or for a float what they stand for."""
    low = raw[s]
    if profile.classes[s] & LOW_HALF:
        if meaning.get("float"):
            return struct.unpack("<d", struct.pack("<ii", low, raw[s + 1]))[0]
        value = raw[s + 1] << 32 | low & 0xFFFFFFFF
        return value if meaning["signed"] else value & (1 << meaning["length"]) - 1
    if meaning.get("float"):
        return struct.unpack("<f", struct.pack("<i", low))[0] if meaning["length"] == 32 else _half(low)
    return low if meaning["signed"] else low & 0xFFFFFFFF


def _half(bits):
    """IEEE 754 binary16."""
    exponent, fraction = bits >> 10 & 31, bits & 1023
    if exponent == 31:
        value = float("nan") if fraction else float("inf")
    elif exponent:
        value = (1024 + fraction) * 2.0 ** (exponent - 25)
    else:
        value = fraction * 2.0**-24
    return -value if bits & 0x8000 else value


def physical(raw, meaning: dict):
    """raw × scale + offset; None for what JSON has no number for."""
    value = raw * meaning.get("scale", 1) + meaning.get("offset", 0)
    return value if value - value == 0 else None
