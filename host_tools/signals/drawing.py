"""The bits of a message as a person reads them: cantools' picture, one for each choice of a multiplexed message."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal
from cantools.subparsers.dump.formatting import layout_string

from host_tools.signals.convert import selection
from host_tools.signals.message import FIRST_WINDOW
from host_tools.signals.profile import Message, Selection, Signal


class _Part(NamedTuple):
    """A signal's bits and when they count."""

    bits: DbcSignal
    when: Selection | None


def draw(message: DbcMessage | Message) -> str:
    """Lines of text: a heading, then the picture or pictures. Bits used twice are X; what overruns is named below.

    A profile does not say how long a message is: it is drawn as long as its signals need.
    """
    if isinstance(message, Message):
        size = max(signal.size for signal in message.signals)
        heading = _heading(message.name, message.arbitration_id, message.is_extended_id, size)
        return _drawn(heading, size, _parts_of_profile(message))
    heading = _heading(message.name, message.frame_id, message.is_extended_frame, message.length)
    return _drawn(heading, message.length, _parts_of_database(message))


def first_bit(signal: Signal) -> int:
    """The start bit as a DBC gives it: for a big-endian signal that of the most significant bit."""
    if signal.byte_order == "little_endian":
        return signal.start
    first = 64 - signal.start - signal.length
    return first // 8 * 8 + 7 - first % 8


def ranges_text(ranges: Sequence[tuple[int, int]]) -> str:
    """`1, 3-5` for the ranges (1, 1) and (3, 5)."""
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _heading(name: str, ident: int, is_extended: bool, size: int) -> str:
    where = "an answer" if ident >= FIRST_WINDOW and not is_extended else f"id {ident:X} ({29 if is_extended else 11} bits)"
    return f"{name}: {where}, {size} byte{'s' if size != 1 else ''} of data"


def _parts_of_profile(message: Message) -> Iterator[_Part]:
    """Names go without the message's, which stands above."""
    for signal in message.signals:
        name, when = signal.name.removeprefix(f"{message.name}."), signal.selection
        if when:
            when = Selection(when.selector.removeprefix(f"{message.name}."), when.ranges)
        yield _Part(DbcSignal(name, first_bit(signal), signal.length, signal.byte_order), when)


def _parts_of_database(message: DbcMessage) -> Iterator[_Part]:
    names = {signal.name: signal.name for signal in message.signals}
    for signal in message.signals:
        when = selection(signal, names) if signal.multiplexer_signal in names else None
        yield _Part(DbcSignal(signal.name, signal.start, signal.length, signal.byte_order), when)


def _drawn(heading: str, size: int, parts: Iterator[_Part]) -> str:
    drawable: list[_Part] = []
    overrun: list[_Part] = []
    for part in parts:
        (drawable if _fits(part.bits, size) else overrun).append(part)
    texts = [heading]
    for when, signals in _pictures(drawable):
        texts.append(f"\nwhen {when.selector} is {ranges_text(when.ranges)}:" if when else "")
        picture: str = layout_string(DbcMessage(0, "", size, signals, strict=False))  # type: ignore[no-untyped-call]
        texts.append(picture)
    texts += [f"{part.bits.name} is beyond the end of the message" for part in overrun]
    return "\n".join(line.rstrip() for text in texts for line in text.split("\n"))


def _fits(signal: DbcSignal, size: int) -> bool:
    if signal.byte_order == "little_endian":
        return bool(signal.start + signal.length <= 8 * size)
    return bool(signal.start // 8 * 8 + 7 - signal.start % 8 + signal.length <= 8 * size)


def _pictures(parts: Sequence[_Part]) -> Iterator[tuple[Selection | None, list[DbcSignal]]]:
    """What is always there; then each group that a selector chooses, with its selectors."""
    by_name = {part.bits.name: part for part in parts}
    for when in dict.fromkeys((None, *(part.when for part in parts))):
        signals = [part.bits for part in parts if part.when == when]
        seen: set[str] = set()
        above = when
        while above and above.selector in by_name and above.selector not in seen:
            seen.add(above.selector)
            signals.append(by_name[above.selector].bits)
            above = by_name[above.selector].when
        yield when, signals
