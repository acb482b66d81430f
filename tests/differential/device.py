"""Runs frames through the firmware in MicroPython, from the bus to the values, for the tests beside."""

import struct
from pathlib import Path

from on_device import run

from host_tools.signals import pack
from host_tools.signals.profile import Profile

SCRIPT = Path(__file__).parent / "decode_on_device.py"
DUMP = struct.pack("<I12x", 0xFFFFFFFF)

Frame = tuple[int, bool, bytes]


def record(frame: Frame) -> bytes:
    identity, is_extended, data = frame
    return struct.pack("<IBBxx8s", identity, len(data), 2 * is_extended, data)


def decoded(folder: Path, profile: Profile, rounds: list[list[Frame]]) -> list[tuple[list[int], int, int]]:
    """After each round of frames: (raw values as the device has them, frames unknown, frames short)."""
    (folder / "profile.bin").write_bytes(pack.pack(profile))
    stream = b"".join(b"".join(map(record, frames)) + DUMP for frames in rounds)
    (folder / "frames.bin").write_bytes(stream)
    run([str(SCRIPT), *(str(folder / name) for name in ("profile.bin", "frames.bin", "out.bin"))], heap="1m")
    n = len(profile.fields)
    dumps = list(struct.iter_unpack(f"<{n}i3I", (folder / "out.bin").read_bytes()))
    assert len(dumps) == len(rounds)
    assert dumps[-1][n] == sum(map(len, rounds))
    return [(list(dump[:n]), *dump[n + 1 :]) for dump in dumps]
