"""The simulated flash chip keeps MicroPython's contract of a block device (vfs.AbstractBlockDev, extended)."""

from pathlib import Path

import pytest
from on_device import run

SCRIPT = """
from _flash import Flash
flash = Flash({path!r})
buf = bytearray(4096)
def show(block, offset=0, size=4):
    part = bytearray(size); flash.readblocks(block, part, offset); print(bytes(part))
"""


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print(flash.ioctl(4, 0), flash.ioctl(5, 0))", ["3 4096"]),
        (
            "flash.ioctl(6, 1); show(0, 4092); show(1); show(1, 4092); show(2)",
            [b"0000", b"\xff" * 4, b"\xff" * 4, b"2222"],
        ),
        ("flash.writeblocks(1, b'ab', 10); show(1, 9); show(0, 4092)", [b"1ab1", b"0000"]),
        ("flash.writeblocks(1, b'ab'); show(1); show(1, 4092)", [b"ab\xff\xff", b"\xff" * 4]),
    ],
    ids=["size", "erase", "write within a block", "write erases first"],
)
def test_block_device(tmp_path: Path, script: str, said: list[object]) -> None:
    path = tmp_path / "flash.img"
    path.write_bytes(b"0" * 4096 + b"1" * 4096 + b"2" * 4096)
    assert run(["-c", SCRIPT.format(path=str(path)) + script]).splitlines() == [str(line) for line in said]


def test_every_write_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "flash.img"
    path.write_bytes(bytes(8192))
    script = "flash.writeblocks(1, b'kept', 0)\nprint(open({path!r}, 'rb').read()[4096:4100])"
    assert run(["-c", (SCRIPT + script).format(path=str(path))]).strip() == "b'kept'"
