"""Trouble codes: how they are asked for and told by ISO 14229-1 (19), SAE J1979 (03, 07, 0A) and ISO 14230-3 (18).

A code is a number of three bytes as SAE J2012 has it: two of the code, one of the failure type, 0 where there is none.
"""

from micropython import const
from pigtail.diag.isotp import Failure

_COUNT, _BY_MASK, _SNAPSHOT, _EXTENDED, _SUPPORTED = const(1), const(2), const(4), const(6), const(10)
ALL = b"\x18\x00\xff\x00"  # KWP: those of all groups
STATUS = (
    "testFailed", "testFailedThisOperationCycle", "pendingDTC", "confirmedDTC", "testNotCompletedSinceLastClear",
    "testFailedSinceLastClear", "testNotCompletedThisOperationCycle", "warningIndicatorRequested",
)  # fmt: skip
_KWP_STORAGE = ("noDTCDetected", "notPresent", "intermittent", "present")


def text(code: int) -> str:
    """As a mechanic reads it: P0420, or U0100-87 with a failure type."""
    told = "%s%d%03X" % ("PCBU"[code >> 22], code >> 20 & 3, code >> 8 & 0xFFF)
    return "%s-%02X" % (told, code & 0xFF) if code & 0xFF else told


def status(byte: int) -> list:
    """The names of the status bits that are set (ISO 14229-1, D.2)."""
    return [name for bit, name in enumerate(STATUS) if byte >> bit & 1]


def kwp_status(byte: int) -> list:
    """The same for ISO 14230-3: the state of storage first."""
    told = [_KWP_STORAGE[byte >> 5 & 3]]
    if byte & 0x10:
        told.append("testNotCompleted")
    if byte & 0x80:
        told.append("warningIndicatorRequested")
    return told


def count_request(mask=0xFF) -> bytes:
    return bytes([0x19, _COUNT, mask])


def count(answer) -> int:
    """How many codes an ECU has by an answer to `count_request`."""
    _check(len(answer) == 6)
    return answer[4] << 8 | answer[5]


def request(mask=0xFF) -> bytes:
    """For the codes with one of the status bits of `mask`."""
    return bytes([0x19, _BY_MASK, mask])


def supported_request() -> bytes:
    """For all codes that the ECU can have, with their status."""
    return bytes([0x19, _SUPPORTED])


def snapshot_request(code: int, record=0xFF) -> bytes:
    return bytes([0x19, _SNAPSHOT, code >> 16, code >> 8 & 0xFF, code & 0xFF, record])


def extended_request(code: int, record=0xFF) -> bytes:
    return bytes([0x19, _EXTENDED, code >> 16, code >> 8 & 0xFF, code & 0xFF, record])


def codes(answer) -> list:
    """[(code, status)] of an answer to any request for codes. SAE J1979 has no status, it is in the service's name: None then."""
    service = answer[0]
    if service == 0x59:
        _check(len(answer) >= 3)
        return _rows(answer, 3, 3, True)
    _check(len(answer) >= 2)
    rows = _rows(answer, 2, 2, service == 0x58)
    _check(len(rows) >= answer[1])
    return [row for row in rows[: answer[1]] if row[0]]  # some ECUs fill up with zeros


def _rows(answer, at, size, has_status):
    rows = []
    step = size + has_status
    _check((len(answer) - at) % step == 0)
    while at < len(answer):
        code = answer[at] << 16 | answer[at + 1] << 8 | (answer[at + 2] if size == 3 else 0)
        rows.append((code, answer[at + size] if has_status else None))
        at += step
    return rows


def snapshot(answer, lengths):
    """(code, status, {record: {did: data}}) of an answer to `snapshot_request`. `lengths` gives the length of each identifier's
    data; from one that it does not have on, the rest of the answer stands under None."""
    _check(len(answer) >= 6)
    at, records = 6, {}
    while at < len(answer):
        _check(len(answer) >= at + 2)
        record = records[answer[at]] = {}
        left, at = answer[at + 1], at + 2
        while left:
            _check(len(answer) >= at + 2)
            did = answer[at] << 8 | answer[at + 1]
            if did not in lengths:
                record[None] = answer[at:]
                return _code(answer), answer[5], records
            end = at + 2 + lengths[did]
            _check(len(answer) >= end)
            record[did] = answer[at + 2 : end]
            left, at = left - 1, end
    return _code(answer), answer[5], records


def extended(answer):
    """(code, status, bytes of all records with their numbers) of an answer to `extended_request`: lengths are the maker's."""
    _check(len(answer) >= 6)
    return _code(answer), answer[5], answer[6:]


def _code(answer):
    return answer[2] << 16 | answer[3] << 8 | answer[4]


def _check(is_right):
    if not is_right:
        raise Failure("form")
