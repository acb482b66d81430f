"""The gate as it runs on the device, loaded on the host from its source or from a mutant of it, with time that the test moves."""

import struct
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_tools.paths import FIRMWARE

SOURCE = FIRMWARE / "pigtail" / "can" / "tx_guard.py"


@dataclass
class Gate:
    """The module `m`, its clock in ms, and what reached the bus: (id, data, flags)."""

    m: Any
    now: int = 1000
    bus: list[tuple[int, bytes, int]] = field(default_factory=list)
    state: str = "awake"
    mutes: list[str] = field(default_factory=list)
    takes: bool = True
    raises: bool = False

    def guard(self, *ecus: Any, services: bytes | None = None, muted: str = "", opened: bool = True) -> Any:
        """A gate to `ecus`, open unless told otherwise."""
        allowed = self.m.DEFAULT if services is None else services
        guard = self.m.TxGuard(ecus, allowed, lambda: self.state, self.mutes.append, muted)
        if opened:
            guard.open(self)
        return guard

    def passes(self, guard: Any, ms: int) -> None:
        """Time in which the supervisor is alive."""
        for _ in range(ms // 1000):
            self.now += 1000
            guard.beat()
        self.now += ms % 1000

    def send(self, arbitration_id: int, data: bytes, flags: int) -> int | None:
        """As machine.CAN's: the number of the buffer, None when all are taken; OSError in bus-off and in listen-only mode."""
        if self.raises:
            raise OSError("this controller does not transmit now")
        if not self.takes:
            return None
        self.bus.append((arbitration_id, bytes(data), flags))
        return 0


def load(source: str | None = None) -> Gate:
    """The gate of `source`, of the firmware's own without one."""
    module = types.ModuleType("tx_guard")
    gate = Gate(module)
    names: dict[str, Any] = {
        "struct": struct,
        "micropython": types.SimpleNamespace(const=lambda value: value),
        "pigtail": types.SimpleNamespace(uptime=types.SimpleNamespace(ms=lambda: gate.now)),
        "time": types.SimpleNamespace(ticks_ms=lambda: gate.now % 2**30, ticks_diff=ticks_diff),
    }

    def importing(name: str, *_: object) -> Any:
        return names[name]

    text = Path(SOURCE).read_text() if source is None else source
    builtins = {**__builtins__, "__import__": importing} if isinstance(__builtins__, dict) else {}
    module.__dict__["__builtins__"] = builtins or {**vars(__builtins__), "__import__": importing}
    exec(compile(text, str(SOURCE), "exec"), module.__dict__)
    return gate


def ticks_diff(later: int, earlier: int) -> int:
    """As MicroPython's: right within half of the 2^30 ms after which ticks wrap."""
    return (later - earlier + 2**29) % 2**30 - 2**29


def single(*payload: int) -> bytes:
    """A single frame, padded."""
    return (bytes([len(payload), *payload]) + bytes(8))[:8]


FLOW_CONTROL = bytes([0x30, 0, 0, 0, 0, 0, 0, 0])
