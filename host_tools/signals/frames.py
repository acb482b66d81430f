"""The frames of a recording by arbitration id, as columns, and the signals' values in them."""

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import can
import numpy as np
import numpy.typing as npt

from host_tools.signals.profile import Message, Profile, Signal

_EXTENDED = 1 << 29
_MAX_DATA = 8


class Column(NamedTuple):
    """One message's frames in order: times in s, the data zero-padded as a little-endian word, its length in bytes."""

    times: npt.NDArray[np.float64]
    words: npt.NDArray[np.uint64]
    sizes: npt.NDArray[np.uint8]


class Values(NamedTuple):
    """A signal's values: times in s, raw bits as unsigned integers, physical values."""

    times: npt.NDArray[np.float64]
    raw: npt.NDArray[np.uint64]
    physical: npt.NDArray[np.float64]


class Frames:
    """The recording: `columns` by message key for those that the profile has, `others` counts the rest by key.

    `fd` counts frames longer than 8 bytes, which are among those; times run from `start` to `end`.
    """

    def __init__(self, frames: Iterable[can.Message], profile: Profile) -> None:
        growing = {message.key: (array("d"), array("Q"), array("B")) for message in profile.messages}
        self.others = Counter[int]()
        self.fd = 0
        times = []
        for frame in frames:
            key = frame.arbitration_id | frame.is_extended_id * _EXTENDED
            times.append(frame.timestamp)
            if len(frame.data) > _MAX_DATA:
                self.fd += 1
            elif key in growing:
                times_of, words, sizes = growing[key]
                times_of.append(frame.timestamp)
                words.append(int.from_bytes(frame.data.ljust(_MAX_DATA, b"\0"), "little"))
                sizes.append(len(frame.data))
                continue
            self.others[key] += 1
        self.start, self.end = min(times), max(times)
        self.columns = {key: _column(*columns) for key, columns in growing.items()}

    def values(self, message: Message, signal: Signal) -> Values:
        """The values of one of the message's signals, in those frames that hold it."""
        column = self.columns[message.key]
        here = _present(message, signal, column)
        raw = _bits(signal, column)[here]
        return Values(column.times[here], raw, _physical(signal, raw))


def _column(times: "array[float]", words: "array[int]", sizes: "array[int]") -> Column:
    return Column(np.array(times, np.float64), np.array(words, np.uint64), np.array(sizes, np.uint8))


def _bits(signal: Signal, column: Column) -> npt.NDArray[np.uint64]:
    words = column.words if signal.byte_order == "little_endian" else column.words.byteswap()
    return words >> np.uint64(signal.start) & np.uint64((1 << signal.length) - 1)


def _present(message: Message, signal: Signal, column: Column) -> npt.NDArray[np.bool_]:
    here = column.sizes >= signal.size
    if signal.selection is None:
        return here
    selector = next(s for s in message.signals if s.name == signal.selection.selector)
    value = _bits(selector, column)
    chosen = np.zeros(len(value), np.bool_)
    for low, high in signal.selection.ranges:
        chosen |= (value >= np.uint64(low)) & (value <= np.uint64(high))
    return here & chosen & _present(message, selector, column)


def _physical(signal: Signal, raw: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    if signal.is_float:
        width = signal.length // 8
        number = raw.astype(f"<u{width}").view(f"<f{width}").astype(np.float64)
    elif signal.is_signed:
        spare = np.uint64(64 - signal.length)
        number = ((raw << spare).view(np.int64) >> spare.astype(np.int64)).astype(np.float64)
    else:
        number = raw.astype(np.float64)
    return number * signal.scale + signal.offset
