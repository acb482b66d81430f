"""What goes wrong between the device and its broker, apart from the link, and on the bus of a device that sends: parsed from
`KIND@WHEN`, and done at its time."""

import itertools
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from host_tools.errors import InputError
from host_tools.sim.access_point import AccessPoint
from host_tools.sim.board import VirtualBoard
from host_tools.sim.broker import Broker

# kind: what happens. Those without an end happen at a moment; broker-… need a mosquitto of our own.
SPANS = {
    "silence": "nothing passes, though Wi-Fi and connections stay",
    "dns-hang": "the name server says nothing",
    "dns-fail": "no name is known",
    "broker-stall": "the broker's process is stopped",
    "broker-kill": "kill -9, and started again at the end; its messages are on disk",
    "no-ack": "no ECU acknowledges what the device sends",
    "error-passive": "its controller is error-passive, if it takes part in the bus",
}
MOMENTS = {"reset": "all connections are reset", "bus-off": "its controller goes bus-off, if it takes part in the bus"}
_AILS = {"no-ack": 1, "error-passive": 2}
_FAULT = re.compile(r"([a-z-]+)@(\d+(?:\.\d+)?)(?::(\d+(?:\.\d+)?))?")
_EXAMPLE = "give KIND@START:END in seconds, such as silence@10:20, or reset@10"


@dataclass(frozen=True)
class Fault:
    """From `start` to `end`, device seconds; those of a moment have the same for both."""

    kind: str
    start: float
    end: float

    @property
    def of_names(self) -> bool:
        """It is about names, so the device must have one to look up."""
        return self.kind.startswith("dns-")

    @property
    def of_broker(self) -> bool:
        """It is done to the broker's own process."""
        return self.kind.startswith("broker-")


def parse(text: str) -> Fault:
    """The fault that KIND@START:END, or KIND@T, names. Raises InputError."""
    match = _FAULT.fullmatch(text)
    if not match or match[1] not in SPANS | MOMENTS:
        raise InputError(f"fault {text!r}: {_EXAMPLE}; kinds are {', '.join([*MOMENTS, *SPANS])}")
    start, end = float(match[2]), float(match[3] or match[2])
    if (match[1] in MOMENTS) == bool(match[3]) or (match[3] and start >= end):
        raise InputError(f"fault {text!r}: {_EXAMPLE}, with END after START")
    return Fault(match[1], start, end)


def parse_all(texts: Sequence[str]) -> tuple[Fault, ...]:
    """All faults in order of time. Raises InputError where two that last overlap: each ends what it began."""
    result = tuple(sorted(map(parse, texts), key=lambda fault: fault.start))
    lasting = [fault for fault in result if fault.kind in SPANS]
    for before, after in itertools.pairwise(lasting):
        if after.start < before.end:
            raise InputError(f"faults {_text(before)} and {_text(after)} overlap: let one end before the other begins")
    return result


def _text(fault: Fault) -> str:
    return f"{fault.kind}@{fault.start:g}:{fault.end:g}"


class Faults:
    """Does faults to this access point, board and broker."""

    def __init__(self, access_point: AccessPoint, board: VirtualBoard, broker: Broker) -> None:
        self._access_point, self._board, self._broker = access_point, board, broker

    async def strike(self, fault: Fault, until: Callable[[float], Awaitable[None]]) -> None:
        """Waits with `until` for the fault's start, does it, and undoes it at its end."""
        await until(fault.start)
        await self._set(fault.kind, True)
        if fault.kind in SPANS:
            await until(fault.end)
            await self._set(fault.kind, False)

    async def _set(self, kind: str, on: bool) -> None:
        process = self._broker.mosquitto
        if kind == "reset":
            self._access_point.reset()
        elif kind == "silence":
            self._access_point.cut() if on else self._access_point.restore()
        elif kind == "dns-hang":
            self._board.names("?" if on else "1")
        elif kind == "dns-fail":
            self._board.names("0" if on else "1")
        elif kind == "bus-off":
            self._board.throw_off_the_bus()
        elif kind in _AILS:
            self._board.wire(_AILS[kind] if on else 0)
        elif process and kind == "broker-stall":
            process.stop(on)
        elif process and kind == "broker-kill":
            await (process.kill() if on else process.start())


def check(faults: Sequence[Fault], broker: Broker) -> None:
    """Raises InputError where one is done to a process that is not ours to stop."""
    ours = [fault for fault in faults if fault.of_broker]
    if ours and not broker.mosquitto:
        raise InputError(f"fault {_text(ours[0])}: needs a mosquitto of our own, and this broker is {broker.kind}")
