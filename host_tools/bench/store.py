"""What the outbox does to flash: bytes programmed and erased, how long a chip lives, how much of a drive it holds.

The firmware's own outbox over a chip in RAM that counts. Erases are those that the policy of the firmware makes: the generated
drive, 8 hours a day, on 1 MiB. Chips stand 100,000 erases a sector. In files hardly anything is erased while the link is up; so
they have two lives: with the link down all day and, computed from that, with the link down one hour of the eight.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from host_tools.bench import encode, workload
from host_tools.bench.decode import COMMAND
from host_tools.bench.row import Row
from host_tools.errors import SimError
from host_tools.paths import BUILD, ROOT
from host_tools.sim import board
from host_tools.toolchain import micropython

SCRIPT = ROOT / "tests" / "budget" / "store_on_device.py"
CHIP = ROOT / "tests" / "firmware"  # nor.py
_SECTOR, _CYCLES = 4096, 100_000
_SECTORS = 256
_HOURS_A_DAY, _DAYS_A_YEAR = 8, 365
_SIZES = (64, 256, 1024)


class BackEnd(NamedTuple):
    """How long batches are open, and how old what is new in them when it is put on flash."""

    name: str
    word: str
    batch_ms: int
    checkpoint_ms: int


RING_LOG = BackEnd("ring log", "sectors", workload.WINDOW_MS, 1500)
LITTLEFS = BackEnd("littlefs", "files", 7000, 0)  # closed before the bound instead


class Counts(NamedTuple):
    """What the script prints."""

    payload: int
    programmed: int
    erased: int
    most_erased: int
    lost_ms: int


def rows() -> Iterator[Row]:
    """Both back ends."""
    for back_end in (RING_LOG, LITTLEFS):
        yield from _records(back_end)
    one = workload.demo()
    with encode.device(one) as (running, folder):
        for back_end in (RING_LOG, LITTLEFS):
            yield from _drive(back_end, encode.records(running, folder, back_end.batch_ms, back_end.checkpoint_ms))


def drive(back_end: BackEnd, parts: list[encode.Record], link: str, seconds: int) -> Counts:
    """Sends the parts to the outbox, again and again for so long, the link `up` or `down`; `full`: down until some are lost."""
    with tempfile.TemporaryDirectory(prefix="pigtail-") as folder:
        path = Path(folder, "parts")
        path.write_bytes(b"".join(part.raw for part in parts))
        return _run(back_end.word, "drive", link, str(seconds), str(back_end.batch_ms), str(path))


def _records(back_end: BackEnd) -> Iterator[Row]:
    for size in _SIZES:
        counts = _run(back_end.word, "records", str(size))
        has_goal = back_end is RING_LOG and size == _SIZES[-1]
        name = f"{back_end.name}, records of {size} B"
        programmed = round(counts.programmed / counts.payload, 3)
        yield Row(f"{name}: programmed ÷ payload", programmed, "", "≤ 1.05" if has_goal else None, COMMAND)
        erased = round(counts.erased * _SECTOR / counts.payload, 3)
        yield Row(f"{name}: erased ÷ payload", erased, "", "≤ 1.1" if has_goal else None, COMMAND)


def _drive(back_end: BackEnd, parts: list[encode.Record]) -> Iterator[Row]:
    name = f"{back_end.name}, generated drive"
    full = drive(back_end, parts, "full", _HOURS_A_DAY * 3600)
    yield Row(f"{name}: hours on 1 MiB", round(full.lost_ms / 3_600_000, 2), "h", None, COMMAND)
    up = drive(back_end, parts, "up", _HOURS_A_DAY * 3600)
    if back_end is RING_LOG:
        yield from _wear(name, up, "≥ 10")
        return
    yield Row(f"{name}, link up: sectors erased", up.erased, "a day", None, COMMAND)
    down = drive(back_end, parts, "down", _HOURS_A_DAY * 3600)
    yield from _wear(f"{name}, link down all day", down, None)
    most = (up.most_erased * (_HOURS_A_DAY - 1) + down.most_erased) / _HOURS_A_DAY
    life = round(_CYCLES / _DAYS_A_YEAR / most, 1)
    yield Row(f"{name}, link down 1 h of 8: life of the sector erased most", life, "years", "≥ 10", COMMAND)


def _wear(name: str, counts: Counts, goal: str | None) -> Iterator[Row]:
    """Of a day's driving."""
    yield Row(f"{name}: programmed ÷ payload", round(counts.programmed / counts.payload, 2), "", None, COMMAND)
    yield Row(f"{name}: sectors erased", counts.erased, "a day", None, COMMAND)
    life = _CYCLES / _DAYS_A_YEAR
    yield Row(f"{name}: life of the sector erased most", round(life / counts.most_erased, 1), "years", goal, COMMAND)
    yield Row(f"{name}: life if all were erased alike", round(life * _SECTORS / counts.erased, 1), "years", None, COMMAND)


def _run(*words: str) -> Counts:
    BUILD.mkdir(exist_ok=True)
    firmware, modules = board.compiled()
    argv, extra = micropython.find().argv([str(SCRIPT), *words], "4m")
    path = f"{modules}:{firmware / 'slot'}:{firmware / 'root'}:{CHIP}:.frozen"
    done = subprocess.run(argv, env={**extra, "MICROPYPATH": path}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SimError("the bench's script ended in MicroPython; what it said is above")
    return Counts(*map(int, done.stdout.split()))
