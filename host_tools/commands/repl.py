"""`pigtail repl`: MicroPython's prompt on a device."""

import subprocess
import sys

import click

from host_tools.config import ids
from host_tools.device.serial import Device
from host_tools.errors import InputError


@click.command("repl", epilog="\b\nExamples:\n  pigtail repl --port /dev/ttyUSB0\n  pigtail repl --device kona\n")
@click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]")
@click.option("--device", metavar="ID", help="The one of this id, at whichever serial port it is.")
def command(port: str | None, device: str | None) -> int:
    """Open mpremote's own REPL; Ctrl-C stops the firmware, Ctrl-D starts it again, Ctrl-] leaves."""
    path = ids.port(port, device)
    if not sys.stdin.isatty():
        raise InputError("repl is for a terminal: a script takes `mpremote exec`, or host_tools.device")
    Device(path).close()  # what is wrong with the port is said in our words
    return subprocess.call([sys.executable, "-m", "mpremote", "connect", path, "repl"])
