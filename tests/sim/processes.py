"""What the kernel tells of other processes."""

import signal
import subprocess
from pathlib import Path


def children(pid: int) -> list[int]:
    """Process ids of all that `pid` has started and that still run."""
    rows = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(own) for own, parent in map(str.split, rows.splitlines()) if int(parent) == pid]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has come as far as to handle that signal itself."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(fields["SigCgt"], 16) >> number - 1 & 1)
