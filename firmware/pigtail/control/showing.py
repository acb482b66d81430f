"""What MQTT tells by itself, for the console: the status, the latest values, and the profile that gives them meaning. Loaded for
one and forgotten."""

from binascii import b2a_base64
from micropython import const
from time import ticks_ms

_ROWS = const(16)  # of a page, at most
_SIGNALS = const(64)
_BYTES = const(384)
_STALE = const(2)
_SILENT = const(15)  # data length of a row that has gone silent


def status(console, given):
    """As on the topic of that name."""
    return console.status()


def values(console, given):
    """Rows from number `skip` on that were heard, as [row, age in ms, quality of each signal, raw value of each]; `next` is where
    the next page begins, None after the last one."""
    skip, profile, values = given["skip"], _there(console.profile, given["skip"]), console.values
    if values.judge:
        values.judge.limits()
    rows, signals, now = [], 0, ticks_ms()
    while skip < profile.row_count and len(rows) < _ROWS:
        ticks, s = values.ticks[skip], profile.first(skip)
        end = s + profile.count(skip)
        signals += end - s
        if rows and signals > _SIGNALS:
            break
        if ticks:
            is_silent = ticks >> 28 == _SILENT
            qualities = [_STALE] * (end - s) if is_silent else list(values.quality[s:end])
            rows.append([skip, now - ticks & 0x0FFFFFFF, qualities, list(values.raw[s:end])])
        skip += 1
    more = skip if skip < profile.row_count else None
    return {"profile": "%08x" % profile.identity, "boot": console.outbox.boot, "rows": rows, "next": more}


def profile(console, given):
    """Its bytes from number `skip` on, as base64, and how many it has."""
    profile = _there(console.profile, given["skip"])
    with open(profile.path, "rb") as f:
        f.seek(given["skip"])
        data = b2a_base64(f.read(_BYTES)).strip().decode()
    return {"profile": "%08x" % profile.identity, "size": profile.size, "data": data}


def _there(profile, skip):
    if profile is None:
        raise ValueError("there is no profile")
    if skip < 0:
        raise ValueError("skip: takes 0 or more")
    return profile
