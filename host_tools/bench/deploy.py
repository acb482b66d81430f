"""A deploy onto a virtual board with the command line that an owner uses: of all there is, and again with nothing changed."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from host_tools.bench.process import output
from host_tools.bench.row import Row
from host_tools.errors import SimError
from host_tools.sim import drive, standing

COMMAND = "make bench"
ROUNDS = 3  # with nothing changed; the fastest is told
_PIGTAIL = "from host_tools.cli import main; main()"


class _Deploy(NamedTuple):
    seconds: float  # the whole command
    files: int  # sent
    size: int  # bytes of them


def rows() -> Iterator[Row]:
    """All figures of a deploy."""
    whole, again = asyncio.run(_measure())
    yield Row("deploy, nothing changed, virtual board", round(again, 1), "s", "≤ 10", COMMAND)
    yield Row("deploy, new virtual board", round(whole.seconds, 1), "s", None, COMMAND)
    yield Row("deploy, new virtual board", whole.files, "files", None, COMMAND)
    yield Row("deploy, new virtual board", whole.size, "bytes", None, COMMAND)


async def _measure() -> tuple[_Deploy, float]:
    """The first deploy, and the seconds of the fastest after it."""
    with tempfile.TemporaryDirectory(prefix="pigtail-") as name:
        async with standing.powered(Path(name), "virtual", drive.frames()) as (_, port):
            whole = await _deploy(port.path)
            again = [await _deploy(port.path) for _ in range(ROUNDS)]
    if not whole.files or any(one.files for one in again):
        raise SimError(f"deploys of the same sent {whole.files}, then {', '.join(str(one.files) for one in again)} files")
    return whole, min(one.seconds for one in again)


async def _deploy(port: str) -> _Deploy:
    """Raises SimError when it fails."""
    argv = [sys.executable, "-c", _PIGTAIL, "deploy", "--port", port, "--vehicle", "demo-ev", "--json"]
    began = time.perf_counter()
    done = json.loads(await output(argv, "a deploy"))
    return _Deploy(time.perf_counter() - began, done["sent"], done["bytes"])
