"""Rivals that know the schedule as we do: differences as varints, and what xz makes of the same differences."""

import lzma
from collections import defaultdict
from collections.abc import Iterator
from itertools import product

from host_tools.bench.samples import Window
from host_tools.reader.periodic import wrapped

# what `xz -9e` does, but for the dictionary, of which its 64 MiB are not needed: the output is as long, and comes sooner
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20}]


def varints(window: Window) -> list[bytes]:
    """What this project sent before: what is due, tick by tick, as varint zigzag(raw - previous) + 1, or 0 where there is no
    sample; then events: varints index, zigzag(ms since the one before), zigzag(raw - previous). No header."""
    periodic = (code for _, _, code in sorted(_codes(window, 1), key=lambda coded: (coded[1], coded[0])))
    return [b"".join(map(varint, (*periodic, *_events(window))))]


def xz_planes(window: Window) -> list[bytes]:
    """`xz -9e` over the bytes of the same numbers and of the marks (index, ms, quality), all lowest bytes first; the shortest of
    four: first or second differences, signal after signal or in order of time. No header but xz's own."""
    ways = product((1, 2), (False, True))
    return [min((lzma.compress(planes(window, *way), filters=_FILTERS) for way in ways), key=len)]


def planes(window: Window, degree: int, is_by_time: bool) -> bytes:
    """The bytes that xz is given."""
    coded = sorted(_codes(window, degree), key=lambda coded: (coded[1], coded[0]) if is_by_time else coded[:2])
    numbers = [*(code for _, _, code in coded), *_events(window), *_marks(window)]
    used = (max(numbers).bit_length() + 7) // 8
    return b"".join(bytes(number >> 8 * plane & 0xFF for number in numbers) for plane in range(used))


def _codes(window: Window, degree: int) -> Iterator[tuple[int, int, int]]:
    """(index, time, code) of all that is due; differences to the last value, or to the line through the last two."""
    readings = {(s.index, s.time_ms): s.raw for s in window.samples}
    last: defaultdict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for index, time_ms in window.due():
        raw = readings.get((index, time_ms))
        if raw is None:
            yield index, time_ms, 0
        else:
            one, two = last[index]
            yield index, time_ms, zigzag(wrapped(raw - (one if degree == 1 else 2 * one - two))) + 1
            last[index] = raw, one


def _events(window: Window) -> Iterator[int]:
    previous: defaultdict[int, int] = defaultdict(int)
    then = window.start_ms
    for event in window.events():
        yield from (event.index, zigzag(event.time_ms - then), zigzag(wrapped(event.raw - previous[event.index])))
        previous[event.index], then = event.raw, event.time_ms


def _marks(window: Window) -> Iterator[int]:
    then = window.start_ms
    for mark in window.marks:
        yield from (mark.index, zigzag(mark.time_ms - then), mark.quality)
        then = mark.time_ms


def zigzag(number: int) -> int:
    """SPEC's."""
    return 2 * number if number >= 0 else -2 * number - 1


def varint(number: int) -> bytes:
    """SPEC's: LEB128."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
