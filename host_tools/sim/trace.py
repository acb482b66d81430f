"""The host's side of the witness (boards/unix/_trace.py): what one life of the firmware had taken, and when."""

import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.reader.intervals import Intervals

_STREAMS, _RISES = 64, 4096
_SIZE = 4 * (4 + _STREAMS + 3 * _RISES)


@dataclass(frozen=True)
class Trace:
    """Counted by the firmware's side of the simulator, outside the flash. Times in ms of the boot's uptime."""

    boot: int = 0  # 0: it ended before it had a number
    now_ms: int = 0  # the sampler's last turn
    taken: Mapping[int, int] = field(default_factory=dict)  # stream: how many samples, numbered from 0
    rises: Sequence[tuple[int, int, int]] = field(default_factory=list)  # (stream, samples taken, ms), the latest, in order

    def taken_at(self, stream: int, sequence: int) -> int:
        """When this sample of a stream was taken (ms); the last turn for one that was not."""
        return next((at for rising, taken, at in self.rises if rising == stream and taken > sequence), self.now_ms)


def acknowledged(path: Path) -> Mapping[tuple[int, int], Intervals]:
    """By boot and stream: the samples whose PUBACK the firmware took, in all its lives."""
    result: defaultdict[tuple[int, int], Intervals] = defaultdict(Intervals)
    data = path.read_bytes() if path.exists() else b""
    for boot, stream, first, count in struct.iter_unpack("<IIII", data[: len(data) // 16 * 16]):
        result[boot, stream].add(first, first + count)
    return result


def read(path: Path) -> Trace:
    """The trace as it stands; an empty one while the firmware has not begun it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Trace()
    if len(data) != _SIZE:
        return Trace()
    boot, now_ms, written, _, *counts = struct.unpack_from(f"<{4 + _STREAMS}I", data)
    ring = list(struct.iter_unpack("<III", data[4 * (4 + _STREAMS) :]))
    first = written % _RISES if written > _RISES else 0
    rises = (ring[first:] + ring[:first])[: min(written, _RISES)]
    return Trace(boot, now_ms, {stream: count for stream, count in enumerate(counts) if count}, rises)
