"""The tables of the packed profile: rows, descriptors, classes, conditions, limits, rules, quanta (SPEC, section 1)."""

import struct

from host_tools.errors import InputError
from host_tools.signals import descriptor, limits
from host_tools.signals.layout import Row
from host_tools.signals.profile import MAX_PERIODS, MAX_STREAMS, ON_CHANGE, UNSAMPLED, Profile, Signal

MAGIC, VERSION = b"PTPF", 2
HEADER = struct.Struct("<4sBBHHHI8I4H8BHH")
ROW = struct.Struct("<IHHBBH")
CONDITION = struct.Struct("<II")
CLASS_ON_CHANGE, CLASS_UNSAMPLED, CLASS_MASK, LOW_HALF = 8, 9, 15, 16
STREAM_SHIFT = 5  # in a class byte: where the number of its stream begins
NO_STREAM = 0xFF
EXTENDED = 1 << 29
MOST_MESSAGES = 255
_MAX_U16 = 0xFFFF
SWAPPED, SET_ASIDE, BRANCHES, RULE, LAST = 1, 2, 4, 8, 16  # a row's flags


def header(profile: Profile, text_size: int) -> bytes:
    """The fixed part before the tables. Raises InputError where there are too many messages for the device."""
    if len(profile.messages) > MOST_MESSAGES:
        many = len(profile.messages)
        raise InputError(f"profile {profile.name}: {many} messages; the device takes {MOST_MESSAGES}, choose among them")
    branches = len(profile.rows) - len(profile.messages)
    conditions = sum(len(row.selection.ranges) for row in profile.rows if row.selection)
    counts = [branches, conditions, len(limits.limits(profile)), len(limits.rules(profile))]
    quanta = len(limits.quanta(profile))
    if max(len(profile.fields), quanta, *counts) > _MAX_U16:
        raise InputError(f"profile {profile.name}: more signals or ranges than the device takes; choose among them")
    periods = profile.classes + (0,) * (MAX_PERIODS - len(profile.classes))
    streams = profile.streams + (NO_STREAM,) * (MAX_STREAMS - len(profile.streams))
    first = len(profile.messages), len(profile.fields), profile.grid_ms, text_size
    return HEADER.pack(MAGIC, VERSION, 0, *first, *periods, *counts, *streams, quanta, 0)


def tables(profile: Profile) -> bytes:
    """All tables, in their order."""
    fixed = _rows(profile) + _descriptors(profile) + _classes(profile) + _conditions(profile)
    return b"".join((fixed, *limits.limits(profile), *limits.rules(profile), *limits.quanta(profile)))


def _rows(profile: Profile) -> bytes:
    index = {field.signal.name: i for i, field in enumerate(profile.fields)}
    first_branch = {row.message.key: i for i, row in reversed(list(enumerate(profile.rows))) if row.selection}
    packed, condition = [], 0
    for row in profile.rows:
        if row.selection:
            ident, link = index[row.selection.selector] | condition << 16, row.parent
            condition += len(row.selection.ranges)
        else:
            ident, link = row.message.key, first_branch.get(row.message.key, 0)
        flags = _flags(row, not row.selection and row.message.key in first_branch)
        packed.append(ROW.pack(ident, row.first, len(row.fields), row.size, flags, link))
    return b"".join(packed)


def _flags(row: Row, has_branches: bool) -> int:
    big = any(descriptor.decode(descriptor.encode(field.bits)).byte_order == "big_endian" for field in row.fields)
    on_change = any(field.signal.period_ms == ON_CHANGE for field in row.fields)
    has_rule = not row.selection and bool(row.message.counter or row.message.checksum)
    set_aside = on_change or has_branches or has_rule
    kinds = has_branches * BRANCHES | has_rule * RULE | row.is_last * LAST
    return big * SWAPPED | set_aside * SET_ASIDE | kinds


def _descriptors(profile: Profile) -> bytes:
    return b"".join(
        descriptor.encode(field.bits, field is row.fields[-1]) for row in profile.rows for field in row.fields
    )


def _classes(profile: Profile) -> bytes:
    classes = bytes(
        _class_of(field.signal, profile)
        | (LOW_HALF if field.signal.is_wide and not field.is_high else 0)
        | _stream_number(field.signal, profile) << STREAM_SHIFT
        for field in profile.fields
    )
    return classes + bytes(-len(classes) % 4)


def _class_of(signal: Signal, profile: Profile) -> int:
    special = {ON_CHANGE: CLASS_ON_CHANGE, UNSAMPLED: CLASS_UNSAMPLED}
    return special[signal.period_ms] if signal.period_ms in special else profile.classes.index(signal.period_ms)


def _stream_number(signal: Signal, profile: Profile) -> int:
    return 0 if signal.period_ms == UNSAMPLED else profile.streams.index(profile.stream(signal))


def _conditions(profile: Profile) -> bytes:
    return b"".join(
        CONDITION.pack(*bounds) for row in profile.rows if row.selection for bounds in row.selection.ranges
    )
