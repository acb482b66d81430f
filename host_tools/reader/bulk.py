"""Many batches at once: what `decode` of each gives, many times as fast where there is numpy and there are enough of them."""

from collections.abc import Sequence
from typing import NamedTuple

from host_tools.errors import InputError
from host_tools.reader.batch import Batch, Occurrence, decode
from host_tools.reader.columns import Columns, columns
from host_tools.reader.header import Coded, Header, read_parts
from host_tools.signals.profile import Profile

try:
    from host_tools.reader import lanes
except ImportError:  # no numpy
    lanes = None  # type: ignore[assignment]

LEAST_LANES = 24  # batches of one profile and stream; fewer are sooner decoded one by one


class Block(NamedTuple):
    """What batches hold. `occurrences` and `errors` come with the number of their batch, in order."""

    columns: Columns
    occurrences: list[tuple[int, Occurrence]]
    errors: list[tuple[int, InputError]]


def decode_all(batches: Sequence[tuple[bytes, Profile]], least_lanes: int = LEAST_LANES) -> Block:
    """Decodes batches, each given with the profile that its header names. What is no batch is in `errors`, and only there.

    It keeps all of them in memory: some thousands at a time are quick and fit.
    """
    done, left = _together(batches, least_lanes) if lanes else ([], range(len(batches)))
    decoded: list[tuple[int, Batch]] = []
    errors = []
    for number in left:
        try:
            decoded.append((number, decode(*batches[number])))
        except InputError as error:
            errors.append((number, error))
    occurrences = [(number, occurrence) for number, batch in decoded for occurrence in batch.occurrences]
    rest = columns(decoded)
    return Block(lanes.merged([*done, rest]) if done else rest, occurrences, errors)


def _together(batches: Sequence[tuple[bytes, Profile]], least_lanes: int) -> tuple[list[Columns], Sequence[int]]:
    """What could be decoded in lock-step, and the numbers of the other batches."""
    groups: dict[tuple[int, int], list[tuple[int, Header, Coded]]] = {}
    done, left = [], set(range(len(batches)))
    for number, (payload, profile) in enumerate(batches):
        try:
            header, coded = read_parts(payload)
        except InputError:
            continue
        groups.setdefault((id(profile), header.stream), []).append((number, header, coded))
    for group in groups.values():
        if len(group) >= least_lanes:
            numbers, samples = lanes.decode(group, batches[group[0][0]][1], least_lanes)
            left.difference_update(numbers)
            done.append(samples)
    return done, sorted(left)
