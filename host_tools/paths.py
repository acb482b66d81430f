"""Where things lie in the tree. The host tools run from a checkout: they compile the firmware beside them."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
VEHICLES = FIRMWARE / "vehicles"
BOARDS = ROOT / "boards"
CACHE = ROOT / ".cache"  # what was fetched; survives `make clean`
BUILD = ROOT / "build"  # what was made; `make clean` removes it
VIRTUAL_BOARDS = BUILD / "boards"  # a folder each, see sim/standing.py
