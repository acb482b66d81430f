"""Modules of the firmware, run by this Python: what the device knows is said once, there.

They are plain Python but for what MicroPython brings. `const`, the ticks and `struct` are here; `given` stands for whatever else
of it a module imports, and for modules of the package that are not to be run. Those that are are run once each.
"""

import __future__

import builtins
import struct
import time
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from host_tools.paths import FIRMWARE

_HALF = 1 << 29


def ticks_ms() -> int:
    """MicroPython's, of this machine's clock."""
    return int(time.monotonic() * 1000) % (2 * _HALF)


def ticks_diff(later: int, earlier: int) -> int:
    """MicroPython's."""
    return (later - earlier + _HALF) % (2 * _HALF) - _HALF


def ticks_add(tick: int, ms: int) -> int:
    """MicroPython's."""
    return (tick + ms) % (2 * _HALF)


class Modules:
    """`module("pigtail.config.schema")` is that module. `names` are those that MicroPython's compiler knows by itself."""

    def __init__(self, given: Mapping[str, object] = {}, names: Mapping[str, object] = {}) -> None:
        self._known: dict[str, Any] = {
            "micropython": SimpleNamespace(const=lambda value: value),
            "struct": struct,
            "time": SimpleNamespace(ticks_ms=ticks_ms, ticks_diff=ticks_diff, ticks_add=ticks_add),
            **given,
        }
        self._names = dict(names)

    def module(self, name: str) -> Any:
        """The module of this name."""
        if name not in self._known:
            path = FIRMWARE.joinpath(*name.split(".")).with_suffix(".py")
            self._known[name] = module = ModuleType(name)
            named = {"__builtins__": {**vars(builtins), "__import__": self._imported}, "micropython": self._known["micropython"]}
            module.__dict__.update(named | self._names)
            flags = __future__.annotations.compiler_flag  # those of viper are of its own types
            exec(compile(path.read_text(encoding="utf-8"), path, "exec", flags), module.__dict__)
        return self._known[name]

    def _imported(self, name: str, of: object = None, there: object = None, wanted: tuple[str, ...] = (), *_: object) -> Any:
        """What stands behind `import` and `from` there, always with the whole name."""
        if name not in self._known and FIRMWARE.joinpath(*name.split(".")).is_dir():
            return SimpleNamespace(**{leaf: self.module(f"{name}.{leaf}") for leaf in wanted})
        return self.module(name)
