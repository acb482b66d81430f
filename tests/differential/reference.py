"""What cantools makes of a frame, raw and bit for bit: wide, floating and multiplexed signals, too."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set

from cantools.database.can import Message as DbcMessage
from cantools.database.can import Signal as DbcSignal
from cantools.database.conversion import BaseConversion
from cantools.database.errors import DecodeError

from host_tools.signals.profile import Message, Selection, Signal


class Reference:
    """Decodes frames of one message of a database into raw integers; of a float, the bits. Only the signals of these `names`."""

    def __init__(self, message: DbcMessage, names: set[str]) -> None:
        self._message = message
        signals = [signal for signal in message.signals if signal.name in names]
        self._is_checked = len(signals) == len(message.signals) and any(signal.multiplexer_ids for signal in signals)
        self._always = _parts([signal for signal in signals if not signal.multiplexer_ids], message.length)
        self._selected: dict[str, dict[int, list[DbcMessage]]] = {}  # by selector and its value
        branches = defaultdict(list)
        for signal in signals:
            if signal.multiplexer_ids:
                branches[signal.multiplexer_signal, tuple(sorted(set(signal.multiplexer_ids)))].append(signal)
        for (selector, values), branch in branches.items():
            parts = _parts(branch, message.length)
            for value in values:
                self._selected.setdefault(str(selector), {}).setdefault(value, []).extend(parts)

    def decode(self, data: bytes) -> dict[str, int]:
        """Raw values of the signals that are in a frame, by their names in the message."""
        found: dict[str, int] = {}
        left = list(self._always)
        while left:
            values = left.pop().decode(data, decode_choices=False, scaling=False)
            found |= values  # type: ignore[arg-type]
            for selector in self._selected.keys() & values.keys():  # type: ignore[union-attr]
                left += self._selected[selector].get(found[selector], [])
        if self._is_checked:
            self._check(found.keys(), data)
        return found

    def _check(self, present: Set[str], data: bytes) -> None:
        """What is in the frame is what cantools finds in it, where it finds its way at all."""
        try:
            told = self._message.decode(data, decode_choices=False, scaling=False, allow_truncated=True)
        except DecodeError:  # it knows no branch for this selector; which of the other branches are there it does not say
            pass
        else:
            assert told.keys() == present, (self._message.name, data.hex())  # type: ignore[union-attr]


def _parts(signals: list[DbcSignal], size: int) -> list[DbcMessage]:
    """Messages of these signals, all of them always there: the more cantools reads at once, the less each costs, but it
    mixes up those that overlap."""
    return [_plain(group, size) for group in _apart(signals)]


def _apart(signals: Iterable[DbcSignal]) -> list[list[DbcSignal]]:
    """The signals in groups within which none overlaps another."""
    groups: list[tuple[int, list[DbcSignal]]] = []
    for signal in signals:
        taken = _bits(signal)
        place = next((i for i, (bits, _) in enumerate(groups) if not bits & taken), None)
        if place is None:
            groups.append((taken, [signal]))
        else:
            bits, group = groups[place]
            groups[place] = bits | taken, [*group, signal]
    return [group for _, group in groups]


def _bits(signal: DbcSignal) -> int:
    """A mask of the frame's bits: bit 8 b + i is bit i of byte b."""
    at, mask = signal.start, 0
    for _ in range(signal.length):
        mask |= 1 << at
        at += 1 if signal.byte_order == "little_endian" else (-1 if at % 8 else 15)
    return mask


def _plain(signals: list[DbcSignal], size: int) -> DbcMessage:
    """A message of these signals, all of them always there; floats are read as unsigned integers."""
    return DbcMessage(1, "m", size, [
        DbcSignal(s.name, s.start, s.length, s.byte_order, s.is_signed and not s.is_float, BaseConversion.factory())
        for s in signals
    ])  # fmt: skip


def payloads(message: DbcMessage, ours: Message, count: int, chance: random.Random) -> Iterator[bytes]:
    """All zeros, all ones, each bit alone, then random frames whose selectors mostly select something."""
    size = message.length
    yield bytes(size)
    yield b"\xff" * size
    for bit in range(8 * size):
        yield (1 << bit).to_bytes(size, "little")
    by_name = {s.name: s for s in ours.signals}
    selectors: dict[str, list[Selection]] = {}
    for signal in ours.signals:
        if signal.selection:
            selectors.setdefault(signal.selection.selector, []).append(signal.selection)
    for _ in range(count):
        data = chance.randbytes(size)
        for name, selections in selectors.items():
            wanted = chance.choice(selections)
            if chance.random() < 0.9:
                data = _with(data, by_name[name], chance.randint(*chance.choice(wanted.ranges)))
        yield data


def _with(data: bytes, signal: Signal, raw: int) -> bytes:
    order = "little" if signal.byte_order == "little_endian" else "big"
    word = int.from_bytes(data.ljust(8, b"\0"), order)  # type: ignore[arg-type]
    mask = (1 << signal.length) - 1 << signal.start
    return (word & ~mask | raw << signal.start & mask).to_bytes(8, order)[: len(data)]  # type: ignore[arg-type]
