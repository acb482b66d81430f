"""`pigtail command`: tells a device to do something, and what it answered."""

import asyncio
import json
import sys

import click

from host_tools.broker_options import Way, commanded_way_options
from host_tools.control import NoReply
from host_tools.control.arguments import parse
from host_tools.control.carriers import carrier
from host_tools.finite import Finite
from host_tools.progress import working
from host_tools.reader import Reply
from host_tools.reader.lines import printable, reply_text

EXAMPLES = """\b
Examples:
  pigtail command --port /dev/ttyUSB0 status
  pigtail command --device kona --command-key kona.key ping
  pigtail command --device kona --command-key kona.key snapshot signals=Vehicle.Speed,Vehicle.CurrentLocation.Altitude
  pigtail command --device kona --command-key kona.key set_period signal=Vehicle.Speed period_ms=500
  pigtail command --broker mqtts://broker.example --ca ca.pem --device kona --command-key kona.key --json flush
"""


@click.command("command", epilog=EXAMPLES)
@commanded_way_options
@click.option("--wait", "wait_s", metavar="SECONDS", type=Finite(0.1, 3600), default=10.0, show_default=True,
              help="How long to wait for the reply; as long the command is good for.")
@click.option("--json", "as_json", is_flag=True, help="Print the reply as JSON.")
@click.argument("name", metavar="NAME")
@click.argument("arguments", metavar="[ARG=VALUE]...", nargs=-1)
def command(way: Way, wait_s: float, as_json: bool, name: str, arguments: tuple[str, ...]) -> None:
    """Tell a device to do something: ping, flush, reboot, set_period or snapshot; status by its serial port.

    By that port, or over MQTT with --device and --command-key. flush sends what is in open batches; set_period and reboot
    restart the device, which loses nothing. Ends with status 1 when the device refuses or does not answer in time. Over MQTT
    this machine's clock must be right.
    """
    given = parse(name, arguments)
    try:
        with carrier(way, wait_s) as (place, send), working(f"waiting for {place}"):
            reply = asyncio.run(send(name, given))
    except NoReply as error:
        click.echo(f"pigtail: {error}", err=True)
        sys.exit(1)
    click.echo(json.dumps(fields(reply)) if as_json else printable(reply_text(reply)))
    sys.exit(0 if reply.ok else 1)


def fields(reply: Reply) -> dict[str, object]:
    """A reply as the device's JSON."""
    told: dict[str, object] = {"id": reply.id, "command": reply.command, "ok": reply.ok}
    return told | ({"result": reply.result} if reply.ok else {"reason": reply.reason, "text": reply.text})


