"""From a chip with anything on it to its first status: `pigtail flash`, then `pigtail deploy`, on one flash.

The real esptool writes through a model of the ROM's loader. What lies on that flash afterwards, cut up by the partition table
that was written, is the flash of a virtual board, which makes its file system itself; the real mpremote deploys to it.

Not shown: that a chip boots what was written (the image here has a banner, and no code), that its boot loader takes the table,
that MicroPython on a chip finds `vfs` and makes its file system there (the Unix port does it here, in the steps of MicroPython's
`inisetup.py`), and `--board`, since native code for the chip does not run here. docs/hardware.md has what is still to be tried.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from images import app, image
from rom_loader import ESP32, RomLoader

from host_tools import boards
from host_tools.device import connect, partitions
from host_tools.device.partitions import Partition
from host_tools.sim import drive
from host_tools.sim import image as littlefs
from tests.device.test_verbs import published
from tests.device.virtual import Powered, powered

BOARD = "esp32-sn65hvd230"
MAKES = """
import vfs
from _flash import Flash
chip = Flash('/run/flash.img')
vfs.VfsLfs2.mkfs(chip)
vfs.mount(vfs.VfsLfs2(chip), '/')
with open('/boot.py', 'w') as f:
    f.write('# stock')
"""


@pytest.fixture
def flashed(plug: Callable[[RomLoader], RomLoader], pigtail: Any, tmp_path: Path) -> tuple[bytes, bytes]:
    """What `pigtail flash` leaves on a chip that was used before, and the image."""
    chip, path = plug(RomLoader(ESP32)), tmp_path / "micropython.bin"
    path.write_bytes(image(boards.load(BOARD), app()))
    words = "flash", "--board", BOARD, "--port", chip.port, "--image", path, "--partition-table", "--yes", "--json"
    status, out, err = pigtail(*words)
    assert status == 0 and json.loads(out)["written"] == path.stat().st_size and chip.violations == [], err
    return bytes(chip.flash), path.read_bytes()


def cut(flash: bytes, name: str) -> bytes:
    """What is in a partition, by the table on the flash."""
    found = partitions.find(partitions.decode(flash[partitions.ADDRESS :]), name)
    assert isinstance(found, Partition)
    return flash[found.offset : found.end]


def made(board: Powered) -> None:
    """MicroPython makes its file system, in as much room as it was given."""
    board.until_it_says("block 0 is blank")
    with connect(board.port) as device:
        assert device.exec(MAKES) == ""


def test_chip_that_was_flashed_and_deployed_to_tells_its_first_status(flashed: tuple[bytes, bytes], tmp_path: Path) -> None:
    flash, written = flashed
    assert cut(flash, "factory").startswith(written[0x10000 - boards.load(BOARD).flash_offset :])
    assert {*cut(flash, "vfs"), *cut(flash, "outbox"), *cut(flash, "nvs")} == {0xFF}, "something is left of what was there"
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "flash.img").write_bytes(cut(flash, "vfs"))
    (folder / "outbox.img").write_bytes(cut(flash, "outbox"))
    with powered(folder, drive.frames()) as board:
        made(board)
        status, samples, said = asyncio.run(published(board.port, tmp_path))
    assert "runs from /a, boot 1" in said and status["state"] == "online" and status["boot"] == 1 and samples > 100
    assert (status["config_error"], status["profile_error"], status["restarts"]) == (None, None, {})
    vfs, outbox = (folder / name for name in ("flash.img", "outbox.img"))
    assert littlefs.read(vfs, "/slot.1") == littlefs.pair(b"a") and littlefs.read(vfs, "/boot.py") != b"# stock"
    assert (vfs.stat().st_size, outbox.stat().st_size) == (len(cut(flash, "vfs")), len(cut(flash, "outbox")))
