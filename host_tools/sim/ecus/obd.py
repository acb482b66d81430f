"""SAE J1979 (ISO 15031-5) on CAN, services 01 to 04, 07, 09, 0A. What is not supported is not answered."""

from collections.abc import Callable, Mapping

from host_tools.sim.ecus.facts import Facts
from host_tools.sim.ecus.trouble import CONFIRMED, PENDING, Code, Memory
from host_tools.sim.ecus.values import Value

_ALL = 0xFFFFFF
_ITEM_BYTES = {0x02: 17, 0x04: 16, 0x06: 4, 0x0A: 20}  # of the info types that may have several
_MOST_PIDS = 6
_STORED_BY = 0x02  # of a freeze frame

Answer = bytes | None


def current(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """01: up to six PIDs."""
    pids = request[1:]
    if not 1 <= len(pids) <= _MOST_PIDS:
        return None
    said = b"".join(bytes([pid]) + data for pid in pids if (data := _data(facts.pids, pid, at)) is not None)
    return b"\x41" + said if said else None


def freeze(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """02: up to three PIDs, each with the number of its freeze frame, of which there is one; PID 02 is the code it was kept for,
    0 where there is none."""
    asked = request[1:]
    if len(asked) % 2 or not asked:
        return None
    kept, said = _frame(facts.freeze, memory, at), b""
    for pid, frame in zip(asked[::2], asked[1::2], strict=True):
        data = _data(kept, pid, at) if frame == 0 else None
        if data is not None:
            said += bytes([pid, frame]) + data
    return b"\x42" + said if said else None


def _frame(table: Mapping[int, Value], memory: Memory, at: float) -> Mapping[int, Value]:
    code = int.from_bytes(table[_STORED_BY](at), "big") << 8 if _STORED_BY in table else 0
    return table if not table or memory.keeps_frame(code, at) else {_STORED_BY: lambda at: bytes(2)}


def confirmed(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """03."""
    return _codes(0x43, memory.stored(at, CONFIRMED)) if len(request) == 1 else None


def pending(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """07."""
    return _codes(0x47, memory.stored(at, PENDING)) if len(request) == 1 else None


def permanent(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """0A."""
    return _codes(0x4A, memory.permanent(at)) if len(request) == 1 else None


def clear(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """04."""
    if len(request) != 1:
        return None
    memory.clear(_ALL, at)
    return b"\x44"


def info(facts: Facts, memory: Memory, request: bytes, at: float) -> Answer:
    """09: one info type, with how many items there are of it."""
    if len(request) != 2 or (data := _data(facts.infos, request[1], at)) is None:
        return None
    if request[1] % 0x20 == 0:
        return b"\x49" + request[1:] + data
    size = _ITEM_BYTES.get(request[1], 0)
    items = len(data) // size if size and len(data) % size == 0 else 1
    return b"\x49" + request[1:] + bytes([items]) + data


def _data(table: Mapping[int, Value], pid: int, at: float) -> bytes | None:
    """What is said of a PID; of 00, 20 … E0, which of the next 32 there are."""
    if pid % 0x20:
        return table[pid](at) if pid in table else None
    if not any(other > pid for other in table):
        return None
    bits = sum(1 << pid + 0x20 - other for other in table if pid < other <= pid + 0x20)
    return (bits | any(other > pid + 0x20 for other in table)).to_bytes(4, "big")


def _codes(head: int, codes: list[Code]) -> bytes:
    pairs = [(code.code >> 8).to_bytes(2, "big") for code in codes][:255]
    return bytes([head, len(pairs)]) + b"".join(pairs)


SERVICES: dict[int, Callable[[Facts, Memory, bytes, float], Answer]] = {
    0x01: current, 0x02: freeze, 0x03: confirmed, 0x04: clear, 0x07: pending, 0x09: info, 0x0A: permanent,
}  # fmt: skip
