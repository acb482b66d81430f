"""The MicroPython that runs the firmware on this machine: found on PATH, or Debian's 32-bit build, fetched.

The project's figures are measured with the 32-bit build: it has the ESP32's word and block size.
"""

import functools
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import SetupError
from host_tools.paths import CACHE
from host_tools.toolchain import debian

LEAST_VERSION = (1, 25, 0)
HOW_TO_GET_ONE = "put MicroPython 1.25 or newer (Unix port, best 32-bit) on PATH as `micropython`"
_FETCHED = CACHE / "mpy32"
_LOCK = Path(__file__).with_name("micropython.lock")  # Debian 13, i386: what the project's figures were measured with
_LIBRARIES = ["libc6", "libffi8", "libmbedcrypto16", "libmbedtls21", "libmbedx509-7", "libfaketime"]
MPY_VERSION = 6
_TICKS_PERIOD = 1 << 30  # ms: `ticks_ms` is the process's UTC, and wraps
# What mpy-cross calls the architectures that sys.implementation._mpy numbers.
ARCHES = ["none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa"]
ARCHES += ["xtensawin", "rv32imc", "rv64imc"]
_PROBE = """
import json, sys, vfs
@micropython.viper
def add(a: int, b: int) -> int:
    return a + b
mpy = sys.implementation._mpy
print(json.dumps({"version": sys.implementation.version[:3], "bits": 64 if sys.maxsize >> 32 else 32,
    "mpy": mpy & 255, "arch": mpy >> 10 & 15, "usable": hasattr(vfs, "VfsLfs2") and add(2, 3) == 5}))
"""


@dataclass(frozen=True)
class Micropython:
    """One interpreter: how to start it, and what it is."""

    command: list[str]
    faketime: Path | None  # libfaketime to preload for another speed of time
    version: tuple[int, int, int]
    bits: int
    mpy_arch: str  # for mpy-cross -march

    def argv(
        self, script_args: list[str], heap: str = "128k", speed: float = 1.0, ticks: int | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The command line that runs `script_args` and what it needs in the environment.

        `heap` as MicroPython's -X heapsize takes it; `speed`: how many times as fast the process's clock
        runs, 1 leaves it alone; `ticks`: what `ticks_ms` shows at its start, now. Raises SetupError when the
        clock cannot be changed on this machine.
        """
        tail = ["-X", f"heapsize={heap}", *script_args]
        if speed == 1 and ticks is None:
            return [*self.command, *tail], {}
        if self.faketime is None:
            raise SetupError("without libfaketime (Debian: libfaketime) there is only speed 1: install it")
        ahead_ms = 0 if ticks is None else (ticks - int(time.time() * 1000)) % _TICKS_PERIOD
        clock = {"FAKETIME": f"+{ahead_ms / 1000:.10g} x{speed:g}"}
        if len(self.command) == 1:
            return [*self.command, *tail], clock | {"LD_PRELOAD": str(self.faketime)}
        loader, *rest = self.command  # the variable would reach the 64-bit programs that it starts as well
        return [loader, "--preload", str(self.faketime), *rest, *tail], clock


@functools.cache
def find() -> Micropython:
    """The interpreter to use; fetches Debian's on the first call where PATH has none. Raises SetupError."""
    on_path = shutil.which("micropython")
    system_faketime = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if on_path and (found := probe([on_path], system_faketime)):
        return found
    try:
        command, faketime = _fetched()
    except SetupError as error:
        raise SetupError(f"no MicroPython: {HOW_TO_GET_ONE} ({error})") from None
    if found := probe(command, faketime):
        return found
    raise SetupError(f"Debian's 32-bit MicroPython does not run on this machine: {HOW_TO_GET_ONE}")


def probe(command: list[str], faketime: Path | None) -> Micropython | None:
    """What this interpreter is; None when it does not run, is too old, or lacks littlefs or viper."""
    try:
        done = subprocess.run([*command, "-c", _PROBE], capture_output=True, text=True, timeout=20)
        facts = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    version = tuple(facts["version"])
    if version < LEAST_VERSION or facts["mpy"] != MPY_VERSION or not facts["usable"]:
        return None
    return Micropython(command, faketime, version, facts["bits"], ARCHES[facts["arch"]])


def _fetched() -> tuple[list[str], Path]:
    """Command prefix and libfaketime of Debian's build in the cache; brings it there when it is missing."""
    if not _FETCHED.exists():
        try:
            debian.fetch_locked(_LOCK, _FETCHED)
        except SetupError:  # a point release takes the files that it replaces from the archive
            debian.fetch(["micropython", *_LIBRARIES], "i386", "trixie", _FETCHED)
    libraries = _FETCHED / "usr/lib/i386-linux-gnu"
    command = [str(libraries / "ld-linux.so.2"), "--library-path", str(libraries)]
    return [*command, str(_FETCHED / "usr/bin/micropython")], libraries / "faketime/libfaketimeMT.so.1"
