"""A set of integers kept as disjoint half-open intervals: exact, and small however many integers it holds."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Intervals:
    """A set of integers. Iterates as (first, stop) pairs in order, disjoint and not adjacent."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._stops: list[int] = []

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._stops, strict=True)

    def total(self) -> int:
        """How many integers the set holds; no `__len__`, which `list` would take for the number of pairs."""
        return sum(self._stops) - sum(self._firsts)

    def add(self, first: int, stop: int) -> None:
        """Puts the integers first, …, stop - 1 into the set; those that are there already stay."""
        if first >= stop:
            return
        left = bisect_left(self._stops, first)  # the first interval that touches [first, stop)
        right = bisect_right(self._firsts, stop)  # one past the last
        if left < right:
            first = min(first, self._firsts[left])
            stop = max(stop, self._stops[right - 1])
        self._firsts[left:right] = [first]
        self._stops[left:right] = [stop]

    def absent(self, first: int, stop: int) -> list[tuple[int, int]]:
        """The parts of [first, stop) that are not in the set, in order."""
        parts = []
        for known in range(bisect_right(self._stops, first), bisect_left(self._firsts, stop)):
            if self._firsts[known] > first:
                parts.append((first, self._firsts[known]))
            first = self._stops[known]
        if first < stop:
            parts.append((first, stop))
        return parts
