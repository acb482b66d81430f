"""Trouble codes: by ISO 14229-1 (19), or SAE J1979 (03, 07, 0A)."""

from dataclasses import dataclass, replace

from host_tools.diag import descriptions, firmware
from host_tools.diag.client import Asks, Ecu
from host_tools.diag.firmware import Failure
from host_tools.diag.unread import Unread

UDS, OBD = "uds", "obd"
CLEARS = {UDS: b"\x14\xff\xff\xff", OBD: b"\x04"}
_MASK = 0x8D  # lamp, confirmed, pending, test failed
_CONFIRMED = b"\x03"
_SERVICES = ((b"\x07", "pending"), (b"\x0a", "permanent"))

States = dict[int, tuple[str, ...]]  # of each code


@dataclass(frozen=True)
class Code:
    """One code; `states` as a mechanic says them, `status` the byte of ISO 14229-1, None where SAE J1979 told of it."""

    number: int
    states: tuple[str, ...]
    status: int | None = None

    @property
    def text(self) -> str:
        """P0420, or U0100-87 with a failure type."""
        return firmware.code_text(self.number)

    def fields(self) -> dict[str, object]:
        """As JSON."""
        bits = None if self.status is None else firmware.status_names(self.status)
        return {"code": self.text, "description": descriptions.code(self.text), "states": list(self.states), "status": bits}


@dataclass(frozen=True)
class Memory:
    """What an ECU keeps, by which of both it was asked, and what of it could not be read."""

    by: str
    codes: tuple[Code, ...]
    unread: tuple[Unread, ...] = ()

    def fields(self) -> dict[str, object]:
        """As JSON."""
        codes, unread = [code.fields() for code in self.codes], [each.fields() for each in self.unread]
        return {"by": self.by, "codes": codes, "unread": unread}


async def memory(client: Asks, ecu: Ecu) -> Memory:
    """The codes of an ECU. Raises Failure."""
    try:
        answer = await client.ask(ecu, firmware.codes_request(_MASK))
    except Failure as failure:
        if not ecu.is_obd or failure.code not in ("negative", "no_answer", "silent", "service"):
            raise
        try:
            return await _obd(client, ecu)
        except Failure as other:
            raise failure if other.is_silence else other from None
    found = tuple(Code(number, _states(status or 0), status) for number, status in firmware.codes(answer))
    return await _with_permanent(client, ecu, found) if ecu.is_obd else Memory(UDS, found)


def _states(status: int) -> tuple[str, ...]:
    names = firmware.status_names(status)
    return tuple(said for name, said in descriptions.STATUS.items() if name in names)


async def _with_permanent(client: Asks, ecu: Ecu, found: tuple[Code, ...]) -> Memory:
    """Emission control units say by SAE J1979 alone which codes only the car itself may erase."""
    states, unread = await _told(client, ecu, _SERVICES[1:])
    plain = [code.number & 0xFFFF00 for code in found]
    told = [replace(c, states=c.states + states.get(n, ())) for c, n in zip(found, plain, strict=True)]
    told += [Code(number, states[number]) for number in sorted(states.keys() - set(plain))]
    return Memory(UDS, tuple(told), unread)


async def _obd(client: Asks, ecu: Ecu) -> Memory:
    """The first of the services must answer, the others need not be there."""
    states: States = {number: ("confirmed",) for number, _ in firmware.codes(await client.ask(ecu, _CONFIRMED))}
    others, unread = await _told(client, ecu, _SERVICES)
    for number, said in others.items():
        states[number] = states.get(number, ()) + said
    return Memory(OBD, tuple(Code(number, said) for number, said in states.items()), unread)


async def _told(client: Asks, ecu: Ecu, services: tuple[tuple[bytes, str], ...]) -> tuple[States, tuple[Unread, ...]]:
    """Which states the codes have by these services of SAE J1979, and which of them could not be read; who does not have such
    a service has no such codes. At 29 bits that may be any ECU, which SAE J1979 lets be silent then."""
    states: States = {}
    unread = []
    for request, state in services:
        try:
            rows = firmware.codes(await client.ask(ecu, request))
        except Failure as failure:
            rows = []
            if not (failure.is_unsupported or (ecu.is_wide and failure.is_silence)):
                unread.append(Unread(f"{state} codes", failure))
        for number, _ in rows:
            states[number] = (*states.get(number, ()), state)
    return states, tuple(unread)
