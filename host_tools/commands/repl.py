"""`pigtail repl`: MicroPython's prompt on a device."""

import subprocess
import sys

import click

from host_tools.device import only
from host_tools.device.serial import Device


@click.command("repl", epilog="\b\nExample:\n  pigtail repl --port /dev/ttyUSB0\n")
@click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]")
def command(port: str | None) -> int:
    """Open mpremote's own REPL; Ctrl-C stops the firmware, Ctrl-D starts it again, Ctrl-] leaves."""
    path = only(port)
    Device(path).close()  # what is wrong with the port is said in our words
    return subprocess.call([sys.executable, "-m", "mpremote", "connect", path, "repl"])
