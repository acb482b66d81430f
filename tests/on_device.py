"""Runs a script in MicroPython with the compiled firmware and the board's modules on its path, for tests on the host."""

import functools
import os
import subprocess
from pathlib import Path

from host_tools.paths import BUILD
from host_tools.sim import board
from host_tools.toolchain import build, micropython

TIME_LIMIT_S = 120


@functools.cache
def compiled() -> tuple[Path, Path]:
    """(firmware tree with line numbers and long names, which the device does without; the board's modules)."""
    BUILD.mkdir(exist_ok=True)
    _, modules = board.compiled()
    return build.firmware(BUILD / "unix" / "lines", micropython.find().mpy_arch, options=()), modules


def process(
    script: list[str], heap: str = "128k", speed: float = 1.0, ticks: int | None = None, **environment: object
) -> subprocess.Popen[str]:
    """A process that runs `script` (a path, or -c and text, then arguments); what it says is on its stdout.
    `ticks` is what `ticks_ms` shows at its start."""
    firmware, modules = compiled()
    argv, extra = micropython.find().argv(script, heap, speed, ticks)
    path = f"{modules}:{firmware}/slot:{firmware}/root:.frozen"
    facts = {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(
        argv,
        env={**os.environ, **extra, "MICROPYPATH": path, **facts},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(
    script: list[str], heap: str = "128k", speed: float = 1.0, ticks: int | None = None, **environment: object
) -> str:
    """What a script says that ends by itself; fails the test when it ends with an error."""
    device = process(script, heap, speed, ticks, **environment)
    try:
        said, _ = device.communicate(timeout=TIME_LIMIT_S)
    finally:
        device.kill()
    assert device.returncode == 0, said
    return said
