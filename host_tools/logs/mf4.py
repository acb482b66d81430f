"""ASAM MF4 through python-can and asammdf; the latter is kept from writing about damaged files to the terminal."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import can
from asammdf.blocks.mdf_v4 import MDF4

# what it logs it also raises
logging.getLogger("asammdf").setLevel(logging.CRITICAL + 1)


def _delete(self: MDF4) -> None:
    with suppress(AttributeError):
        self.close()


# where a file cannot be opened the object is left half made, and its own __del__ trips over what is missing
MDF4.__del__ = _delete  # type: ignore[method-assign]


def read(path: Path) -> Iterator[can.Message]:
    """The frames of all buses in the file, in order of time. Raises what asammdf raises where it is damaged."""
    with can.MF4Reader(path) as reader:
        yield from reader
