"""esptool gives a silent chip 0.3 s here, not 3: it reads its configuration when it is imported."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("ESPTOOL_CFGFILE", str(Path(__file__).with_name("esptool.cfg")))

from rom_loader import RomLoader


@pytest.fixture(autouse=True)
def no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """esptool writes all that it sends and hears as hex for a trace that nobody asked for: half of its time."""
    monkeypatch.setattr("esptool.loader.HexFormatter.__str__", lambda self: "")


@pytest.fixture
def plug() -> Iterator[Callable[[RomLoader], RomLoader]]:
    """Takes chips, and takes them away when the test is over."""
    plugged: list[RomLoader] = []

    def take(chip: RomLoader) -> RomLoader:
        plugged.append(chip)
        return chip

    yield take
    for chip in plugged:
        chip.close()
