"""`pigtail monitor`: a device as it is now."""

import asyncio
import json
import sys
import time
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress

import click
from rich.console import Console
from rich.live import Live

from host_tools.broker_options import Way, seconds_option, way_options
from host_tools.commands.listen import describe
from host_tools.device import only
from host_tools.device.asking import Asking
from host_tools.device.watching import Watching
from host_tools.reader import BatchEvent, Listener, Status
from host_tools.reader.lines import iso8601, printable
from host_tools.reader.overview import Overview

TURN_S = 1.0  # between two lines of JSON; between two looks by a cable, at least
PLAIN_S = 10.0  # between two pictures where there is no terminal
PIPE_WIDTH = 500
EXAMPLES = """\b
Examples:
  pigtail monitor
  pigtail monitor --broker mqtts://broker.example --ca ca.pem --device kona
  pigtail monitor --port /dev/ttyUSB0
  pigtail monitor --json --for 30
"""


@click.command("monitor", epilog=EXAMPLES)
@way_options
@seconds_option
@click.option("--json", "as_json", is_flag=True,
              help="Print a line of JSON every second; with --port as fast as the device answers, about a second a page.")
def command(way: Way, seconds: float, as_json: bool) -> None:
    """Watch a device live: bus, queue, link, clock, health, and each value with its age and source.

    Over MQTT, as the devices at a broker tell it; or with --port by a serial port, where the firmware goes on, and what it prints
    is shown as well. It is asked for a page after the other there, about a second each: its status, once its profile, and its
    values. --for ends with the page that is under way. Ctrl-C ends it.
    """
    with suppress(KeyboardInterrupt):
        if way.port is not None:
            _ask(only(way.port), seconds, as_json)
            return
        asyncio.run(_watch(way.listener(), seconds, as_json))


def _view(overview: Overview, as_json: bool) -> tuple[bool, AbstractContextManager[object]]:
    """Whether there is a terminal to draw on, and what does so."""
    if as_json or not sys.stdout.isatty():
        return False, nullcontext()
    return True, Live(get_renderable=overview.render, console=Console(), refresh_per_second=4)


def _ask(port: str, seconds: float, as_json: bool) -> None:
    overview = Overview()
    on_terminal, view = _view(overview, as_json)
    note = overview.note if on_terminal else lambda line: click.echo(printable(line), err=True)
    until, due = time.monotonic() + seconds, 0.0
    with view, Asking(port, note) as device:
        watching = Watching(device)
        while True:
            turn = time.monotonic() + TURN_S
            for _ in watching.look(overview):
                is_over = time.monotonic() >= until
                if not on_terminal and (as_json or is_over or time.monotonic() >= due):
                    _show(overview, as_json)
                    due = time.monotonic() + PLAIN_S
                if is_over:
                    return
            device.listen(min(turn, until) - time.monotonic())


async def _watch(listener: Listener, seconds: float, as_json: bool) -> None:
    overview = Overview()
    on_terminal, view = _view(overview, as_json)
    taking = asyncio.create_task(_take(listener, overview, tell=not on_terminal))
    until = time.monotonic() + seconds
    try:
        with view:
            while not taking.done() and time.monotonic() < until:
                turn_s = TURN_S if as_json or on_terminal else PLAIN_S
                await asyncio.wait([taking], timeout=min(turn_s, until - time.monotonic()))
                if not on_terminal and not taking.done():
                    _show(overview, as_json)
    finally:
        taking.cancel()
        await asyncio.wait([taking])
    if not taking.cancelled():
        taking.result()


async def _take(listener: Listener, overview: Overview, tell: bool) -> None:
    async with aclosing(listener):
        async for event in listener:
            if isinstance(event, BatchEvent | Status):
                overview.take(event)
            elif tell:
                click.echo(printable(describe(event)), err=True)
            else:
                overview.note(describe(event))


def _show(overview: Overview, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"time": iso8601(time.time()), "devices": overview.plain()}))
    else:
        Console(width=PIPE_WIDTH).print(overview.render())
    sys.stdout.flush()
