"""The flash image of a virtual board: littlefs in a file, as a freshly flashed device would have it."""

import json
from collections.abc import Mapping
from pathlib import Path

from littlefs import LittleFS

from host_tools.device.pairs import pair

BLOCK_SIZE = 4096


def make(
    path: Path, size: int, firmware: Path, profile: bytes, config: Mapping[str, object], more: Mapping[str, bytes] | None = None
) -> None:
    """Writes an image of `size` bytes: compiled `firmware` (of `toolchain.build`) in slot /a, its profile and configuration,
    and `more` files."""
    files = {f"/{file.name}": file.read_bytes() for file in (firmware / "root").iterdir()}
    slot = firmware / "slot"
    files |= {f"/a/{file.relative_to(slot)}": file.read_bytes() for file in slot.rglob("*.mpy")}
    files |= {"/slot.1": pair(b"a"), "/profile.bin": profile, "/config.json": json.dumps(config).encode(), **(more or {})}
    write(path, size, files)


def write(path: Path, size: int, files: Mapping[str, bytes]) -> None:
    """Writes an image of `size` bytes that holds these files."""
    flash = LittleFS(block_size=BLOCK_SIZE, block_count=size // BLOCK_SIZE)
    for name, content in files.items():
        flash.makedirs(str(Path(name).parent), exist_ok=True)
        with flash.open(name, "wb") as file:
            file.write(content)
    path.write_bytes(bytes(flash.context.buffer))


def blank(path: Path, size: int) -> None:
    """Writes an erased chip of `size` bytes."""
    path.write_bytes(b"\xff" * size)


def read(path: Path, name: str) -> bytes:
    """Content of one file of an image; FileNotFoundError when it is not there."""
    image = path.read_bytes()
    flash = LittleFS(block_size=BLOCK_SIZE, block_count=len(image) // BLOCK_SIZE, mount=False)
    flash.context.buffer[:] = image
    flash.mount()
    with flash.open(name, "rb") as file:
        content: bytes = file.read()
    return content
