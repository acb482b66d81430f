"""ISO 14229-1, services 10, 14, 19, 22 and 3E, and of ISO 14230-3 (KWP 2000) 18 and 21."""

from collections.abc import Callable

from host_tools.sim.ecus.facts import Facts
from host_tools.sim.ecus.trouble import Code, Memory

SUBFUNCTION, LENGTH, TOO_LONG, OUT_OF_RANGE = 0x12, 0x13, 0x14, 0x31  # negative response codes
_MOST_BYTES = 0xFFF
_QUIET = 0x80  # suppress the positive answer
_AVAILABLE = b"\xff"  # status bits that are kept
_FORMAT = b"\x01"  # of codes: ISO 14229-1
_RECORD = 1  # the snapshot's


class NegativeError(Exception):
    """A negative answer, by its code."""

    def __init__(self, nrc: int) -> None:
        super().__init__(f"{nrc:02x}")
        self.nrc = nrc


Answer = bytes | None  # None: all is well, and nothing is said


def session(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """10."""
    kind = _subfunction(request, 2)
    if kind not in facts.sessions:
        raise NegativeError(SUBFUNCTION)
    return None if request[1] & _QUIET else bytes([0x50, kind]) + b"\x00\x32\x01\xf4"  # P2 50 ms, P2* 5 s


def present(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """3E."""
    if _subfunction(request, 2):
        raise NegativeError(SUBFUNCTION)
    return None if request[1] & _QUIET else b"\x7e\x00"


def clear(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """14."""
    _check(len(request) == 4)
    if not memory.clear(int.from_bytes(request[1:], "big"), at):
        raise NegativeError(OUT_OF_RANGE)
    return b"\x54"


def identifiers(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """22: those of the identifiers that there are."""
    _check(len(request) > 1 and len(request) % 2 == 1)
    asked = [int.from_bytes(request[n : n + 2], "big") for n in range(1, len(request), 2)]
    said = b"".join(did.to_bytes(2, "big") + facts.dids[did](at) for did in asked if did in facts.dids)
    if not said:
        raise NegativeError(OUT_OF_RANGE)
    if len(said) >= _MOST_BYTES:
        raise NegativeError(TOO_LONG)
    return b"\x62" + said


def codes(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """19, subfunctions 01, 02, 04, 06, 0A."""
    _check(len(request) >= 2)
    kind = request[1] & ~_QUIET
    if kind not in _REPORTS:
        raise NegativeError(SUBFUNCTION)
    said = _REPORTS[kind](memory, request[2:], at)
    return None if request[1] & _QUIET else bytes([0x59, kind]) + said


def _count(memory: Memory, asked: bytes, at: float) -> bytes:
    _check(len(asked) == 1)
    return _AVAILABLE + _FORMAT + len(memory.stored(at, asked[0])).to_bytes(2, "big")


def _by_status(memory: Memory, asked: bytes, at: float) -> bytes:
    _check(len(asked) == 1)
    return _AVAILABLE + b"".join(map(_with_status, memory.stored(at, asked[0])))


def _supported(memory: Memory, asked: bytes, at: float) -> bytes:
    _check(not asked)
    return _AVAILABLE + b"".join(map(_with_status, memory.supported(at)))


def _snapshot(memory: Memory, asked: bytes, at: float) -> bytes:
    found, record = _one(memory, asked, at)
    if record not in (_RECORD, 0xFF):
        raise NegativeError(OUT_OF_RANGE)
    rows = b"".join(did.to_bytes(2, "big") + data for did, data in found.snapshot.items())
    return _with_status(found) + (bytes([_RECORD, len(found.snapshot)]) + rows if rows else b"")


def _extended(memory: Memory, asked: bytes, at: float) -> bytes:
    found, record = _one(memory, asked, at)
    chosen = {n: data for n, data in found.extended.items() if record in (n, 0xFF)}
    if not chosen and record != 0xFF:
        raise NegativeError(OUT_OF_RANGE)
    return _with_status(found) + b"".join(bytes([n]) + data for n, data in chosen.items())


def _one(memory: Memory, asked: bytes, at: float) -> tuple[Code, int]:
    _check(len(asked) == 4)
    if not (found := memory.find(int.from_bytes(asked[:3], "big"), at)):
        raise NegativeError(OUT_OF_RANGE)
    return found, asked[3]


def _with_status(code: Code) -> bytes:
    return code.code.to_bytes(3, "big") + bytes([code.status])


def _subfunction(request: bytes, length: int) -> int:
    _check(len(request) == length)
    return request[1] & ~_QUIET


def _check(is_well_formed: bool) -> None:
    if not is_well_formed:
        raise NegativeError(LENGTH)


def kwp_codes(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """KWP 18: all codes, in two bytes each."""
    _check(len(request) == 4)
    rows = [(code.code >> 8).to_bytes(2, "big") + bytes([code.status]) for code in memory.stored(at)][:255]
    return bytes([0x58, len(rows)]) + b"".join(rows)


def kwp_local(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """KWP 21: one local identifier."""
    _check(len(request) in (2, 3))
    if request[1] not in facts.locals:
        raise NegativeError(SUBFUNCTION)
    return b"\x61" + request[1:2] + facts.locals[request[1]](at)


_REPORTS = {0x01: _count, 0x02: _by_status, 0x04: _snapshot, 0x06: _extended, 0x0A: _supported}
SERVICES: dict[int, Callable[[Facts, Memory, bytes, float], Answer]] = {
    0x10: session, 0x14: clear, 0x18: kwp_codes, 0x19: codes, 0x21: kwp_local, 0x22: identifiers, 0x3E: present,
}  # fmt: skip
