"""`pigtail flash`: MicroPython onto a bare chip."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from host_tools import boards
from host_tools.boards import MIB, SIMULATED, Board
from host_tools.device import flashing, image, only, partitions
from host_tools.device.flashing import BAUD, Flashed, FlashFailed, FlashStopped
from host_tools.device.image import Image
from host_tools.errors import InputError
from host_tools.progress import steps

EXAMPLES = """\b
Examples:
  pigtail flash --board esp32-mcp2515 --port /dev/ttyUSB0 --image ESP32_GENERIC-20250415-v1.25.0.bin --partition-table
  pigtail flash --board esp32c3-can --port /dev/ttyACM0 --image firmware.bin --sha256 4b1f… --yes --json
"""
_EMPTY = "there is nothing whole on the chip now, flash it again"


@click.command("flash", epilog=EXAMPLES)
@click.option("--board", "name", metavar="BOARD", required=True, help="One of `pigtail boards`.")
@click.option("--port", metavar="PORT", help="The chip's serial port.  [default: the only one with a board]")
@click.option("--image", "path", metavar="FILE", type=click.Path(path_type=Path), help="MicroPython, a complete image.")
@click.option("--sha256", metavar="HEX", default="", help="What the file's SHA-256 must be.")
@click.option("--partition-table", "own_table", is_flag=True, help="Write the board's table in place of the image's.")
@click.option("--baud", metavar="BAUD", type=click.IntRange(9600, 2_000_000), default=BAUD, show_default=True)
@click.option("--no-stub", "stub", flag_value=False, default=True, help="Use the loader in the chip's ROM: slower.")
@click.option("--yes", is_flag=True, help="Do not ask before everything on the chip is erased.")
@click.option("--json", "as_json", is_flag=True, help="What was done, as JSON.")
def command(
    name: str, port: str | None, path: Path | None, sha256: str, own_table: bool, baud: int, stub: bool, yes: bool, as_json: bool
) -> None:
    """Erase a chip and write MicroPython to it.

    The image is checked first: its chip, its size, its checksums. A chip other than the board's is left as it is; from the right
    one everything goes, its configuration and what waits in its outbox too.
    """
    board = boards.load(name)
    if board.chip == SIMULATED:
        raise InputError(f"{name} is the simulator's board, there is nothing to flash: try pigtail sim")
    if path is None:
        raise InputError(f"name the image with --image: {name} takes {board.wanted}")
    found = image.read(path, board, sha256)
    for warning in _warnings(board, found, own_table):
        click.echo(f"pigtail: warning: {warning}", err=True)
    port = only(port)
    if not yes:
        _ask(port)
    try:
        with steps() as watcher:
            done = flashing.flash(board, port, found, watcher, own_table, stub, baud)
    except FlashFailed as error:
        click.echo(f"pigtail: writing to {port} failed ({error}): {_EMPTY}", err=True)
        sys.exit(1)
    except FlashStopped:
        click.echo(f"pigtail: {_EMPTY}", err=True)
        raise
    click.echo(json.dumps(_facts(board, port, found, done), indent=2) if as_json else _summary(board, port, found, done))


def _warnings(board: Board, found: Image, own_table: bool) -> Iterator[str]:
    if board.controller == "native" and not found.has_can:
        yield f"{found.path} has no machine.CAN: it cannot listen to a bus; {board.name} takes {board.wanted}"
    if board.outbox_size and not own_table and not partitions.find(found.table, "outbox"):
        yield "the image's partition table has no outbox, so that will keep files; --partition-table writes the board's"


def _ask(port: str) -> None:
    if not sys.stdin.isatty():
        raise InputError(f"everything on the chip at {port} will be erased, and there is nobody to ask: give --yes")
    if not click.confirm(f"Everything on the chip at {port} will be erased, its configuration too. Go on?", err=True):
        raise InputError("not confirmed; nothing was changed")


def _facts(board: Board, port: str, found: Image, done: Flashed) -> dict[str, object]:
    table = partitions.plan(board) if done.own_table else found.table
    outbox = partitions.find(table, "outbox")
    return {
        "board": board.name, "port": port, "chip": done.chip, "flash_size": done.flash_size, "image": str(found.path),
        "sha256": found.sha256, "micropython": found.micropython, "written": done.written,
        "table": "board" if done.own_table else "image", "outbox_size": outbox.size if outbox else 0, "can": found.has_can,
    }  # fmt: skip


def _summary(board: Board, port: str, found: Image, done: Flashed) -> str:
    table = f"{board.name}'s, with {board.outbox_size // MIB} MB for the outbox" if done.own_table else "the image's"
    return (
        f"MicroPython {found.micropython} is on the {done.chip} at {port}: {done.written:,} bytes written and verified. "
        f"Partition table: {table}. Next: pigtail deploy --board {board.name}"
    )
