"""A file that is there in the end only, and whole; until then what was there before stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def part(out: Path) -> Iterator[Path]:
    """Where to write what becomes `out` when the block ends well; what is no file, such as /dev/stdout, is written at once."""
    if out.exists() and not out.is_file():
        yield out
        return
    beside = out.with_name(f"{out.name}.part")
    try:
        yield beside
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)
