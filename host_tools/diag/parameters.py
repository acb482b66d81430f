"""The parameters of SAE J1979's services 01 and 02: their names and formulas, from `vehicles/obd2.dbc`."""

from dataclasses import dataclass
from functools import cache

import cantools
from cantools.database import Message, Signal
from cantools.database.errors import DecodeError

from host_tools.diag import firmware
from host_tools.diag.client import Asks, Ecu
from host_tools.diag.firmware import Failure
from host_tools.diag.unread import Unread
from host_tools.paths import VEHICLES

_SERVICE = 0x41
_ROOM = 5  # data bytes of an answer in one frame


@dataclass(frozen=True)
class Value:
    """A parameter's value; a text where it has no formula, or one for this value."""

    pid: int
    name: str
    value: float | str
    unit: str

    def fields(self) -> dict[str, object]:
        """As JSON."""
        return {"pid": f"{self.pid:02X}", "name": self.name, "value": self.value, "unit": self.unit}


async def had(client: Asks, ecu: Ecu, service: int) -> tuple[list[int], tuple[Unread, ...]]:
    """The parameters that an ECU has in service 01 or 02, and which part of them could not be read. Raises Failure for all."""
    unread: list[Unread] = []

    async def ask(request: bytes) -> bytes:
        try:
            return await client.ask(ecu, request)
        except Failure as failure:
            unread.append(Unread(f"parameters of service {service:02X} from {request[1] + 1:02X} on", failure))
            raise

    return await firmware.discover(ask, service), tuple(unread)


def names(pid: int) -> list[str]:
    """What a parameter tells; empty where nothing is known of it."""
    return [signal.name for signal in _signals(pid)]


def decode(pid: int, data: bytes) -> list[Value]:
    """What the data of a parameter say; in hex where there is no formula, or they are no such data."""
    frame = bytes([2 + min(len(data), _ROOM), _SERVICE, pid]) + data[:_ROOM]
    try:
        told = _response().decode(frame, allow_truncated=True) if names(pid) and len(data) <= _ROOM else {}
    except (DecodeError, KeyError, ValueError):
        told = {}
    assert isinstance(told, dict)
    found = [
        Value(pid, signal.name, value if isinstance(value, int | float) else str(value), signal.unit or "")
        for signal in _signals(pid)
        if (value := told.get(signal.name)) is not None
    ]
    return found or [Value(pid, "", data.hex(" "), "")]


@cache
def _response() -> Message:
    database = cantools.database.load_file(VEHICLES / "obd2.dbc")
    assert isinstance(database, cantools.database.Database)
    return database.messages[0]


def _signals(pid: int) -> list[Signal]:
    return [s for s in _response().signals if s.multiplexer_signal == "Pid" and pid in (s.multiplexer_ids or ())]
