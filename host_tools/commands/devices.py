"""`pigtail devices`: serial ports, and which board may be at them."""

import json
from dataclasses import asdict

import click

from host_tools.device import all_ports


@click.command("devices", epilog="\b\nExamples:\n  pigtail devices\n  pigtail devices --json\n")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List serial ports with a guess at the board, virtual boards among them."""
    found = all_ports()
    if as_json:
        click.echo(json.dumps([asdict(port) for port in found]))
        return
    width = max((len(port.path) for port in found), default=0)
    for port in found:
        facts = port.path.ljust(width), port.board or "no known board", port.usb, port.serial_number
        click.echo("  ".join(filter(None, facts)))
    if not found:
        click.echo("no serial port; `pigtail board` powers a virtual board", err=True)
