"""The simulated board's partition for the outbox and its ignition, as the firmware meets them."""

from pathlib import Path

from on_device import run

PRELUDE = """
import os, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import board
"""


def said(folder: Path, script: str) -> list[str]:
    return run(["-c", PRELUDE + script], RUN=folder).split()


def test_board_with_a_partition_gives_its_flash_to_the_outbox(tmp_path: Path) -> None:
    (tmp_path / "outbox.img").write_bytes(b"\xff" * 4 * 4096)
    script = "d = board.outbox_device(); d.writeblocks(3, b'kept', 0); print(d.ioctl(4, 0), d.ioctl(5, 0))"
    assert said(tmp_path, script) == ["4", "4096"]
    assert (tmp_path / "outbox.img").read_bytes()[3 * 4096 :][:4] == b"kept"


def test_board_without_a_partition_has_none(tmp_path: Path) -> None:
    assert said(tmp_path, "print(board.outbox_device())") == ["None"]


def test_ignition_follows_the_host_and_a_look_at_it_takes_nothing_of_the_heap(tmp_path: Path) -> None:
    (tmp_path / "ignition").write_bytes(b"1")
    script = """
import micropython
seen = []
for level in b"101":
    with open("/run/ignition", "r+b") as f: f.write(bytes((level,)))
    micropython.heap_lock()
    on = board.ignition()
    micropython.heap_unlock()
    seen.append(on)
print(seen)
"""
    assert said(tmp_path, script) == ["[True,", "False,", "True]"]


def test_board_that_does_not_sense_the_ignition_calls_it_on(tmp_path: Path) -> None:
    assert said(tmp_path, "print(board.ignition())") == ["True"]
