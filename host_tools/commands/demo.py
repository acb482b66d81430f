"""`pigtail demo`: a drive through an outage, watched live."""

import asyncio
import sys
from dataclasses import replace

import click
from rich.console import Console

from host_tools.commands.sim import build, options, status
from host_tools.sim.run import Simulation
from host_tools.sim.summary import lines
from host_tools.sim.view import LiveView, PlainView

DRIVE_S = 30.0
OUTAGE = (8.0, 18.0)
LOG_OUTAGE = (3.0, 7.0)  # recorded drives may be short

EXAMPLES = """\b
Examples:
  pigtail demo
  pigtail demo --log drive.log.gz --profile car.dbc
"""


@click.command("demo", epilog=EXAMPLES)
@options
def command(**chosen: object) -> None:
    """Watch the whole way of a signal: virtual car, firmware, an outage on the way, broker, reader."""
    if not chosen["logs"] and chosen["seconds"] is None:
        chosen["seconds"] = DRIVE_S
    scenario = replace(build(**chosen), config={"batch_ms": 1000})  # type: ignore[arg-type]
    if not chosen["outages"]:
        scenario = replace(scenario, outages=(LOG_OUTAGE if chosen["logs"] else OUTAGE,))
    console = Console()
    simulation = Simulation(scenario)
    (start, end), signals = scenario.outages[0], len(scenario.profile.signals)
    console.print(
        f"{scenario.profile.vehicle or scenario.profile.name}: {signals} signals through the real firmware on a virtual board "
        f"with {scenario.heap} of heap. The link goes down at {start:g} s and comes back at {end:g} s.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    view = (LiveView if console.is_terminal else PlainView)(simulation, console)
    with view:
        report = asyncio.run(simulation.run(view.tick))
    for line in lines(report):
        console.print(line, highlight=False, soft_wrap=True)
    if not status(report):
        console.print("Every sample was delivered once or is accounted for; none is missing.", style="bold green")
    sys.exit(status(report))
