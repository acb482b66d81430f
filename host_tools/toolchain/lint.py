"""Checks the firmware against MicroPython's stubs: `python -m host_tools.toolchain.lint [FOLDER]`.

mypy finds what MicroPython does not have (a module, a name, an argument) and coroutines that nobody awaits. The
firmware is not annotated throughout and the stubs have faults of their own, so only those findings count.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from host_tools.paths import CACHE, FIRMWARE, ROOT

_STUBS = CACHE / "stubs"
_COUNTS = re.compile(r"\[(import-not-found|attr-defined|call-arg|call-overload|unused-coroutine)\]$")
# Attributes that start as None; a stub without its context manager; the board's own module.
_KNOWN = re.compile(r'"(None|object|DeflateIO)" has no attribute|module named "board"')


def faults(folder: Path = FIRMWARE) -> list[str]:
    """One line for each place below `folder` that MicroPython would refuse when it comes there."""
    options = [
        "--config-file=",
        "--cache-dir",
        str(ROOT / ".mypy_cache" / "firmware"),
        "--check-untyped-defs",
    ]
    options += ["--explicit-package-bases", "--follow-imports=silent", "--no-strict-optional"]
    options += ["--custom-typeshed-dir", str(_STUBS), "--no-error-summary", "--hide-error-context"]
    environment = os.environ | {"MYPYPATH": f"{_STUBS}:{folder}"}
    command = [sys.executable, "-m", "mypy", *options, folder.name]
    done = subprocess.run(command, cwd=folder.parent, env=environment, capture_output=True, text=True)
    if done.returncode > 1:  # mypy itself failed
        return [done.stdout + done.stderr]
    lines = [line for line in done.stdout.splitlines() if line.startswith(f"{folder.name}/")]
    return [line for line in lines if _COUNTS.search(line) and not _KNOWN.search(line)]


def main() -> int:
    """Prints the faults; 1 when there are any."""
    found = faults(Path(sys.argv[1]) if len(sys.argv) > 1 else FIRMWARE)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
