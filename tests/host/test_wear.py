"""The wear of a simulated chip, as its board leaves it beside the image."""

import struct
from pathlib import Path

from host_tools.sim.wear import Wear, read


def test_counters_and_erasures_of_each_block(tmp_path: Path) -> None:
    (tmp_path / "outbox.img.wear").write_bytes(struct.pack("<6I3I", 7, 4000, 1, 23456, 915, 0, 2, 0, 5))
    wear = read(tmp_path / "outbox.img")
    assert wear == Wear(7, 4000, 1, 23456, 915, (2, 0, 5))
    summary = wear.summary()
    assert (summary["erases"], summary["most_erases_of_a_block"], summary["blocks"]) == (7, 5, 3)
    assert (summary["busy_ms"], summary["longest_stall_ms"]) == (2345, 91)


def test_chip_that_nobody_opened_has_no_wear(tmp_path: Path) -> None:
    assert read(tmp_path / "outbox.img").summary()["erases"] == 0
