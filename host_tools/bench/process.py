"""What is timed in a process of its own."""

import asyncio
from collections.abc import Mapping

from host_tools.errors import SimError
from host_tools.sim.child import bound

TIME_LIMIT_S = 120.0


async def output(argv: list[str], what: str, environment: Mapping[str, str] | None = None) -> bytes:
    """What it wrote to stdout. Raises SimError, which says `what` it was, when it fails or takes too long."""
    process = await asyncio.create_subprocess_exec(
        *bound(argv), env=environment,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIME_LIMIT_S):
            said, error = await process.communicate()
    except TimeoutError:
        raise SimError(f"{what} took more than {TIME_LIMIT_S:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        words = (error or said).decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise SimError(f"{what} failed: {words[-1]}")
    return said
