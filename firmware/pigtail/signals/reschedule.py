"""The owner's periods: a profile with the same signals, sampled otherwise, is a profile of its own with an identity of its own.

It is written beside the original once and loaded instead, so that the table, the batches and the reader know only profiles.
"""

import os
import struct
from binascii import crc32
from micropython import const
from pigtail.signals.profile import (
    BRANCHES, CLASS_MASK, HEADER_SIZE, LOW_HALF, ON_CHANGE, RULE, SET_ASIDE, UNSAMPLED, Profile, ProfileError,
)  # fmt: skip

_CLASSES_AT = const(16)
_QUANTA_AT = const(64)
_ROW_SIZE = const(12)
_FLAGS_AT = const(9)


def scheduled(path: str, periods: dict) -> Profile:
    """The profile at `path` with `periods` (signal name: ms, 0 on change). Raises ProfileError on a name it does not know."""
    base = Profile(path)
    wanted = _periods_by_index(base, periods)
    target = path + ".own"
    identity = _identity(_pieces(base, wanted))
    try:
        present = Profile(target)
        if present.identity == identity:
            return present
    except (OSError, ProfileError):
        pass  # none yet, or one that a power cut spoilt: written anew
    with open(target + ".new", "wb") as f:
        for piece in _pieces(base, wanted):
            f.write(piece)
        f.write(struct.pack("<I", identity))
    os.rename(target + ".new", target)
    return Profile(target)


def fault(profile, index: int, period_ms: int):
    """Why the signal of descriptor `index` cannot have this period; None when it can."""
    if profile.classes[index] & CLASS_MASK == UNSAMPLED:
        return "a signal that is never sampled"
    try:
        _schedule(profile, {index: period_ms, index + (profile.classes[index] & LOW_HALF > 0): period_ms})
    except ProfileError as error:
        return str(error)


def _periods_by_index(profile, periods):
    result = {}
    known = 0
    for i, name in enumerate(profile.names()):
        if name is None:
            if i - 1 in result:
                result[i] = result[i - 1]  # the two halves go together
        elif name in periods:
            if profile.classes[i] & CLASS_MASK == UNSAMPLED:
                raise ProfileError("periods: a signal that is never sampled")
            result[i] = periods[name]
            known += 1
    if known != len(periods):
        raise ProfileError("periods: a signal that the profile does not have")
    return result


def _identity(pieces):
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
    return crc


def _pieces(base, wanted):
    """The new file but for its CRC."""
    classes, periods, grid = _schedule(base, wanted)
    with open(base.path, "rb") as f:
        head = bytearray(f.read(HEADER_SIZE))
    struct.pack_into("<H", head, 10, grid)
    struct.pack_into("<8I", head, _CLASSES_AT, *periods)
    quanta = _quanta(base, classes)
    struct.pack_into("<H", head, _QUANTA_AT, len(quanta) // 4)
    yield head
    yield _flagged_rows(base, classes)
    yield base.descriptors
    yield classes
    yield base.conditions
    yield base.limits
    yield base.rules
    yield quanta
    left = base.text_size
    for chunk in base.chunks(base.text_at):
        yield memoryview(chunk)[: min(left, len(chunk))]
        left -= min(left, len(chunk))


def _schedule(base, wanted):
    def period_of(i):
        c = base.classes[i] & CLASS_MASK
        return wanted.get(i, {ON_CHANGE: 0, UNSAMPLED: -1}.get(c) if c >= ON_CHANGE else base.periods[c])

    used = sorted({period_of(i) for i in range(base.signals)} - {0, -1})
    if len(used) > 8:
        raise ProfileError("periods: more than 8 different ones")
    classes = bytearray(base.classes)
    for i in range(base.signals):
        p = period_of(i)
        c = used.index(p) if p > 0 else UNSAMPLED if p else ON_CHANGE
        classes[i] = classes[i] & ~CLASS_MASK | c
    grid = 0
    for p in used:
        grid = _gcd(grid, p)
    if used and grid < 10 or grid > 65535:
        raise ProfileError("periods: take multiples of 10 ms")
    return classes, used + [0] * (8 - len(used)), grid or 1000


def _quanta(base, classes):
    """Those of signals that are still sampled periodically."""
    kept = bytearray()
    for at in range(0, len(base.quanta), 4):
        if classes[base.quanta[at] | base.quanta[at + 1] << 8] & CLASS_MASK < ON_CHANGE:
            kept.extend(base.quanta[at : at + 4])
    return kept


def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


def _flagged_rows(base, classes):
    rows = bytearray(base.rows)
    for m in range(base.row_count):
        first, flags = base.first(m), base.flags(m)
        on_change = any(classes[i] & CLASS_MASK == ON_CHANGE for i in range(first, first + base.count(m)))
        rows[m * _ROW_SIZE + _FLAGS_AT] = flags | SET_ASIDE if on_change or flags & (BRANCHES | RULE) else flags & ~SET_ASIDE
    return rows
