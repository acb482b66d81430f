"""The periodic values of many batches at once (firmware/SPEC.md, section 2): a batch can only be decoded value by value, so
each step takes the next value of every batch. A lane is a batch.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from host_tools.reader.windows import RUN_BITS, VALUE_BITS, Bools, Ints, Windows, rice, rice_parameter

Int32s = NDArray[np.int32]

_QUIET = 6  # a mean below it makes a signal quiet
_FIRST_MEAN = 16
_FRESH = 1 << 30  # as a mean: the signal has had no value yet
_FIRST_RUN = 32
_UNREAD = -1  # as what is left of a run: the next run is yet to be read
_NONE = np.zeros(0, np.int64)
_CAP = np.uint32(1 << 20)  # how much of an error counts
_MOST_SIZE = 1 << 31  # of a deviation; only forged ones are greater


class Values(NamedTuple):
    """`raw` of every value, and which lanes are sound."""

    raw: Int32s
    sound: Bools


class Coded(NamedTuple):
    """What is to be decoded: the sections V and Q of each lane; the values of all lanes, one lane after the other, each by
    the number of its signal; how many values each lane has; and by signal whether it is signed, and 2N + 1."""

    v: Sequence[bytes]
    q: Sequence[bytes]
    signals: Ints
    counts: Ints
    is_signed: Bools
    step: Int32s


def values(coded: Coded) -> Values:
    """The raw value of each of `coded.signals`, in their order: 32-bit integers before any clamping."""
    counts = coded.counts
    lanes = np.argsort(-counts, kind="stable")  # the longest first: those under way are always the first ones
    rank = np.empty(len(lanes), np.int64)
    rank[lanes] = np.arange(len(lanes))
    steps = int(counts.max(initial=0))
    under_way = np.searchsorted(-counts[lanes], -np.arange(steps), side="left")
    begins = np.concatenate([[0], np.cumsum(under_way)])
    rank_of = np.repeat(rank, counts)
    place = begins[np.arange(len(rank_of)) - np.repeat(np.cumsum(counts) - counts, counts)] + rank_of  # step by step
    series = np.empty(len(place), np.int64)
    series[place] = rank_of * len(coded.step) + coded.signals
    raw = np.empty(len(place), np.int32)
    state = _State(coded, lanes, series)
    for begin, end in pairwise(begins.tolist()):
        state.step(series[begin:end], raw[begin:end])
    return Values(raw[place], state.sound()[rank])


class _State:
    """Of all lanes, the longest lane first. A series is a signal in a lane; its last two values, its mean and its lead are kept
    in one number of 128 bits, which is fetched at once."""

    def __init__(self, coded: Coded, lanes: Ints, series: Ints) -> None:
        self._v = Windows([coded.v[lane] for lane in lanes])
        self._q = Windows([coded.q[lane] for lane in lanes])
        self._run = np.full(len(lanes), _FIRST_RUN, np.int64)
        self._zeros = np.full(len(lanes), _UNREAD, np.int64)
        self._is_sound = np.ones(len(lanes), np.bool_)
        self._signed, self._factor = coded.is_signed, coded.step
        self._is_exact = bool((coded.step == 1).all())
        many = len(lanes) * len(coded.step)
        self._series = np.tile(np.array([0, 0, _FRESH, 0], np.int32), many).view(np.complex128)
        seen = np.zeros(many, np.bool_)
        seen[series] = True
        self._fresh = int(seen.sum())  # so many have yet to begin

    def sound(self) -> Bools:
        """Which lanes have used up their sections exactly."""
        return self._is_sound & (self._zeros <= 0) & self._v.ended() & self._q.ended()

    def step(self, series: Ints, raw: Int32s) -> None:
        """The next value of each of the first lanes to `raw`, given which series it is of."""
        state = np.ascontiguousarray(self._series.take(series).view(np.int32).reshape(-1, 4).T)
        x1, x2, mean, lead = state
        fresh = (mean == _FRESH).nonzero()[0] if self._fresh else _NONE
        loud = (mean >= _QUIET) & (mean < _FRESH) if len(fresh) else mean >= _QUIET
        errors = np.zeros((3, len(series)), np.int32)
        d, last, linear = errors
        self._quiet((mean < _QUIET).nonzero()[0], d)
        self._loud(loud.nonzero()[0], mean, d)
        np.subtract(x1, x2, out=x2)
        x2 += x1  # the line through both
        raw[:] = np.where(lead < 0, x2, x1)
        raw += d if self._is_exact else d * self._factor.take(series % len(self._factor))
        np.subtract(raw, x1, out=last)
        np.subtract(raw, x2, out=linear)
        x2[:] = x1
        x1[:] = raw
        _adapt(errors, mean, lead)
        if len(fresh):
            state[:, fresh] = self._begun(fresh, series)
            raw[fresh] = x1[fresh]
        self._series[series] = np.ascontiguousarray(state.T).view(np.complex128).ravel()

    def _begun(self, lanes: Ints, series: Ints) -> Int32s:
        """The state of the series that have their first value."""
        code, sound = self._v.gamma(lanes)
        self._is_sound[lanes] &= sound
        self._fresh -= len(lanes)
        raw = np.where(self._signed[series[lanes] % len(self._signed)], _unzigzag(code), code)
        return np.stack([raw, raw, np.full(len(raw), _FIRST_MEAN), np.zeros(len(raw), np.int64)]).astype(np.int32)

    def _loud(self, lanes: Ints, mean: Int32s, d: Int32s) -> None:
        if len(lanes):
            d[lanes] = _unzigzag(self._v.rice(lanes, rice_parameter(mean.take(lanes)), VALUE_BITS))

    def _quiet(self, lanes: Ints, d: Int32s) -> None:
        """Takes one off the run of zeros of these lanes; where there is none left, d is not zero."""
        zeros = self._zeros.take(lanes)
        low = (zeros <= 0).nonzero()[0]
        if len(low):
            zeros[low] = self._ends(lanes.take(low), zeros.take(low), d)
        zeros -= 1
        self._zeros[lanes] = zeros

    def _ends(self, lanes: Ints, zeros: Ints, d: Int32s) -> Ints:
        """The zeros left of these lanes, of which the runs are at their end, or unread."""
        unread = (zeros < 0).nonzero()[0]
        if len(unread):
            zeros[unread] = self._next_run(lanes.take(unread))
        ends = lanes[zeros == 0]
        if len(ends):
            word = self._q.peek(ends)
            size, used = rice(word << np.uint64(1), np.zeros(len(ends), np.int64), VALUE_BITS)
            self._q.at[ends] += used + 1
            size += 1
            self._is_sound[ends[size > _MOST_SIZE]] = False
            d[ends] = np.where(word.view(np.int64) < 0, -size, size)
        return zeros

    def _next_run(self, lanes: Ints) -> Ints:
        run = self._run.take(lanes)
        zeros = self._q.rice(lanes, rice_parameter(run), RUN_BITS)
        self._run[lanes] = run + ((zeros << 3) - run >> 2)
        return zeros


def _adapt(errors: Int32s, mean: Int32s, lead: Int32s) -> None:
    """Mean and lead after a value, whose errors are those of the prediction, of the last value and of the line."""
    np.abs(errors, out=errors)
    sizes = errors.view(np.uint32)  # -2^31 has its size here
    np.minimum(sizes, _CAP, out=sizes)
    d, last, linear = errors
    d <<= 4
    np.minimum(d, (mean << 3) + 256, out=d)
    d -= mean
    d >>= 2
    mean += d
    linear -= last
    linear -= lead >> 3
    lead += linear


def _unzigzag(code: Ints) -> Ints:
    return code >> 1 ^ -(code & 1)
