"""Where signals lie in a frame: the bits that each takes, and which of them overlap."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from host_tools.signals.profile import Selection, Signal

Ranges = tuple[tuple[int, int], ...]


def bits(signal: Signal) -> int:
    """A mask of the frame's bits: bit 8 b + i is bit i of byte b."""
    mask = (1 << signal.length) - 1 << signal.start
    return mask if signal.byte_order == "little_endian" else int.from_bytes(mask.to_bytes(8, "big"), "little")


def overlaps(signals: Sequence[Signal]) -> Iterator[tuple[Signal, Signal]]:
    """Pairs of one message's signals that share bits and can be in the same frame."""
    selections = {signal.name: signal.selection for signal in signals}
    masks = [bits(signal) for signal in signals]
    for (one, mask), (other, other_mask) in combinations(zip(signals, masks, strict=True), 2):
        if mask & other_mask and not _exclude(one.selection, other.selection, selections):
            yield one, other


def _exclude(one: Selection | None, other: Selection | None, selections: dict[str, Selection | None]) -> bool:
    """Whether some selector cannot have a value for both."""
    ours, theirs = (dict(_conditions(selection, selections)) for selection in (one, other))
    return any(_are_disjoint(ours[selector], theirs[selector]) for selector in ours.keys() & theirs.keys())


def _conditions(selection: Selection | None, selections: dict[str, Selection | None]) -> Iterator[tuple[str, Ranges]]:
    while selection:
        yield selection.selector, selection.ranges
        selection = selections[selection.selector]


def _are_disjoint(ours: Ranges, theirs: Ranges) -> bool:
    return all(high < their_low or their_high < low for low, high in ours for their_low, their_high in theirs)
