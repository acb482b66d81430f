"""The device's own way from frames to batches: a workload sent through the firmware in MicroPython."""

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from host_tools.bench.decode import Device, slot
from host_tools.bench.samples import Mark, Sample, Window, windows
from host_tools.bench.workload import WINDOW_MS, Workload
from host_tools.paths import ROOT
from host_tools.reader import batch
from host_tools.reader.events import QUALITIES
from host_tools.signals import pack

SCRIPT = ROOT / "tests" / "budget" / "encode_on_device.py"
_SLOTS = 64
_ID_MASK = (1 << 29) - 1
_TICK_MASK = (1 << 28) - 1
_RECORD = struct.Struct("<BBHIII")


@dataclass(frozen=True)
class Record:
    """What the encoder gave out: a whole batch, or a part of one."""

    data: bytes
    raw: bytes  # as tests/budget/encode_on_device.py writes it


@contextmanager
def device(workload: Workload) -> Iterator[tuple[Device, Path]]:
    """The script with the workload's frames, and its folder."""
    with tempfile.TemporaryDirectory(prefix="pigtail-") as folder:
        Path(folder, "profile").write_bytes(pack.pack(workload.profile))
        Path(folder, "slots").write_bytes(b"".join(_groups(workload)))
        with Device(Path(folder), SCRIPT) as running:
            yield running, Path(folder)


def records(running: Device, folder: Path, batch_ms: int, checkpoint_ms: int = 0) -> list[Record]:
    """All batches of that length; or, with checkpoints, all parts."""
    asked = f"parts {batch_ms} {checkpoint_ms}" if checkpoint_ms else f"batches {batch_ms}"
    (count,) = running.ask(asked)
    data = (folder / "batches").read_bytes()
    found, at = [], 0
    while at < len(data):
        length = _RECORD.unpack_from(data, at)[2]
        end = at + _RECORD.size + length
        found.append(Record(data[at + _RECORD.size : end], data[at:end]))
        at = end
    assert len(found) == count
    return found


def told(workload: Workload, batches: list[Record]) -> list[Window]:
    """What is in whole batches, as the reader finds it."""
    decoded = [batch.decode(record.data, workload.profile) for record in batches]
    samples = [Sample(sample.index, sample.time_ms, sample.raw) for one in decoded for sample in one.samples]
    marks = [Mark(mark.index, mark.time_ms, QUALITIES.index(mark.quality)) for one in decoded for mark in one.marks]
    return windows(workload.profile, samples, WINDOW_MS, marks)


def _groups(workload: Workload) -> Iterator[bytes]:
    """The frames that came by each tick of the grid, at most so many as the ring has slots in one piece."""
    frames, at = workload.frames, 0
    grid_ms = workload.profile.grid_ms
    for ms in range(grid_ms, workload.seconds * 1000 + 1, grid_ms):
        end = at
        while end < len(frames) and frames[end][0] <= ms:
            end += 1
        for first in range(at, max(end, at + 1), _SLOTS):
            own = frames[first : min(first + _SLOTS, end)]
            by = ms if first + _SLOTS >= end else own[-1][0]
            yield struct.pack("<II", by, len(own)) + b"".join(map(_slot, own))
        at = end


def _slot(frame: tuple[int, int, bytes]) -> bytes:
    time_ms, key, data = frame
    plain = slot((key & _ID_MASK, bool(key >> 29), data))
    (word,) = struct.unpack_from("<I", plain, 4)
    return plain[:4] + struct.pack("<I", word & ~_TICK_MASK | time_ms & _TICK_MASK) + plain[8:]
