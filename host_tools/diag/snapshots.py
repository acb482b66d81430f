"""What an ECU keeps with its trouble codes: by ISO 14229-1 (19 04 and 06), or the freeze frame of SAE J1979 (02)."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from host_tools.diag import firmware, parameters, trouble
from host_tools.diag.client import Asks, Ecu
from host_tools.diag.firmware import Failure
from host_tools.diag.unread import Unread

_OUT_OF_RANGE = 0x31  # of 19 04 and 06: the code has no such record
_MOST_ASKED = 64  # each is a question of its own
_STORED_BY = 2  # the parameter of a freeze frame that is the code it was kept for


@dataclass(frozen=True)
class Snapshot:
    """What was kept with a code: `records` by identifier (None: what could not be taken apart) and `extended` data, all of the
    maker's form, or the `values` of a freeze frame."""

    code: str
    records: dict[int, dict[int | None, bytes]]
    values: tuple[parameters.Value, ...] = ()
    extended: bytes = b""

    def fields(self) -> dict[str, object]:
        """As JSON."""
        records = {
            str(number): [{"did": None if did is None else f"{did:04X}", "data": data.hex()} for did, data in record.items()]
            for number, record in self.records.items()
        }
        values = [value.fields() for value in self.values]
        return {"code": self.code, "records": records, "values": values, "extended": self.extended.hex()}


@dataclass(frozen=True)
class Kept:
    """All that an ECU keeps, and what of it could not be read."""

    snapshots: tuple[Snapshot, ...] = ()
    unread: tuple[Unread, ...] = ()

    def fields(self) -> dict[str, object]:
        """As JSON."""
        return {"snapshots": [each.fields() for each in self.snapshots], "unread": [each.fields() for each in self.unread]}


async def kept(client: Asks, ecu: Ecu) -> Kept:
    """What an ECU keeps with its codes. Raises Failure where it does not even tell these."""
    memory = await trouble.memory(client, ecu)
    if memory.by == trouble.OBD:
        return await _freeze_frame(client, ecu, memory.unread, None)
    if memory.by == trouble.KWP and memory.codes:
        return Kept(unread=(Unread("snapshots", Failure("kwp_snapshots")),))
    found, unread, has_extended = [], list(memory.unread), True
    lengths: dict[int, int] = {}
    asked: set[int] = set()
    for code in memory.codes:
        try:
            found.append(await _snapshot(client, ecu, code, lengths, asked))
        except Failure as failure:
            if failure.is_unsupported:  # by this ECU at all
                if ecu.is_obd:
                    return await _freeze_frame(client, ecu, memory.unread, failure)
                return Kept(tuple(found), (*unread, Unread("snapshots", failure)))
            unread.append(Unread(f"the snapshot of {code.text}", failure))
            continue
        try:
            found[-1] = replace(found[-1], extended=await _extended(client, ecu, code) if has_extended else b"")
        except Failure as failure:
            has_extended = not failure.is_unsupported
            if has_extended:
                unread.append(Unread(f"the extended data of {code.text}", failure))
    return Kept(tuple(found), tuple(unread))


async def _snapshot(client: Asks, ecu: Ecu, code: trouble.Code, lengths: dict[int, int], asked: set[int]) -> Snapshot:
    """`lengths`: of the identifiers' data, as far as this ECU has told them when it was `asked`, each once."""
    try:
        answer = await client.ask(ecu, firmware.snapshot_request(code.number))
    except Failure as failure:
        if failure.nrc != _OUT_OF_RANGE:
            raise
        return Snapshot(code.text, {})
    while True:
        records = _apart(answer, lengths)
        rest = next((record[None] for record in records.values() if None in record), b"")
        did = int.from_bytes(rest[:2], "big")
        if len(rest) < 2 or did in asked or len(asked) >= _MOST_ASKED:
            return Snapshot(code.text, records)
        asked.add(did)
        with suppress(Failure):
            lengths[did] = len(await client.ask(ecu, firmware.read_request(did))) - 3


def _apart(answer: bytes, lengths: Mapping[int, int]) -> dict[int, dict[int | None, bytes]]:
    """In one piece where these lengths are not those that it has. Raises Failure."""
    with suppress(Failure):
        return firmware.snapshot(answer, lengths)
    return firmware.snapshot(answer, {})


async def _extended(client: Asks, ecu: Ecu, code: trouble.Code) -> bytes:
    try:
        return firmware.extended(await client.ask(ecu, firmware.extended_request(code.number)))
    except Failure as failure:
        if failure.nrc != _OUT_OF_RANGE:
            raise
        return b""


async def _freeze_frame(client: Asks, ecu: Ecu, unread: tuple[Unread, ...], refused: Failure | None) -> Kept:
    """`refused`: why there are no others, which counts where nothing is said of this one."""
    try:
        stored_by = firmware.value(await client.ask(ecu, firmware.frozen_request(_STORED_BY)))
        if not any(stored_by):
            return Kept((), unread)
        pids, missed = await parameters.had(client, ecu, 2)
    except Failure as failure:
        if failure.is_silence and refused:
            return Kept((), (*unread, Unread("snapshots", refused)))
        return Kept((), unread if failure.is_unsupported else (*unread, Unread("the freeze frame", failure)))
    unread += missed
    values: list[parameters.Value] = []
    for pid in pids:
        if pid == _STORED_BY:
            continue
        try:
            values += parameters.decode(pid, firmware.value(await client.ask(ecu, firmware.frozen_request(pid))))
        except Failure as failure:
            if not failure.is_unsupported:
                unread += (Unread(f"{', '.join(parameters.names(pid)) or 'PID'} ({pid:02X}) of the freeze frame", failure),)
    code = firmware.code_text(int.from_bytes(stored_by[:2], "big") << 8)
    return Kept((Snapshot(code, {}, tuple(values)),), unread)
