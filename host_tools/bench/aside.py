"""What frames cost that are not plain: on change, with counter and checksum, multiplexed. Eight signals of a byte each."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from host_tools.bench.decode import COMMAND, FRAMES, ROUNDS, Device, slot
from host_tools.bench.row import Row
from host_tools.signals import pack
from host_tools.signals.profile import UNSAMPLED, Checksum, Counter, Message, Profile, Selection, Signal

_ID = 0x10


def rows() -> Iterator[Row]:
    """µs a frame, ring → values."""
    rng = random.Random(1)
    frames = [(_ID, False, bytes([number % 4]) + rng.randbytes(7)) for number in range(FRAMES)]
    for name, message in _messages():
        with tempfile.TemporaryDirectory(prefix="pigtail-") as folder:
            Path(folder, "profile").write_bytes(pack.pack(Profile("p", "", "", (message,))))
            Path(folder, "slots").write_bytes(b"".join(map(slot, frames)))
            with Device(Path(folder)) as device:
                took = [us / count for us, count in (device.ask("decode") for _ in range(ROUNDS))]
        yield Row(f"ring → values, {name}", round(min(took), 3), "µs/frame", None, COMMAND)


def _messages() -> Iterator[tuple[str, Message]]:
    sampled = tuple(Signal(f"s{n}", 8 * n, 8, period_ms=100) for n in range(8))
    on_change = tuple(Signal(f"s{n}", 8 * n, 8) for n in range(8))
    counter, sum8, crc8 = Counter("s0", 16), Checksum("s7", "sum8"), Checksum("s7", "crc8_j1850")
    branches = tuple(
        Signal(f"b{page}{n}", 8 * n, 8, period_ms=100, selection=Selection("page", ((page, page),)))
        for page in range(4)
        for n in range(1, 8)
    )
    page = Signal("page", 0, 8, period_ms=UNSAMPLED)
    yield "sampled", Message(_ID, False, "m", sampled)
    yield "all eight changed", Message(_ID, False, "m", on_change)
    yield "counter and sum", Message(_ID, False, "m", sampled, counter, sum8)
    yield "counter and CRC", Message(_ID, False, "m", sampled, counter, crc8)
    yield "multiplexed", Message(_ID, False, "m", (page, *branches))
