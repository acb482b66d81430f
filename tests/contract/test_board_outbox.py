"""The simulated board's partition for the outbox, its senses and its sleep, as the firmware meets them."""

from pathlib import Path

from on_device import TIME_LIMIT_S, process, run

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
    (tmp_path / "senses").write_bytes(b"1\0\0")
    script = """
import micropython
seen = []
for level in b"101?":
    with open("/run/senses", "r+b") as f: f.write(bytes((level,)))
    micropython.heap_lock()
    on = board.ignition()
    micropython.heap_unlock()
    seen.append(on)
print(seen)
"""
    assert said(tmp_path, script) == ["[True,", "False,", "True,", "None]"]


def test_12_v_is_what_the_host_says_and_none_where_it_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "senses").write_bytes(b"1\0\0")
    script = """
print(board.battery_mv())
with open("/run/senses", "r+b") as f: f.write(b"0" + (12345).to_bytes(2, "little"))
print(board.battery_mv(), board.ignition())
"""
    assert said(tmp_path, script) == ["None", "12345", "False"]


def test_sleep_ends_the_boot_and_leaves_word_of_what_is_to_wake_it(tmp_path: Path) -> None:
    device = process(["-c", PRELUDE + "board.sleep(90000, True, False); print('still here')"], RUN=tmp_path)
    output, _ = device.communicate(timeout=TIME_LIMIT_S)
    assert (device.returncode, output) == (45, "")
    assert (tmp_path / "asleep").read_bytes() == bytes.fromhex("905f0100 0100")


def test_board_that_does_not_sense_the_ignition_calls_it_on(tmp_path: Path) -> None:
    assert said(tmp_path, "print(board.ignition())") == ["True"]
