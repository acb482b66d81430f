"""`make size`: bytes of each compiled module, for the simulator and for the ESP32, and the heap that it takes.

Heap is measured on the Unix port: the modules are imported one by one, each after those that it needs, so that each
is charged with itself alone. The board's own modules and what is built in are loaded before and not counted.
"""

import ast
import graphlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from host_tools.errors import InputError, PigtailError, SetupError
from host_tools.paths import BOARDS, BUILD, FIRMWARE
from host_tools.toolchain import build, micropython, tls_size

DEVICE_ARCH = "xtensawin"
_COUNTED_TOO = ["asyncio", "umqtt.simple"]
_ROOM = "512k"  # what a start loads and forgets is measured too, all at once
_LOAD = """
import gc, json
def load(name):
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    return gc.mem_alloc() - before
for name in {before}:
    __import__(name)
load("json")
print(json.dumps([load(name) for name in {names}]))
"""


@dataclass(frozen=True)
class Size:
    """One module: bytes of its .mpy for the Unix port and for the ESP32 (None: not ours to compile), heap bytes."""

    name: str
    simulator: int | None
    device: int | None
    heap: int


def sizes() -> list[Size]:
    """All modules of the firmware in the order of their imports. Raises InputError when one cannot be compiled."""
    interpreter = micropython.find()
    simulator = build.firmware(BUILD / "size" / interpreter.mpy_arch, interpreter.mpy_arch)
    device = build.firmware(BUILD / "size" / DEVICE_ARCH, DEVICE_ARCH)
    imports = imports_of(FIRMWARE)
    order = list(graphlib.TopologicalSorter(imports).static_order())
    names = _COUNTED_TOO + [name for name in order if name in imports]
    before = [
        name for name in order if name not in imports and name.split(".")[0] not in ("asyncio", "umqtt")
    ]
    heaps = _heaps(interpreter, simulator, before, names)
    return [
        Size(name, _bytes(simulator, name), _bytes(device, name), heap)
        for name, heap in zip(names, heaps, strict=True)
    ]


def imports_of(source: Path) -> dict[str, set[str]]:
    """For each module of the firmware, by its dotted name, the modules that it imports, built-in ones too."""
    paths = [*source.glob("*.py"), *(source / "pigtail").rglob("*.py")]
    modules = {
        _dotted(path.relative_to(source)): path for path in paths if path.name not in ("boot.py", "main.py")
    }
    found: dict[str, set[str]] = {}
    for name, path in modules.items():
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
                found[name] |= inner or {node.module}
    return found


def _heaps(
    interpreter: micropython.Micropython, tree: Path, before: list[str], names: list[str]
) -> list[int]:
    """Bytes of heap that each import took, in a fresh interpreter."""
    script = _LOAD.format(before=before, names=names)
    argv, clock = interpreter.argv(["-c", script], _ROOM)
    path = f"{BOARDS / 'unix'}:{tree / 'slot'}:{tree / 'root'}:.frozen"
    environment = os.environ | clock | {"MICROPYPATH": path}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        reason = (done.stdout + done.stderr).strip().splitlines()[-1]
        raise InputError(f"the firmware does not load in {_ROOM} of heap: {reason}")
    heaps: list[int] = json.loads(done.stdout)
    return heaps


def _bytes(tree: Path, name: str) -> int | None:
    paths = [tree / part / f"{name.replace('.', '/')}.mpy" for part in ("root", "slot")]
    return next((path.stat().st_size for path in paths if path.exists()), None)


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def main() -> int:
    """Prints the table; 2 when the firmware does not compile or load."""
    try:
        rows = sizes()
    except PigtailError as error:
        print(f"size: error: {error}", file=sys.stderr)
        return 2
    total = Size(
        "total",
        sum(r.simulator or 0 for r in rows),
        sum(r.device or 0 for r in rows),
        sum(r.heap for r in rows),
    )
    table = Table("module", caption="bytes; heap as loaded on the Unix port")
    for title in ("Unix .mpy", "ESP32 .mpy", "heap"):
        table.add_column(title, justify="right")
    for row in [*rows, total]:
        figures = (row.simulator, row.device, row.heap)
        table.add_row(
            row.name, *("-" if n is None else f"{n:,}" for n in figures), end_section=row is rows[-1]
        )
    Console(width=80).print(table)
    print(_tls())
    return 0


def _tls() -> str:
    """One line about what TLS costs where it is configured."""
    interpreter = micropython.find()
    try:
        cost = tls_size.measure(interpreter, BUILD / "size" / interpreter.mpy_arch)
    except SetupError as error:
        return f"TLS: not measured, {error}"
    return (
        f"TLS, loaded only where configured: heap {cost.module:,} B for the module, {cost.connection:,} B for a connection;\n"
        f"the process grows by {cost.process / 1024:,.0f} KiB, mbedTLS's code included. ESP32, estimated: 40 KiB outside\n"
        "the GC heap while a connection is made, 25 KiB afterwards."
    )


if __name__ == "__main__":
    sys.exit(main())
