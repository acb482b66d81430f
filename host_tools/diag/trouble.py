"""Trouble codes: by ISO 14229-1 (19), SAE J1979 (03, 07, 0A), or ISO 14230-3 (18)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from host_tools.diag import descriptions, firmware
from host_tools.diag.client import Asks, Ecu
from host_tools.diag.firmware import Failure
from host_tools.diag.unread import Unread

UDS, OBD, KWP = "uds", "obd", "kwp"
CLEARS = {UDS: b"\x14\xff\xff\xff", OBD: b"\x04"}
_MASK = 0x8D  # lamp, confirmed, pending, test failed
_SERVICES = ((firmware.PENDING, "pending"), (firmware.PERMANENT, "permanent"))
_NO_SERVICE, _NO_SUBFUNCTION = 0x11, 0x12

States = dict[int, tuple[str, ...]]  # of each code


@dataclass(frozen=True)
class Code:
    """One code; `states` as a mechanic says them, `status` the names of the bits that are set: None, as SAE J1979 has none."""

    number: int
    states: tuple[str, ...]
    status: tuple[str, ...] | None = None

    @property
    def text(self) -> str:
        """P0420, or U0100-87 with a failure type."""
        return firmware.code_text(self.number)

    def fields(self) -> dict[str, object]:
        """As JSON."""
        bits = None if self.status is None else list(self.status)
        return {"code": self.text, "description": descriptions.code(self.text), "states": list(self.states), "status": bits}


@dataclass(frozen=True)
class Memory:
    """What an ECU keeps, by which of the three it was asked, and what of it could not be read."""

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
        return await _uds(client, ecu)
    except Failure as failure:
        if failure.code != "negative" and failure.code != "service" and not failure.is_silence:
            raise
        return await _older(client, ecu, failure)


async def _older(client: Asks, ecu: Ecu, refused: Failure) -> Memory:
    """By what there was before ISO 14229-1; raises what `refused` that where the ECU has nothing to say by these either."""
    if ecu.is_obd:
        try:
            return await _obd(client, ecu)
        except Failure as failure:
            if not failure.is_silence:
                refused = failure
    if refused.nrc == _NO_SERVICE or refused.code == "service":
        try:
            rows = await _rows(client, ecu, firmware.KWP_CODES)
            return Memory(KWP, tuple(_code(number, status, firmware.kwp_status_names) for number, status in rows))
        except Failure as failure:
            refused = Failure("kwp") if failure.code == "service" != refused.code else refused
    raise refused


async def _uds(client: Asks, ecu: Ecu) -> Memory:
    try:
        rows = await _rows(client, ecu, firmware.codes_request(_MASK))
    except Failure as failure:
        if failure.code in ("buffer_overflow", "too_long"):
            return Memory(UDS, (), (Unread(await _how_many(client, ecu, failure), failure),))
        if failure.nrc != _NO_SUBFUNCTION:
            raise
        rows = await _rows(client, ecu, firmware.SUPPORTED_CODES)
    found = tuple(_code(number, status, firmware.status_names) for number, status in rows if status & _MASK)
    return await _with_permanent(client, ecu, found) if ecu.is_obd else Memory(UDS, found)


async def _how_many(client: Asks, ecu: Ecu, failure: Failure) -> str:
    try:
        count = firmware.count(await client.ask(ecu, firmware.count_request(_MASK)))
    except Failure:
        raise failure from None
    return f"{count} trouble codes"


async def _rows(client: Asks, ecu: Ecu, request: bytes) -> list[tuple[int, int]]:
    """(code, status) of an answer in which each has one."""
    return [(number, status or 0) for number, status in firmware.codes(await client.ask(ecu, request))]


def _code(number: int, status: int, names: Callable[[int], list[str]]) -> Code:
    told = tuple(names(status))
    return Code(number, tuple(said for name, said in descriptions.STATUS.items() if name in told), told)


async def _with_permanent(client: Asks, ecu: Ecu, found: tuple[Code, ...]) -> Memory:
    """Emission control units say by SAE J1979 alone which codes only the car itself may erase."""
    states, unread = await _told(client, ecu, _SERVICES[1:])
    plain = [code.number & 0xFFFF00 for code in found]
    told = [replace(c, states=c.states + states.get(n, ())) for c, n in zip(found, plain, strict=True)]
    told += [Code(number, states[number]) for number in sorted(states.keys() - set(plain))]
    return Memory(UDS, tuple(told), unread)


async def _obd(client: Asks, ecu: Ecu) -> Memory:
    """The first of the services must answer, the others need not be there."""
    states: States = {number: ("confirmed",) for number, _ in firmware.codes(await client.ask(ecu, firmware.STORED))}
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
