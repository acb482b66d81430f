"""The firmware's diagnostics and their gate on the host's Python, so that they can talk to other implementations.

They are pure MicroPython but for viper, whose pointers become memoryviews here. Time is the host's.
"""

import array
import asyncio
import inspect
import types
from collections.abc import Callable
from typing import Any

from host_tools.firmware_modules import Modules

MODULES = ["can.tx_guard", "diag.isotp", "diag.uds", "diag.dtc", "diag.obd"]
POINTERS = {"ptr8": "B", "ptr32": "i"}


def load() -> types.SimpleNamespace:
    """The modules as attributes: tx_guard, isotp, uds, dtc, obd."""
    given = {
        "array": array,
        "asyncio": types.SimpleNamespace(sleep_ms=lambda ms: asyncio.sleep(ms / 1000)),
        "micropython": types.SimpleNamespace(const=lambda value: value, viper=viper),
    }
    modules = Modules(given, dict.fromkeys([*POINTERS, "uint"], int))
    return types.SimpleNamespace(**{name.rpartition(".")[2]: modules.module(f"pigtail.{name}") for name in MODULES})


def viper(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its buffers cast to what its pointers point at."""
    kinds = [POINTERS.get(str(p.annotation)) for p in inspect.signature(function).parameters.values()]

    def call(*values: Any) -> Any:
        return function(*(memoryview(v).cast("B").cast(k) if k else v for v, k in zip(values, kinds, strict=True)))

    return call
