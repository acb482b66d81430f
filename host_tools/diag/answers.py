"""The verbs of `pigtail diag`: what each finds out, as JSON has it. An ECU without an answer has a `failure` in its place."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from host_tools.diag import descriptions, firmware, parameters, snapshots, trouble, values
from host_tools.diag.client import Asks, Ecu
from host_tools.diag.firmware import Failure
from host_tools.diag.unread import Unread
from host_tools.signals.profile import Profile

Fields = dict[str, Any]
_VIN_SIZE, _CALIBRATION_SIZE = 17, 16
_VIN_DID = 0xF190


async def each(ecus: Sequence[Ecu], ask: Callable[[Ecu], Awaitable[Mapping[str, object]]]) -> list[Fields]:
    """What `ask` finds out of each."""
    found = []
    for ecu in ecus:
        who = {"ecu": ecu.name, "id": f"{ecu.tx_id:03X}"}
        try:
            found.append({**who, **await ask(ecu)})
        except Failure as failure:
            found.append({**who, "failure": descriptions.failure(failure.code, failure.nrc)})
    return found


async def dtcs(client: Asks, ecus: Sequence[Ecu]) -> list[Fields]:
    """The trouble codes of each."""

    async def ask(ecu: Ecu) -> Fields:
        return (await trouble.memory(client, ecu)).fields()

    return await each(ecus, ask)


async def snapshot(client: Asks, ecus: Sequence[Ecu]) -> list[Fields]:
    """What each keeps with its codes."""

    async def ask(ecu: Ecu) -> Fields:
        return (await snapshots.kept(client, ecu)).fields()

    return await each(ecus, ask)


async def supported(client: Asks, ecus: Sequence[Ecu]) -> list[Fields]:
    """The parameters of service 01 that each has."""

    async def ask(ecu: Ecu) -> Fields:
        pids, unread = await parameters.had(client, ecu, 1)
        told = [{"pid": f"{pid:02X}", "names": parameters.names(pid)} for pid in pids]
        return {"parameters": told, "unread": [each.fields() for each in unread]}

    return await each(ecus, ask)


async def vin(client: Asks, ecus: Sequence[Ecu]) -> list[Fields]:
    """The number of the first that tells one, and its calibrations; else what came of each."""
    found: list[Fields] = []
    for ecu in ecus:
        found += await each([ecu], lambda ecu: _identity(client, ecu))
        if "vin" in found[-1]:
            return found[-1:]
    return found


async def every_vin(client: Asks, ecus: Sequence[Ecu]) -> list[Fields]:
    """The number and the calibrations of each."""
    return await each(ecus, lambda ecu: _identity(client, ecu))


async def read(client: Asks, ecus: Sequence[Ecu], what: Sequence[bytes], profile: Profile | None = None) -> list[Fields]:
    """The data of identifiers (two bytes) and parameters of service 01 (one), and the values in them that the profile or SAE
    J1979 names. Each has a request of its own: where one's data end in an answer for several, only the maker knows."""

    async def identifier(ecu: Ecu, did: bytes) -> Fields:
        request = firmware.read_request(int.from_bytes(did, "big"))
        answer = await client.ask(ecu, request)
        found = values.named(profile, ecu.name, request, answer) if profile else []
        return {"data": answer[3:].hex(), "text": _text(answer[3:]), "values": found}

    async def parameter(ecu: Ecu, pid: bytes) -> Fields:
        data = firmware.value(await client.ask(ecu, firmware.current_request(pid[0])))
        found = [value.fields() for value in parameters.decode(pid[0], data) if value.name]
        return {"data": data.hex(), "text": None, "values": found}

    async def one(ecu: Ecu, asked: bytes) -> Fields:
        kind, ask = ("did", identifier) if len(asked) > 1 else ("pid", parameter)
        try:
            return {kind: asked.hex().upper(), **await ask(ecu, asked)}
        except Failure as failure:
            return {kind: asked.hex().upper(), "failure": descriptions.failure(failure.code, failure.nrc)}

    return [row for ecu in ecus for asked in what for row in await each([ecu], partial(one, asked=asked))]


async def _identity(client: Asks, ecu: Ecu) -> Fields:
    number = await _vin(client, ecu)
    calibrations: list[str] = []
    unread = []
    if ecu.is_obd:
        try:
            calibrations = firmware.texts(await client.ask(ecu, firmware.CALIBRATIONS), _CALIBRATION_SIZE)
        except Failure as failure:
            if not failure.is_unsupported and failure.code != "no_answer":  # SAE J1979: who does not have such keeps silent
                unread.append(Unread("calibrations", failure).fields())
    return {"vin": number, "calibrations": calibrations, "unread": unread}


async def _vin(client: Asks, ecu: Ecu) -> str:
    """By SAE J1979 or else ISO 14229-1. Raises Failure, "blank" where it was never written."""
    is_blank = False
    if ecu.is_obd:
        with suppress(Failure):
            numbers = [*filter(None, firmware.texts(await client.ask(ecu, firmware.VIN), _VIN_SIZE))]
            if numbers:
                return numbers[0]
            is_blank = True
    try:
        data = (await client.ask(ecu, firmware.read_request(_VIN_DID)))[3:].strip(b"\0 \xff")
    except Failure as failure:
        if not is_blank:
            raise
        raise Failure("blank") from failure
    number = _text(data)
    if number is None:
        raise Failure("form" if data else "blank")
    return number


def _text(data: bytes) -> str | None:
    """The data as a text, where they are one."""
    is_text = data.isascii() and data.decode("ascii", "replace").isprintable() and len(data) > 1
    return data.decode("ascii") if is_text else None
