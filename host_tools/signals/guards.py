"""Frames of a recording that are wrong by their message's counter or checksum, as the device judges them (SPEC, section 2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from host_tools.signals import checksum
from host_tools.signals.frames import Column, Frames
from host_tools.signals.message import Checksum, Counter, Message
from host_tools.signals.profile import Profile, Signal

_SILENCE_PERIODS = 3  # of the longest one; after as long without a frame the device does not judge the counter
_LEAST_SILENCE_S = 1.0


@dataclass(frozen=True)
class GuardCheck:
    """How many of a message's frames one of its signals finds wrong. A frame may be wrong by counter and checksum; the
    device then tells the checksum."""

    message: str
    signal: str
    kind: Literal["counter", "checksum"]
    frames: int
    wrong: int


def check(frames: Frames, profile: Profile) -> Iterator[GuardCheck]:
    """One for each counter and each checksum that `profile` has rules for, in the order of its messages."""
    for message in profile.messages:
        column = _whole(message, frames.columns[message.key])
        signals = {signal.name: signal for signal in message.signals}
        count = len(column.times)
        if rule := message.counter:
            wrong = _wrong_counters(message, rule, signals[rule.signal], column)
            yield GuardCheck(message.name, rule.signal, "counter", count, wrong)
        if guard := message.checksum:
            wrong = _wrong_checksums(message, guard, signals[guard.signal], column)
            yield GuardCheck(message.name, guard.signal, "checksum", count, wrong)


def _whole(message: Message, column: Column) -> Column:
    """Without the frames that are too short for the message: the device counts and drops them."""
    here = column.sizes >= message.size
    return Column(column.times[here], column.words[here], column.sizes[here])


def _wrong_counters(message: Message, rule: Counter, signal: Signal, column: Column) -> int:
    """Of all frames but the first, and the first after a silence."""
    at, mask = checksum.place(signal)
    count = (column.words >> np.uint64(8 * at) & np.uint64(mask)) >> np.uint64(signal.start % 8)
    expected = (count[:-1] + np.uint64(rule.step)) % np.uint64(rule.modulo)
    return int(((count[1:] != expected) & (np.diff(column.times) <= _silence(message))).sum())


def _silence(message: Message) -> float:
    """Seconds without a frame from which the device takes the message for silent; it never is without a period."""
    longest = max(signal.period_ms for signal in message.groups[0])
    return max(_SILENCE_PERIODS * longest / 1000, _LEAST_SILENCE_S) if longest > 0 else np.inf


def _wrong_checksums(message: Message, rule: Checksum, signal: Signal, column: Column) -> int:
    at, mask = checksum.place(signal)
    wrong = 0
    for word, size in zip(column.words.tolist(), column.sizes.tolist(), strict=True):
        data = word.to_bytes(8, "little")[:size]
        told = (data[at] & mask) >> signal.start % 8
        wrong += told != checksum.expected(rule.rule, message.arbitration_id, message.is_extended_id, data, signal)
    return wrong
