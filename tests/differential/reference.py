"""What cantools makes of a frame, raw and bit for bit: wide, floating and multiplexed signals, too."""

import random
from collections.abc import Callable, Iterator

from cantools.database.can import Message as DbcMessage
from cantools.database.can import Signal as DbcSignal
from cantools.database.conversion import BaseConversion
from cantools.database.errors import DecodeError

from host_tools.signals.profile import Message, Signal


class Reference:
    """Decodes frames of one message of a database into raw integers; of a float, the bits. Only the signals of these `names`."""

    def __init__(self, message: DbcMessage, names: set[str]) -> None:
        self._message = message
        self._signals = {signal.name: signal for signal in message.signals if signal.name in names}
        self._is_whole = len(self._signals) == len(message.signals)
        self._alone = {name: _alone(signal, message.length) for name, signal in self._signals.items()}

    def decode(self, data: bytes) -> dict[str, int]:
        """Raw values of the signals that are in a frame, by their names in the message."""
        present = {name for name in self._signals if self._is_in(name, data)}
        if self._is_whole:
            self._check(present, data)
        return {name: self._alone[name](data) for name in present}

    def _check(self, present: set[str], data: bytes) -> None:
        """What is in the frame is what cantools finds in it, where it finds its way at all."""
        try:
            told = self._message.decode(data, decode_choices=False, scaling=False, allow_truncated=True)
        except DecodeError:  # it knows no branch for this selector; which of the other branches are there it does not say
            pass
        else:
            assert set(told) == present, (self._message.name, data.hex())  # type: ignore[arg-type]

    def _is_in(self, name: str, data: bytes) -> bool:
        signal = self._signals[name]
        if not signal.multiplexer_ids or signal.multiplexer_signal is None:
            return True
        selector = signal.multiplexer_signal
        return self._alone[selector](data) in signal.multiplexer_ids and self._is_in(selector, data)


def _alone(signal: DbcSignal, size: int) -> Callable[[bytes], int]:
    """The raw value of `signal` by a message that has no other; a float is read as an unsigned integer."""
    signed = signal.is_signed and not signal.is_float
    plain = DbcSignal("s", signal.start, signal.length, signal.byte_order, signed, BaseConversion.factory())
    decode = DbcMessage(1, "m", size, [plain], strict=False).decode
    return lambda data: int(decode(data, decode_choices=False, scaling=False)["s"])  # type: ignore[index, call-overload]


def payloads(message: DbcMessage, ours: Message, count: int, chance: random.Random) -> Iterator[bytes]:
    """All zeros, all ones, each bit alone, then random frames whose selectors mostly select something."""
    size = message.length
    yield bytes(size)
    yield b"\xff" * size
    for bit in range(8 * size):
        yield (1 << bit).to_bytes(size, "little")
    selectors = {s.selection.selector: s for s in ours.signals if s.selection}
    by_name = {s.name: s for s in ours.signals}
    for _ in range(count):
        data = chance.randbytes(size)
        for name in selectors:
            wanted = chance.choice([s.selection for s in ours.signals if s.selection and s.selection.selector == name])
            if chance.random() < 0.9:
                data = _with(data, by_name[name], chance.randint(*chance.choice(wanted.ranges)))
        yield data


def _with(data: bytes, signal: Signal, raw: int) -> bytes:
    order = "little" if signal.byte_order == "little_endian" else "big"
    word = int.from_bytes(data.ljust(8, b"\0"), order)  # type: ignore[arg-type]
    mask = (1 << signal.length) - 1 << signal.start
    return (word & ~mask | raw << signal.start & mask).to_bytes(8, order)[: len(data)]  # type: ignore[arg-type]
