"""`pigtail boards`: the boards that the firmware knows."""

import json
from dataclasses import asdict

import click

from host_tools import boards
from host_tools.boards import MIB, SIMULATED, Board
from host_tools.device import partitions

EXAMPLES = """\b
Examples:
  pigtail boards
  pigtail boards --json
"""
_HEAD = ("board", "what it is", "chip", "CAN", "flash", "outbox", "MicroPython")


@click.command("boards", epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with pins and partitions.")
def command(as_json: bool) -> None:
    """List the boards: chip, CAN controller, flash, and which MicroPython each takes."""
    found = boards.load_all()
    if as_json:
        click.echo(json.dumps([_facts(board) for board in found], indent=2))
        return
    rows = [_HEAD, *(_row(board) for board in found)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(board: Board) -> tuple[str, ...]:
    own = "" if board.stock or board.chip == SIMULATED else ", a build with CAN"
    return (
        board.name, board.title, board.chip, board.controller, f"{board.flash_size // MIB} MB",
        f"{board.outbox_size // MIB} MB" if board.outbox_size else "files", f"{board.build} {board.micropython}".strip() + own,
    )  # fmt: skip


def _facts(board: Board) -> dict[str, object]:
    table = [] if board.chip == SIMULATED else [asdict(partition) for partition in partitions.plan(board)]
    return asdict(board) | {"arch": board.arch, "wanted": board.wanted, "partitions": table}
