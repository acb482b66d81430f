"""`pigtail board`: a virtual board on this machine's desk."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click

from host_tools.paths import VIRTUAL_BOARDS
from host_tools.provision import identity
from host_tools.sim import drive, scenario, standing
from host_tools.sim.ecus.facts import Facts
from host_tools.sim.ecus.file import load_all

EXAMPLES = """\b
Examples:
  pigtail board
  pigtail board build/boards/second --device second
  pigtail board --ecu host_tools/sim/ecus/demo.toml
"""


@click.command("board", epilog=EXAMPLES)
@click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(path_type=Path), default=VIRTUAL_BOARDS / "first")
@click.option("--device", metavar="ID", default="virtual", show_default=True, help="What the chip calls itself.")
@click.option("--heap", metavar="SIZE", default="128k", show_default=True, help="The heap of the device's code.")
@click.option("--ecu", "ecus", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
              help="ECUs that answer what the device asks, see docs/diagnostics.md (again for more).")
def command(folder: Path, device: str, heap: str, ecus: tuple[Path, ...]) -> None:
    """Power a virtual board with a serial port, until Ctrl-C.

    It is new where FOLDER holds none: MicroPython, and no firmware. FOLDER keeps its flash. `pigtail deploy`, `pigtail repl`
    and mpremote find it at the port that is printed; the bus of the demo car is connected, and the network is this machine's.
    """
    identity.checked(device)
    asyncio.run(_stay(folder, device, scenario.board_heap(heap), load_all(ecus)))


async def _stay(folder: Path, device: str, heap: str, ecus: Sequence[Facts]) -> None:
    async with standing.powered(folder, device, drive.frames(), heap, ecus) as (_, port):
        click.echo(f"a virtual board at {port.path}; Ctrl-C takes its power")
        await asyncio.Event().wait()
