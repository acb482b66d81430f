"""The firmware's diagnostics and their gate on the host's Python, so that they can talk to other implementations.

They are pure MicroPython but for viper, whose pointers become memoryviews here. Time is the host's.
"""

import array
import asyncio
import inspect
import time
import types
from collections.abc import Callable
from typing import Any

from host_tools.paths import FIRMWARE

MODULES = ["can.tx_guard", "diag.isotp", "diag.uds", "diag.dids", "diag.dtc", "diag.obd"]
POINTERS = {"ptr8": "B", "ptr32": "i"}
_HALF = 2**29


def load() -> types.SimpleNamespace:
    """The modules as attributes: tx_guard, isotp, uds, dtc, obd."""
    loaded = types.SimpleNamespace()
    micropython = types.SimpleNamespace(const=lambda value: value, viper=viper)
    known: dict[str, Any] = {
        "array": array,
        "asyncio": types.SimpleNamespace(sleep_ms=lambda ms: asyncio.sleep(ms / 1000)),
        "micropython": micropython,
        "time": types.SimpleNamespace(ticks_ms=ticks_ms, ticks_diff=ticks_diff, ticks_add=ticks_add),
        "pigtail.diag": loaded,
    }

    def importing(name: str, *_: object) -> Any:
        return known[name]

    for name in MODULES:
        module = types.ModuleType(name)
        builtins = vars(__import__("builtins")) | {"__import__": importing}
        module.__dict__.update({"__builtins__": builtins, "micropython": micropython} | dict.fromkeys([*POINTERS, "uint"], int))
        path = FIRMWARE / "pigtail" / f"{name.replace('.', '/')}.py"
        code = compile(f"from __future__ import annotations\n{path.read_text()}", str(path), "exec")
        known["__future__"] = __import__("__future__")
        exec(code, module.__dict__)
        known[f"pigtail.{name}"] = module
        setattr(loaded, name.rpartition(".")[2], module)
    return loaded


def viper(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its buffers cast to what its pointers point at."""
    kinds = [POINTERS.get(str(p.annotation)) for p in inspect.signature(function).parameters.values()]

    def call(*values: Any) -> Any:
        return function(*(memoryview(v).cast("B").cast(k) if k else v for v, k in zip(values, kinds, strict=True)))

    return call


def ticks_ms() -> int:
    return int(time.monotonic() * 1000) % (2 * _HALF)


def ticks_diff(later: int, earlier: int) -> int:
    return (later - earlier + _HALF) % (2 * _HALF) - _HALF


def ticks_add(tick: int, ms: int) -> int:
    return (tick + ms) % (2 * _HALF)
