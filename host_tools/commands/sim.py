"""`pigtail sim`: the firmware against a virtual car, and the books on every frame and sample."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from host_tools.config import draft
from host_tools.errors import InputError
from host_tools.finite import Finite
from host_tools.reader import Trust
from host_tools.sim import power as senses
from host_tools.sim import scenario, security
from host_tools.sim.ecus.file import load_all
from host_tools.sim.faults import MOMENTS, SPANS, parse_all
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.summary import lines

PROGRESS_S = 5.0  # real seconds between two lines of progress

_A_FILE = click.Path(path_type=Path)
_KINDS = "".join(f"  {name + when:<24}{what}\n" for kinds, when in ((MOMENTS, "@T"), (SPANS, "@START:END"))
                 for name, what in kinds.items())  # fmt: skip
EXAMPLES = f"""\b
Faults:
{_KINDS}
\b
Examples:
  pigtail sim
  pigtail sim --for 300 --speed 10 --outage 60:120
  pigtail sim --for 120 --outage 20:90 --power-cut 50 --power-cut 70 --flash-size 256k
  pigtail sim --tls --load 4000 --fault reset@20 --fault broker-stall@30:40
  pigtail sim --fault dns-hang@10:40 --fault reset@12
  pigtail sim --profile demo-ev --profile demo-ev-diagnostics --ecu host_tools/sim/ecus/demo.toml --allow
  pigtail sim --ecu host_tools/sim/ecus/demo.toml --fault bus-off@20
  pigtail sim --log drive.log.gz --profile car.dbc --outage 5:12 --json report.json
"""


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that `sim` and `demo` share."""
    for option in reversed(
        [
            click.option("--log", "logs", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
                         help="Replay a recorded log (again for more, one after another).  [default: a generated drive]"),
            click.option("--profile", "profiles", metavar="NAME|FILE", multiple=True,
                         help="Which signals: a vehicle's name or a DBC (again for more).  [default: demo-ev]"),
            click.option("--channel", metavar="NAME", help="Only this bus of the logs.  [default: all]"),
            click.option("--period", metavar="MS", type=click.IntRange(0, 3_600_000), default=1000, show_default=True,
                         help="Sampling period for a DBC, 0 for every change."),
            click.option("--speed", metavar="N", type=Finite(0.1, 1000), default=1.0, show_default=True,
                         help="How many times as fast time runs."),
            click.option("--load", metavar="FRAMES_PER_S", type=click.IntRange(1, 10_000), help="Fill the bus up to this."),
            click.option("--for", "seconds", metavar="SECONDS", type=Finite(0.1), help="End the log after this."),
            click.option("--broker", metavar="URL", help="Use this MQTT broker.  [default: one of our own]"),
            click.option("--tls", is_flag=False, flag_value=security.SERVER, default="", metavar="[mutual]",
                         help="Let our own broker speak TLS; mutual: the device shows a certificate as well."),
            click.option("--ca", metavar="FILE", type=_A_FILE, help="The CA of a broker at mqtts://."),
            click.option("--cert", metavar="FILE", type=_A_FILE, help="A certificate for that broker, where it asks for one."),
            click.option("--key", metavar="FILE", type=_A_FILE, help="Its key."),
            click.option("--outage", "outages", metavar="START:END", multiple=True, help="Cut the link (again for more)."),
            click.option("--fault", "faults", metavar="KIND@WHEN", multiple=True,
                         help="Do this on the way to the broker or on the bus (again for more); the kinds are below."),
            click.option("--ecu", "ecus", metavar="FILE", multiple=True, type=_A_FILE,
                         help="ECUs that answer what the device asks, see docs/diagnostics.md (again for more)."),
            click.option("--allow", is_flag=True, help="As if the owner had allowed what the profile asks for."),
            click.option("--power-cut", "power_cuts", metavar="T", multiple=True, type=Finite(0),
                         help="Kill the firmware at T and start it again (again for more)."),
            click.option("--ignition-off", "ignition_offs", metavar="T", multiple=True, type=Finite(0),
                         help="Turn the ignition off at T: a warning, then no power for some seconds (again for more)."),
            click.option("--power", "power", metavar="FILE", type=_A_FILE,
                         help="Play ignition, 12 V and when the bus is awake, see docs/power.md."),
            click.option("--flash-size", metavar="SIZE", default="1M", show_default=True,
                         help="The outbox's flash partition, such as 64k; none: the outbox keeps files."),
            click.option("--bitrate", metavar="BIT_PER_S", type=click.IntRange(10_000, 1_000_000),
                         help="The car's bit rate.  [default: the one the device listens at]"),
            click.option("--set", "settings", metavar="KEY=VALUE", multiple=True,
                         help="A key of the device's configuration, such as state='{\"*\": 1000}' (again for more)."),
            click.option("--heap", metavar="SIZE", default="128k", show_default=True, help="The heap of the device's code."),
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def build(
    logs: tuple[Path, ...], profiles: tuple[str, ...], channel: str | None, period: int, speed: float, load: int | None,
    seconds: float | None, broker: str | None, outages: tuple[str, ...], power_cuts: tuple[float, ...],
    ignition_offs: tuple[float, ...], flash_size: str, bitrate: int | None, heap: str, faults: tuple[str, ...], tls: str,
    ca: Path | None, cert: Path | None, key: Path | None, settings: tuple[str, ...],
    ecus: tuple[Path, ...], allow: bool, power: Path | None,
) -> scenario.Scenario:  # fmt: skip
    """The scenario of these options. Raises InputError."""
    if seconds is None and not logs:
        seconds = scenario.GENERATED_S
    signals = scenario.profile(profiles, logs, period, lambda line: click.echo(line, err=True))
    struck, cut = parse_all(faults), scenario.outages(outages)
    scenario.check_begin(cut, struck, seconds)
    scenario.check_air(cut, struck)
    return scenario.Scenario(
        profile=signals,
        frames=scenario.frames(logs, channel, load, signals),
        speed=speed,
        seconds=seconds,
        outages=cut,
        faults=struck,
        tls=scenario.check_tls(tls, broker),
        trust=Trust(ca, cert, key),
        broker=broker,
        flash_size=scenario.flash_size(flash_size),
        power_cuts=scenario.moments("power cut", power_cuts, seconds),
        ignition_offs=scenario.moments("ignition off", ignition_offs, seconds),
        bitrate=bitrate or 0,
        heap=scenario.heap(heap),
        config=dict(map(draft.value, settings)) | (scenario.permission(signals) if allow else {}),
        ecus=load_all(ecus),
        power=_power(power, ignition_offs),
    )


def _power(file: Path | None, ignition_offs: tuple[float, ...]) -> tuple[senses.Moment, ...]:
    if file and ignition_offs:
        raise InputError("--ignition-off and --power both turn the ignition: name its times in the file alone")
    return senses.read(file) if file else ()


@click.command("sim", epilog=EXAMPLES)
@options
@click.option("--json", "out", metavar="FILE", type=click.Path(path_type=Path), help="Write the report to FILE.")
def command(out: Path | None, **chosen: object) -> None:
    """Boot the firmware against a virtual car; account for every frame and every sample.

    All times are device seconds. Ends with status 1 when a sample is missing that nothing explains, came twice or was lost
    by a broker that had acknowledged it, a message could not be decoded, the flash was misused, or an alarm went off.
    """
    if out is not None:
        _write(out, "a", "")  # before the drive
    simulation = Simulation(build(**chosen))  # type: ignore[arg-type]
    report = asyncio.run(simulation.run(_progress(simulation)))
    click.echo("\n".join(lines(report)))
    if out is not None:
        _write(out, "w", json.dumps(report.as_dict(), indent=2) + "\n")
    sys.exit(status(report))


def status(report: Report) -> int:
    """Exit status that a report deserves."""
    faults = any(chip["faults"] for chip in report.flash.values())
    lost = report.samples_missing or report.lost_after_ack
    return 1 if lost or report.duplicates or report.undecodable or faults or report.alarms else 0


def _write(path: Path, mode: str, text: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; name another file with --json") from error


def _progress(simulation: Simulation) -> Callable[[], None]:
    """Prints where the simulation is, every few seconds, to stderr."""
    next_at = time.monotonic() + PROGRESS_S
    told = False

    def tick() -> None:
        nonlocal next_at, told
        if not told and simulation.car.attached.is_set():
            told = True
            click.echo(f"to look on: pigtail listen --broker {simulation.broker_url}", err=True)
        if time.monotonic() < next_at:
            return
        next_at += PROGRESS_S
        end = f" of {simulation.scenario.seconds:g}" if simulation.scenario.seconds else ""
        meter, received = simulation.board.meter(), simulation.delivered.samples
        link = "up" if simulation.link_up else "down"
        click.echo(
            f"{simulation.car.now:7.0f}{end} s  {meter.received} frames, {meter.overrun} dropped; "
            f"{received} samples delivered, {simulation.waiting()} waiting; link {link}", err=True,
        )  # fmt: skip

    return tick
