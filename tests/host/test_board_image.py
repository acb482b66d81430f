"""The simulated board's flash: it boots the slot that the pointer names, and keeps what was flushed through any power cut."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from littlefs import LittleFS
from on_device import compiled

from host_tools.paths import FIRMWARE
from host_tools.sim import image, wear
from host_tools.sim.board import facts
from host_tools.toolchain import micropython

SIZE = 64 * image.BLOCK_SIZE
WHERE = "import sys; print('slot', sys.path[0]); import which; print(which.NAME)\n"


def firmware(folder: Path, main: str) -> Path:
    """A tree as the build makes it: the real boot.py and pair, an empty slot and this main.py."""
    built, _ = compiled()
    shutil.copytree(built / "root", folder / "root")
    (folder / "root" / "main.py").write_text(main)
    (folder / "slot").mkdir()
    return folder


def flash(folder: Path, main: str) -> Path:
    """An image in `folder` that runs `main`."""
    path = folder / "flash.img"
    image.make(path, SIZE, firmware(folder / "tree", main), b"profile", {"version": 3})
    return path


def change(path: Path, files: Mapping[str, bytes | None]) -> None:
    """Writes files into an image, or removes them."""
    disk = LittleFS(block_size=image.BLOCK_SIZE, block_count=SIZE // image.BLOCK_SIZE, mount=False)
    disk.context.buffer[:] = path.read_bytes()  # type: ignore[attr-defined]
    disk.mount()
    for name, content in files.items():
        if content is None:
            with contextlib.suppress(FileNotFoundError):
                disk.remove(name)
            continue
        disk.makedirs(str(Path(name).parent), exist_ok=True)
        with disk.open(name, "wb") as file:
            file.write(content)
    path.write_bytes(bytes(disk.context.buffer))  # type: ignore[attr-defined]


def power_on(folder: Path) -> subprocess.Popen[str]:
    _, modules = compiled()
    argv, extra = micropython.find().argv([str(modules / "_boot.py")])
    environment = {**os.environ, **extra, "PIGTAIL_SIM": str(folder), "PIGTAIL_BOARD": str(modules)}
    return subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(folder: Path) -> list[str]:
    """All that the board prints until it ends by itself."""
    output, _ = power_on(folder).communicate(timeout=120)
    return output.splitlines()


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    """An image with both slots filled; each knows its name."""
    path = flash(tmp_path, WHERE)
    change(path, {"/a/which.py": b"NAME = 'this is a'", "/b/which.py": b"NAME = 'this is b'"})
    return tmp_path


A, B = ["slot /a", "this is a"], ["slot /b", "this is b"]


def test_fresh_image_boots_slot_a(slots: Path) -> None:
    assert said(slots) == A


def test_newer_copy_of_the_pointer_wins(slots: Path) -> None:
    change(slots / "flash.img", {"/slot.0": image.pair(b"b", 2)})
    assert said(slots) == B
    change(slots / "flash.img", {"/slot.1": image.pair(b"a", 3)})
    assert said(slots) == A


def test_power_cut_in_the_newer_copy_boots_the_older_slot(slots: Path) -> None:
    change(slots / "flash.img", {"/slot.1": image.pair(b"b", 1), "/slot.0": image.pair(b"a", 2)[:-1]})
    assert said(slots) == B


def test_no_copy_of_the_pointer_left_boots_slot_a(slots: Path) -> None:
    change(slots / "flash.img", {"/slot.1": None})
    assert said(slots) == A
    change(slots / "flash.img", {"/slot.1": b"\xff" * 17, "/slot.0": b""})
    assert said(slots) == A


def test_image_holds_what_it_was_made_of(tmp_path: Path) -> None:
    path = flash(tmp_path, WHERE)
    assert path.stat().st_size == SIZE
    assert image.read(path, "/profile.bin") == b"profile"
    assert image.read(path, "/config.json") == b'{"version": 3}'
    assert image.read(path, "/boot.py") == (FIRMWARE / "boot.py").read_bytes()
    assert image.read(path, "/slot.1") == image.pair(b"a")
    with pytest.raises(FileNotFoundError):
        image.read(path, "/nothing")


@pytest.mark.parametrize("block", [b"\xff", b"\0", b"?"], ids=["blank", "zeros", "noise"])
def test_fault_4_both_superblocks_bad_is_recovery_mode_and_nothing_is_written(slots: Path, block: bytes) -> None:
    path = slots / "flash.img"
    with path.open("r+b") as chip:
        chip.write(block * 2 * image.BLOCK_SIZE)
    before = path.read_bytes()
    device = power_on(slots)
    output, _ = device.communicate(timeout=120)
    assert device.returncode == 43
    (line,) = output.splitlines()
    assert line.startswith("recovery: no file system can be mounted (") and line.endswith("; nothing was changed")
    assert path.read_bytes() == before and not any(wear.read(path).erases)


def test_boards_flash_is_whole_blocks_of_the_size_that_its_file_states() -> None:
    assert int(str(facts()["flash_size"])) % image.BLOCK_SIZE == 0
    assert facts()["block_size"] == image.BLOCK_SIZE


def test_firmware_sees_no_more_of_the_host_than_the_board(slots: Path) -> None:
    change(slots / "flash.img", {"/main.py": b"import os; print(sorted(os.listdir('/')))"})
    (listing,) = said(slots)
    assert "'etc'" not in listing
    assert "'profile.bin'" in listing


COUNT = """
import os
n = 0
try:
    with open("/count") as f: n = int(f.read())
except (OSError, ValueError):
    pass
print("was", n)
while n < 100000:
    n += 1
    with open("/count.new", "w") as f: f.write(str(n))
    os.rename("/count.new", "/count")
    print(n)
"""


def test_killed_process_keeps_every_flushed_file(tmp_path: Path) -> None:
    path = flash(tmp_path, COUNT)
    flushed = 0
    for lines in 30, 17, 45:
        device = power_on(tmp_path)
        assert device.stdout is not None
        told = [next(device.stdout).strip() for _ in range(lines)]
        device.kill()
        told += device.stdout.read().splitlines()
        device.wait()
        assert int(told[0].removeprefix("was ")) >= flushed, "a flushed file was lost"
        flushed = int(told[-1]) if told[-1].isdigit() else int(told[-2])
        assert int(image.read(path, "/count")) in (flushed, flushed + 1)
