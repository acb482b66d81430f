"""Bits of many batches at once, in numpy arrays: a bit stream a lane, the most significant bit first (SPEC, section 2).

Numbers are 64 bits wide throughout, and `view` between signed and unsigned costs nothing: it is the calls that take the time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]

RUN_BITS, VALUE_BITS = 20, 32  # of what stands plainly behind 16 ones
_MOST_ONES = 16
_U64 = np.uint64

_ONES = np.zeros(1 << 16, np.uint8)  # how many ones 16 bits begin with
for _count in range(1, _MOST_ONES + 1):
    _ONES[(0xFFFF << _MOST_ONES - _count) & 0xFFFF :] = _count
_BIT_LENGTH = np.zeros((1 << 20) + 1, np.int64)  # of means up to 2^24, divided by 16
for _count in range(21):
    _BIT_LENGTH[1 << _count :] = _count + 1
_MASK = (_U64(1) << np.arange(32, dtype=_U64)) - _U64(1)


def rice_parameter(mean: NDArray[np.int32] | Ints) -> Ints:
    """bit_length(mean >> 4) of means up to 2^24."""
    return _BIT_LENGTH.take(mean >> 4, mode="clip")


class Windows:
    """The bit streams of all lanes; `at` is the place of each, in bits. A lane that is read beyond its end gets bits
    of another: `ended` finds it out."""

    def __init__(self, streams: Sequence[bytes]) -> None:
        sizes = np.array([len(stream) for stream in streams], np.int64)
        starts = np.zeros(len(streams), np.int64)
        np.cumsum((sizes + 1 & ~1)[:-1], out=starts[1:])
        even = b"".join(stream + b"\0" if len(stream) & 1 else stream for stream in streams) + bytes(8)
        self._bytes = np.frombuffer(even, np.uint8)
        words = self._bytes.view(">u2").astype(_U64)
        self._words = words[:-3] << _U64(48) | words[1:-2] << _U64(32) | words[2:-1] << _U64(16) | words[3:]
        self.at = starts * 8
        self._end = (starts + sizes) * 8

    def peek(self, lanes: Ints) -> Words:
        """The next bits of these lanes, in the high bits of 64; at least 49 of them are right."""
        at = self.at.take(lanes)
        word: Words = self._words.take(at >> 4, mode="clip")
        at &= 15
        word <<= at.view(_U64)
        return word

    def rice(self, lanes: Ints, k: Ints, escape: int) -> Ints:
        """Takes a Golomb-Rice code with parameter `k` from each of these lanes; 16 ones announce `escape` plain bits."""
        value, used = rice(self.peek(lanes), k, escape)
        self.at[lanes] += used
        return value

    def gamma(self, lanes: Ints) -> tuple[Ints, Bools]:
        """Takes an Elias gamma code of value + 1 from each of these lanes: the values, and which are sound."""
        seen = (self.peek(lanes) >> _U64(15)).astype(np.float64)  # 49 bits, which a float holds
        zeros = 49 - np.frexp(seen)[1].astype(np.int64)
        sound = zeros <= VALUE_BITS
        zeros = np.minimum(zeros, VALUE_BITS)
        self.at[lanes] += zeros
        value = (self.peek(lanes) >> (63 - zeros).view(_U64)).view(np.int64) - 1
        self.at[lanes] += zeros + 1
        return value, np.logical_and(sound, value >> VALUE_BITS == 0)

    def ended(self) -> Bools:
        """Which lanes have been read to their end: less than a byte is left, and its bits are zero."""
        left = self._end - self.at
        near = (left >= 0) & (left < 8)
        last = self._bytes.take((self._end >> 3) - 1, mode="clip")
        rest: Ints = last & (1 << np.where(near, left, 0)) - 1
        is_zero: Bools = rest == 0
        return near & is_zero


def rice(word: Words, k: Ints, escape: int) -> tuple[Ints, Ints]:
    """The values that Golomb-Rice codes at the front of `word` stand for, and how many bits each takes."""
    ones = _ONES.take((word >> _U64(48)).view(np.int64)).astype(np.int64)
    used = ones + k
    value = word >> (63 - used).view(_U64)  # the ones, the zero and k bits
    value &= _MASK.take(k)
    value |= (ones << k).view(_U64)
    used += 1
    plain = (ones == _MOST_ONES).nonzero()[0]
    if len(plain):
        value[plain] = word[plain] << _U64(_MOST_ONES) >> _U64(64 - escape)
        used[plain] = _MOST_ONES + escape
    return value.view(np.int64), used
