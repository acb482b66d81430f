"""`pigtail deploy`: this checkout's firmware onto a device."""

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict

import click

from host_tools import boards
from host_tools.config import ids
from host_tools.device.deploy import Deployed, counted, deploy, safe_mode
from host_tools.device.release import architecture, board_trouble, made
from host_tools.errors import InputError
from host_tools.progress import steps
from host_tools.signals import find
from host_tools.signals.pack import pack

EXAMPLES = """\b
Examples:
  pigtail deploy --board esp32-mcp2515 --vehicle demo-ev
  pigtail deploy --port /dev/ttyUSB0
  pigtail deploy --device kona --vehicle kona-ev
"""


@click.command("deploy", epilog=EXAMPLES)
@click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]")
@click.option("--device", metavar="ID", help="The one of this id, at whichever serial port it is.")
@click.option("--board", "name", metavar="BOARD", help="One of `pigtail boards`: its module goes, too. Needed once for a chip.")
@click.option("--vehicle", metavar="NAME|FILE", help="The profile it shall decode by: a vehicle's name, a DBC, a packed file.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def command(port: str | None, device: str | None, name: str | None, vehicle: str | None, as_json: bool) -> None:
    """Compile the firmware for a device, send what changed, and wait until it runs.

    What is in force stays in force until the new firmware lies beside it, whole and compared; interrupted at any time, one of
    the two boots. Where the new one does not start, or crashes, the old one is put back, and this ends with status 1.
    """
    kind = boards.load(name) if name else None
    profile = pack(find.find(vehicle, 1000, _tell)) if vehicle else None
    began = time.monotonic()
    with steps() as watcher, ExitStack() as connection:
        watcher.step("connecting")
        board = connection.enter_context(ids.connected(port, device))
        arch = architecture(board)
        if kind is None and (trouble := board_trouble(board)):
            todo = "name the board once with --board, one of `pigtail boards`"
            raise InputError(f"{board.port}: nothing there knows the board's pins ({trouble}): {todo}")
        board.guard()  # not before: what is refused is left as it was
        watcher.step(f"compiling for {arch}")
        done = deploy(board, made(arch, kind), profile, watcher)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        click.echo(json.dumps({"port": board.port, "arch": arch, "healthy": done.is_healthy, "seconds": seconds, **asdict(done)}))
    else:
        click.echo(f"{board.port}: {_line(done, seconds)}")
    sys.exit(0 if done.is_healthy else 1)


def _line(done: Deployed, seconds: float) -> str:
    """The result in one line."""
    status = done.status
    if done.left:
        return f"not finished ({done.error}): {done.left}"
    if status is None:
        back = f"; the old one, in /{done.back}, is put back" if done.back else ""
        return f"the firmware does not start ({done.error}){back}"
    if trouble := safe_mode(status):
        return f"{trouble}; the next start tries all again: `pigtail logs` then shows what crashes"
    if not done.is_healthy:
        return f"the firmware starts, but parts of it had to be started again: {status['restarts']}"
    sent = f"{counted(done.sent)} sent ({done.bytes:,} bytes), {done.copied} copied" if done.sent else "nothing to send"
    troubles = f"; {status['config_error']}" if status.get("config_error") else ""
    if status.get("profile_error"):
        troubles += f"; without a profile nothing is sampled ({status['profile_error']}): `pigtail deploy --vehicle NAME`"
    runs = f"firmware {status.get('firmware')} runs from /{done.slot}, boot {status.get('boot')}"
    return f"{sent}; {runs}, after {seconds} s{troubles}"


def _tell(line: str) -> None:
    click.echo(line, err=True)
