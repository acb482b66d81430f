"""`pigtail logs`: what a device says, on its console or as events over MQTT."""

import asyncio
import json
import math
import sys
import time
from contextlib import aclosing, suppress
from dataclasses import asdict

import click

from host_tools.broker_options import Way, seconds_option, way_options
from host_tools.commands.listen import describe
from host_tools.device import only
from host_tools.device.console import follow
from host_tools.reader import FramesLost, Gap, Happened, Listener, Subscribed, Trouble
from host_tools.reader.lines import iso8601, printable

KINDS: dict[type, str] = {Happened: "event", Gap: "gap", FramesLost: "frames_lost"}
EXAMPLES = """\b
Examples:
  pigtail logs --port /dev/ttyUSB0
  pigtail logs --broker mqtt://192.0.2.7 --device kona
  pigtail logs --json --for 60
"""


@click.command("logs", epilog=EXAMPLES)
@way_options
@seconds_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
def command(way: Way, seconds: float, as_json: bool) -> None:
    """Show a device's console as it speaks, or its events over MQTT.

    With --broker or --device: what happened, gaps and lost frames, as the device tells them. Else the console at its serial
    port, which is read only: the firmware goes on. Ctrl-C ends it.
    """
    with suppress(KeyboardInterrupt):
        if way.is_mqtt:
            asyncio.run(_events(way.listener(), seconds, as_json))
        else:
            _console(only(way.port), seconds, as_json)


def _console(port: str, seconds: float, as_json: bool) -> None:
    lines = follow(port, seconds)
    click.echo(f"the console at {port}; Ctrl-C ends", err=True)
    for line in lines:
        told = {"time": iso8601(line.utc), "text": line.text, "said": line.said}
        click.echo(json.dumps(told) if as_json else printable(line.text))
        sys.stdout.flush()


async def _events(listener: Listener, seconds: float, as_json: bool) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None if seconds == math.inf else seconds), aclosing(listener):
            async for event in listener:
                if isinstance(event, Happened | Gap | FramesLost):
                    click.echo(_json(event) if as_json else printable(f"{iso8601(time.time())}  {describe(event)}"))
                    sys.stdout.flush()
                elif isinstance(event, Subscribed | Trouble):
                    click.echo(printable(describe(event)), err=True)


def _json(event: Happened | Gap | FramesLost) -> str:
    """The event for a script; `told` says which kind of message it was."""
    return json.dumps({"time": iso8601(time.time()), "told": KINDS[type(event)], **asdict(event)})
