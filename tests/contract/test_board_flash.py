"""The simulated flash chip keeps MicroPython's contract of a block device (vfs.AbstractBlockDev, extended), and NOR's ways."""

import struct
import time
from pathlib import Path

import pytest
from on_device import process, run

SCRIPT = """
from _flash import Flash
flash = Flash({path!r})
buf = bytearray(4096)
def show(block, offset=0, size=4):
    part = bytearray(size); flash.readblocks(block, part, offset); print(bytes(part))
def refused(action):
    try:
        action(); print("done")
    except OSError:
        print("refused")
"""


def chip(folder: Path, content: bytes) -> tuple[Path, str]:
    """An image and the beginning of a script that has it as `flash`."""
    path = folder / "flash.img"
    path.write_bytes(content)
    return path, SCRIPT.format(path=str(path))


def wear(path: Path) -> tuple[int, ...]:
    """Programs, bytes programmed, faults, then the erasures of each block."""
    row = (path.parent / "flash.img.wear").read_bytes()
    values = struct.unpack(f"<{len(row) // 4}I", row)
    return values[:3] + values[6:]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("print(flash.ioctl(4, 0), flash.ioctl(5, 0))", ["3 4096"]),
        (
            "flash.ioctl(6, 1); show(0, 4092); show(1); show(1, 4092); show(2)",
            [b"0000", b"\xff" * 4, b"\xff" * 4, b"2222"],
        ),
        ("flash.ioctl(6, 1); flash.writeblocks(1, b'ab', 10); show(1, 9); show(0, 4092)", [b"\xffab\xff", b"0000"]),
        ("flash.writeblocks(1, b'ab'); show(1); show(1, 4092)", [b"ab\xff\xff", b"\xff" * 4]),
        ("flash.writeblocks(1, bytes(8192)); show(0, 4092); show(1); show(2, 4092)", [b"0000", bytes(4), bytes(4)]),
        ("flash.writeblocks(1, memoryview(b'.abcd.')[1:5], 4094); show(1, 4092); show(2)", [b"11! ", b'" 22']),
    ],
    ids=["size", "erase", "write within a block", "write erases first", "two blocks", "write across blocks only clears bits"],
)
def test_block_device(tmp_path: Path, script: str, said: list[object]) -> None:
    _, beginning = chip(tmp_path, b"0" * 4096 + b"1" * 4096 + b"2" * 4096)
    assert run(["-c", beginning + script]).splitlines() == [str(line) for line in said]


def test_write_beyond_the_end_is_refused(tmp_path: Path) -> None:
    path, beginning = chip(tmp_path, b"\xff" * 8192)
    acts = ["writeblocks(1, b'abc', 4094)", "writeblocks(2, b'a', 0)", "ioctl(6, 2)", "readblocks(2, buf)"]
    script = "".join(f"refused(lambda: flash.{act})\n" for act in [*acts, "writeblocks(1, b'ab', 4094)"])
    assert run(["-c", beginning + script]).split() == ["refused"] * 4 + ["done"]
    assert path.read_bytes() == b"\xff" * 8190 + b"ab"


def test_every_write_is_in_the_file_at_once(tmp_path: Path) -> None:
    path, beginning = chip(tmp_path, b"\xff" * 8192)
    script = f"flash.writeblocks(1, b'kept', 0)\nprint(open({str(path)!r}, 'rb').read()[4096:4100])"
    assert run(["-c", beginning + script]).strip() == "b'kept'"


def test_program_only_clears_bits_and_setting_one_counts_as_a_fault(tmp_path: Path) -> None:
    path, beginning = chip(tmp_path, b"\xff" * 4096)
    run(["-c", beginning + "flash.writeblocks(0, b'\\x0f', 0); flash.writeblocks(0, b'\\x03', 0)"])
    assert (path.read_bytes()[0], wear(path)[2]) == (0x03, 0)
    run(["-c", beginning + "flash.writeblocks(0, b'\\x33', 0)"])
    assert (path.read_bytes()[0], wear(path)[2]) == (0x03, 1)


def test_wear_is_counted_through_restarts(tmp_path: Path) -> None:
    path, beginning = chip(tmp_path, b"\xff" * 3 * 4096)
    for _ in range(2):
        run(["-c", beginning + "flash.ioctl(6, 1); flash.writeblocks(1, bytes(100), 0); flash.writeblocks(2, bytes(20), 7)"])
    assert wear(path) == (4, 240, 0, 0, 2, 0)


def test_time_that_a_chip_would_take_in_all_and_between_two_looks_at_the_bus(tmp_path: Path) -> None:
    path, beginning = chip(tmp_path, b"\xff" * 3 * 4096)
    script = """
from _meter import busy
def write(block, size, offset):
    flash.ioctl(6, block); flash.writeblocks(block, bytes(size), offset)
write(0, 1, 255)                 # 45.7 ms while the bus is not open
busy[1] = 1
write(1, 257, 0)                 # 46.4
busy[0] = 0                      # a look
write(1, 2, 255); write(2, 1024, 128)  # 46.4 + 48.5
busy[0] = 0
write(0, 256, 0)                 # 45.7
"""
    run(["-c", beginning + script])
    row = struct.unpack("<6I", (path.parent / "flash.img.wear").read_bytes()[:24])
    assert row[3:5] == (457 + 464 + 464 + 485 + 457, 464 + 485)


def test_traffic_with_the_chip_takes_nothing_of_the_heap(tmp_path: Path) -> None:
    _, beginning = chip(tmp_path, b"\xff" * 8192)
    script = """
import micropython
micropython.heap_lock()
flash.ioctl(6, 1); flash.writeblocks(1, buf, 0); flash.readblocks(1, buf, 0)
micropython.heap_unlock()
print("done")
"""
    assert run(["-c", beginning + script]).strip() == "done"


def test_power_cut_in_a_write_leaves_a_prefix_of_it(tmp_path: Path) -> None:
    size = 32 << 20  # takes some 300 ms to write
    path, beginning = chip(tmp_path, b"\xff" * size)
    device = process(["-c", beginning + f"all = bytes({size})\nprint('go')\nflash.writeblocks(0, all, 0)"], heap="40m")
    assert device.stdout is not None and next(device.stdout) == "go\n"
    time.sleep(0.05)
    device.kill()
    device.wait()
    assert path.read_bytes().lstrip(b"\0").lstrip(b"\xff") == b""
