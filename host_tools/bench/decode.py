"""Decoding: the firmware on the 32-bit port against cantools, round by round in one run."""

import random
import struct
import subprocess
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heapreplace
from itertools import cycle, islice
from pathlib import Path

import can
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal
from cantools.database.can import Database
from cantools.database.conversion import BaseConversion
from cantools.database.namedsignalvalue import NamedSignalValue

from host_tools.bench.row import Row
from host_tools.errors import SimError
from host_tools.paths import BUILD, ROOT, VEHICLES
from host_tools.signals import dbc, pack
from host_tools.sim import board, scenario
from host_tools.toolchain import micropython

COMMAND = "make bench"
SCRIPT = ROOT / "tests" / "budget" / "decode_on_device.py"
KONA = ROOT.parent / "shared" / "data" / "kona-ev"
ROUNDS = 25  # of each, in turn; the fastest is told, for whatever else runs here can only make one slower
FRAMES = 2048  # a round on the device; a whole number of rings
REFERENCE_FRAMES = 512  # a round of cantools
_LENGTHS = (16, 12, 8, 8, 4, 4, 3, 2, 2, 1, 1, 1, 1, 1)  # of a frame's signals: 64 bits
_PERIODS = (10, 10, 20, 20, 50, 100, 100, 200, 500, 1000)  # ms
_MESSAGES = 40
_EXTENDED = 1 << 29


@dataclass(frozen=True)
class Workload:
    """Frames, and the database that they go by."""

    name: str
    database: Database
    frames: list[tuple[int, bool, bytes]]


def rows() -> Iterator[Row]:
    """All figures of decoding. Raises SetupError where there is no MicroPython."""
    for workload in (_even("little_endian"), _even("big_endian"), _recorded()):
        with tempfile.TemporaryDirectory(prefix="pigtail-") as folder:
            yield from _measure(workload, Path(folder))


def _even(byte_order: str) -> Workload:
    """Messages full of signals of one byte order, random payloads."""
    rng = random.Random(byte_order)
    messages = []
    for number in range(_MESSAGES):
        signals, first = [], 0
        for n, length in enumerate(rng.sample(_LENGTHS, len(_LENGTHS))):
            start = first if byte_order == "little_endian" else first // 8 * 8 + 7 - first % 8
            conversion = BaseConversion.factory(scale=0.1, offset=-40, choices=_labels(length))
            signed = rng.random() < 0.3 and length >= 8
            signals.append(DbcSignal(f"S{n}", start, length, byte_order, signed, conversion))  # type: ignore[arg-type]
            first += length
        messages.append(DbcMessage(16 * number + 1, f"M{number}", 8, signals))
    frames = [(identity, False, rng.randbytes(8)) for identity in islice(_schedule(rng, messages), FRAMES)]
    return Workload(byte_order.replace("_", "-") + " heavy", Database(messages), frames)


def _labels(length: int) -> OrderedDict[int, str | NamedSignalValue] | None:
    """Short signals are mostly states with names."""
    return OrderedDict((value, f"state {value}") for value in range(1 << length)) if length <= 4 else None


def _schedule(rng: random.Random, messages: list[DbcMessage]) -> Iterator[int]:
    """Ids in the order in which a bus carries them: each message in a period of its own, give or take 2 %."""
    due = [(rng.uniform(0, period), period, message.frame_id) for period, message in zip(cycle(_PERIODS), messages)]
    heapify(due)
    while True:
        at, period, identity = due[0]
        yield identity
        heapreplace(due, (at + period * rng.uniform(0.98, 1.02), period, identity))


def _recorded() -> Workload:
    """The Kona's capture where it is to be had, else the generated drive; only frames that the database knows."""
    log, path, name = KONA / "kona2019_230112-7_pcan0_ccan1.log.gz", KONA / "pcan.dbc", "Kona capture"
    if not log.is_file():
        log, path, name = None, VEHICLES / "demo-ev.dbc", "generated drive"  # type: ignore[assignment]
    database = dbc.load(path, lambda line: None)
    known = {(m.frame_id, m.is_extended_frame): m.length for m in database.messages}
    source = scenario.frames((log,) if log else ())
    return Workload(name, database, list(islice(_known(source, known), FRAMES)))


def _known(source: Iterator[can.Message], known: dict[tuple[int, bool], int]) -> Iterator[tuple[int, bool, bytes]]:
    for frame in source:
        key = frame.arbitration_id, frame.is_extended_id
        if len(frame.data) >= known.get(key, 9):
            yield *key, bytes(frame.data)


def _measure(workload: Workload, folder: Path) -> list[Row]:
    profile = dbc.profile(workload.database, workload.name, 1000, lambda line: None)
    (folder / "profile").write_bytes(pack.pack(profile))
    (folder / "slots").write_bytes(b"".join(map(slot, workload.frames)))
    with Device(folder) as device:
        load_us, allocated, table, allocated_whole = device.ask("facts")
        took: dict[str, list[float]] = {"cantools": [], "raw": [], "decode": [], "recv": [], "whole": []}
        for _ in range(ROUNDS):
            for kind in ("decode", "recv", "whole"):
                us, frames = device.ask(kind)
                took[kind].append(us / frames)
            took["cantools"].append(_reference(workload))
            took["raw"].append(_reference(workload, decode_choices=False, scaling=False))
    least = {kind: min(values) for kind, values in took.items()}
    return _rows(workload.name, least, load_us, allocated / FRAMES, allocated_whole, table / len(profile.fields))


def _rows(
    name: str, least: dict[str, float], load_us: int, allocated: float, allocated_whole: int, table: float
) -> list[Row]:
    def row(what: str, value: float, unit: str, goal: str | None = None) -> Row:
        return Row(f"{what}, {name}", value, unit, goal, COMMAND)

    return [
        row("decode: cantools ÷ ours", round(least["cantools"] / least["decode"], 1), "", "≥ 80"),
        row("decode: cantools to raw values only ÷ ours", round(least["raw"] / least["decode"], 1), ""),
        row("decode: ring → values", round(least["decode"], 4), "µs/frame"),
        row("decode: bytes allocated", allocated, "B/frame", "= 0"),
        row("drain and decode: bytes allocated", allocated_whole, "B/64 frames", "= 0"),
        row("decode: table, rows included", round(table, 2), "B/signal", "≤ 8"),
        row("profile: load time", round(load_us / 1000, 2), "ms, Unix port"),
        row("recv → ring", round(least["recv"], 3), "µs/frame"),
        row("recv → encoded batch", round(least["whole"], 3), "µs/frame"),
    ]


def slot(frame: tuple[int, bool, bytes]) -> bytes:
    """A frame as firmware/pigtail/can/bus.py puts it into its ring."""
    identity, is_extended, data = frame
    return struct.pack("<II8s", identity | is_extended * _EXTENDED, len(data) << 28 | 1, data)


def _reference(workload: Workload, **how: bool) -> float:
    """µs per frame of cantools: its `decode_message`, as a program calls it that knows the database and gets a frame."""
    decode = workload.database.decode_message
    work = [(identity, data) for identity, _, data in workload.frames[:REFERENCE_FRAMES]]
    start = time.perf_counter()
    for identity, data in work:
        decode(identity, data, **how)
    return (time.perf_counter() - start) * 1e6 / len(work)


class Device:
    """A script in MicroPython that is given the packed profile and slots in `folder`, one question and one answer at a time."""

    def __init__(self, folder: Path, script: Path = SCRIPT) -> None:
        BUILD.mkdir(exist_ok=True)
        firmware, modules = board.compiled()
        argv, extra = micropython.find().argv([str(script), str(folder / "profile"), str(folder / "slots")], "1m")
        path = f"{modules}:{firmware / 'slot'}:{firmware / 'root'}:.frozen"
        self._process = subprocess.Popen(
            argv, env={**extra, "MICROPYPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, what: str) -> list[int]:
        """The numbers of its answer. Raises SimError when it has died."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SimError("the bench's script ended in MicroPython; what it said is above")
        return [int(word) for word in answer.split()]
