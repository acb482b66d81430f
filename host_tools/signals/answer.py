"""Where values lie in an answer, and how that becomes the windows through which the device reads them (see `requests`)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import NamedTuple

from host_tools.signals import descriptor, services
from host_tools.signals.layout import halves
from host_tools.signals.message import FIRST_WINDOW, Message
from host_tools.signals.requests import Request, Window
from host_tools.signals.signal import UNSAMPLED, Selection, Signal
from host_tools.signals.typed import FaultError

SOURCE = "diagnostic"
WIDTH = 8  # bytes of a window
MOST_FIELDS = 64  # of one, as of any message
MOST_ANSWER = 512  # bytes of an answer that the device has room for
MOST_OF_SEVERAL = 6  # bytes of one identifier's data where a request has several: its window begins with the identifier


class Value(NamedTuple):
    """A signal and where it is: `start` counts the bits behind the identifier that the answer repeats. Big-endian: of the most
    significant bit, from the highest bit of each byte down; little-endian: of the least significant, from the lowest up."""

    start: int
    signal: Signal
    is_optional: bool = False  # an answer that ends before it is whole
    identifier: bytes = b""  # which one's data it is in, where the request has several


@dataclass(frozen=True)
class Asked:
    """A request, its windows still to be chosen, and its values. `sizes`: bytes of each identifier's data where the request has
    several."""

    request: Request
    values: tuple[Value, ...]
    sizes: tuple[int, ...] = ()


def compiled(asked: Sequence[Asked]) -> tuple[tuple[Request, ...], list[Message]]:
    """The requests with their windows, and these as messages. Raises FaultError, InputError."""
    parts = []
    for one in asked:
        held = list(_windows(one))
        request = replace(one.request, windows=tuple(Window(FIRST_WINDOW, at) for at, _ in held))
        parts.append((request, [Message(FIRST_WINDOW, False, name_of(request, at), tuple(own)) for at, own in held]))
    return renumbered(parts)


def name_of(request: Request, at: int) -> str:
    """What the message of a window is called."""
    return f"{request.ecu} {request.request.hex().upper()}[{at}]"


def fault(value: Value, request: bytes) -> str:
    """Why no window can hold a value; "" where one can."""
    first, last = _bytes_of(value, services.values_at(request))
    if last >= MOST_ANSWER:
        return f"it lies beyond byte {MOST_ANSWER} of the answer"
    return f"its {value.signal.length} bits lie in {last - first + 1} bytes; {WIDTH} can be read" if last - first >= WIDTH else ""


def _windows(asked: Asked) -> Iterator[tuple[int, list[Signal]]]:
    """(first byte, signals) of each. What may be absent gets its own: a window that is cut short is lost whole."""
    if not asked.values:
        raise FaultError(f"the request {asked.request.request.hex().upper()} has no signals")
    if asked.sizes:
        yield from _of_several(asked)
        return
    for value in asked.values:
        if why := fault(value, asked.request.request):
            raise FaultError(f"{value.signal.name} cannot be read: {why}")
    begin = services.values_at(asked.request.request)
    for optional in (False, True):
        yield from _cut([value for value in asked.values if value.is_optional == optional], begin)


def _of_several(asked: Asked) -> Iterator[tuple[int, list[Signal]]]:
    """A window for each identifier, which selects its signals: an ECU that leaves one out moves those behind it."""
    at = 1
    for identifier, size in zip(services.identifiers(asked.request.request), asked.sizes, strict=True):
        text = identifier.hex().upper()
        selector = _selector(f"{asked.request.ecu}.{asked.request.request.hex().upper()}.{text}")
        number = int.from_bytes(identifier, "big")
        held = [value for value in asked.values if value.identifier == identifier]
        for value in held:
            if value.start + value.signal.length > 8 * size:
                raise FaultError(f"{value.signal.name} cannot be read: it lies beyond the {size} bytes of {text}")
        if held:
            selection = Selection(selector.name, ((number, number),))
            yield at, [selector, *(replace(_within(value, -16), selection=selection) for value in held)]
        at += len(identifier) + size


def _selector(name: str) -> Signal:
    """The identifier at the begin of a window."""
    start, order = descriptor.from_dbc(7, 16, "big_endian")
    return Signal(name, start, 16, order, period_ms=UNSAMPLED, source=SOURCE)


def _cut(values: Sequence[Value], begin: int) -> Iterator[tuple[int, list[Signal]]]:
    """The first window begins with the first value, the next with the first that is left."""
    left = sorted(values, key=lambda value: _bytes_of(value, begin))
    while left:
        at, room, held = _bytes_of(left[0], begin)[0], MOST_FIELDS, []
        for value in left:
            fields = len(halves(value.signal))
            if _bytes_of(value, begin)[1] < at + WIDTH and fields <= room:
                held.append(value)
                room -= fields
        yield at, [_within(value, 8 * (at - begin)) for value in held]
        left = [value for value in left if value not in held]


def _bytes_of(value: Value, begin: int) -> tuple[int, int]:
    """Its first and last byte, counted from the answer's first."""
    return begin + value.start // 8, begin + (value.start + value.signal.length - 1) // 8


def _within(value: Value, bits: int) -> Signal:
    """The signal in a window that begins so many bits behind the identifier."""
    start, signal = value.start - bits, value.signal
    if signal.byte_order == "big_endian":
        start = start // 8 * 8 + 7 - start % 8
    start, order = descriptor.from_dbc(start, signal.length, signal.byte_order)
    return replace(signal, start=start, byte_order=order, source=SOURCE)


def renumbered(parts: Iterable[tuple[Request, Sequence[Message]]]) -> tuple[tuple[Request, ...], list[Message]]:
    """Requests and their windows' messages, in order, with ids that follow each other: of several profiles one."""
    ids = count(FIRST_WINDOW)
    requests, messages = [], []
    for request, own in parts:
        windows = []
        for window, message in zip(request.windows, own, strict=True):
            windows.append(window._replace(virtual_id=next(ids)))
            messages.append(replace(message, arbitration_id=windows[-1].virtual_id))
        requests.append(replace(request, windows=tuple(windows)))
    return tuple(requests), messages
