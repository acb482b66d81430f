"""`pigtail signals`: from a DBC to the profile that the device decodes by, and what a profile says of a recording."""

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table

from host_tools import logs
from host_tools.errors import InputError
from host_tools.part import part
from host_tools.progress import working
from host_tools.signals import database, find, report, show
from host_tools.signals.check import Check, check
from host_tools.signals.drawing import draw
from host_tools.signals.frames import Frames
from host_tools.signals.merge import merge
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Profile

PIPE_WIDTH = 500  # columns of a table that goes to no terminal: enough never to wrap
MOST_CURVES = 6

EXAMPLES = """\b
Examples:
  pigtail signals compile car.dbc -o car.bin
  pigtail signals show demo-ev
  pigtail signals check car.dbc --log drive.log.gz
  pigtail signals draw demo-ev Vehicle.Speed
"""
period_option = click.option(
    "--period", metavar="MS", type=click.IntRange(0, 3_600_000), default=1000, show_default=True,
    help="Sampling period for a bare database, 0 for every change.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
profile_argument = click.argument("name", metavar="PROFILE")


@click.command("signals", cls=click.Group, epilog=EXAMPLES)
def command() -> None:
    """Signals as data: compile, show, check and draw what the device decodes by.

    PROFILE is a vehicle's name, a vehicle file (.toml), a signal database (.dbc, .kcd, .sym, .arxml) or a packed file.
    """


@command.command(
    "compile", epilog="\b\nExample:\n  pigtail signals compile car.dbc body.dbc -o car.bin --period 500\n"
)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("-o", "--out", metavar="FILE", type=click.Path(path_type=Path), help="[default: NAME.bin]")
@click.option("--strict", is_flag=True, help="Refuse what would be repaired or left out.")
@period_option
def compile_(inputs: tuple[str, ...], out: Path | None, strict: bool, period: int) -> None:
    """Pack vehicle files and signal databases into the file that the device loads.

    Repairs, overlaps and what is left out are told line by line on stderr.
    """
    tell = refuse if strict else to_stderr
    profile = merge([find.find(name, period, tell) for name in inputs], tell)
    packed = pack(profile)
    out = out or Path(f"{Path(inputs[0]).stem}.bin")
    try:
        with part(out) as fresh:
            fresh.write_bytes(packed)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; name another file with -o") from error
    click.echo(
        f"{out}: {show.counts(profile)}, {len(packed):,} bytes, "
        f"profile hash {identity(packed):08x}"
    )


@command.command("show", epilog="\b\nExample:\n  pigtail signals show demo-ev\n")
@profile_argument
@json_option
@period_option
def show_(name: str, as_json: bool, period: int) -> None:
    """List a profile's signals: bits as in a DBC (start|length@order), scale, unit, period, purpose.

    In brackets stands a range that the database gives; without, one that the device judges values by.
    """
    profile = find.find(name, period, to_stderr)
    if as_json:
        click.echo(json.dumps(show.plain(profile), indent=2, ensure_ascii=False))
        return
    print_table(show.table(profile))
    head = " ".join(filter(None, (profile.vehicle or profile.name, profile.version)))
    click.echo(f"\n{head}: {show.counts(profile)}")


@command.command(
    "check", epilog="\b\nExample:\n  pigtail signals check car.dbc --log drive.log.gz --plot drive.png Motor.Speed\n"
)
@profile_argument
@click.argument("signals", metavar="[SIGNAL]...", nargs=-1)
@click.option("--log", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The recording.")
@click.option("--channel", metavar="NAME", help="Only this bus of the recording.  [default: all]")
@click.option("--plot", metavar="FILE.png", type=click.Path(path_type=Path), help="Draw SIGNALs over time.")
@json_option
def check_(
    name: str, signals: tuple[str, ...], log: Path, channel: str | None, plot: Path | None, as_json: bool
) -> None:
    """Decode a recording: what share of it is known, which ranges were seen, what never moves.

    Without a SIGNAL, --plot draws the liveliest. Ends with status 1 when nothing can be decoded, and when the vehicle
    file is contradicted: a value lies outside a range that it declares, or a frame's counter or checksum is wrong.
    """
    if signals and plot is None:
        raise InputError("signals are named for a picture: say where it goes with --plot FILE.png")
    profile = find.find(name, 1000, to_stderr)
    with working(f"decoding {log}"):
        result, frames = check(logs.read(log, channel), profile, find.named(name))
    if plot is not None:
        draw_curves(plot, signals or liveliest(profile, frames), profile, frames, log)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        print_check(result)
    sys.exit(1 if result.has_failed else 0)


@command.command("draw", epilog="\b\nExample:\n  pigtail signals draw car.dbc EngineData\n")
@profile_argument
@click.argument("message", metavar="MESSAGE")
def draw_(name: str, message: str) -> None:
    """Draw the bits of a message: its name, its id in hexadecimal, or a signal in it.

    `<` is a signal's most significant bit, `x` its least; X are bits that more than one signal takes.
    """
    path = Path(name)
    if path.suffix.lower() in database.SUFFIXES:
        for candidate in database.load(path, to_stderr).messages:
            if message in (candidate.name, f"{candidate.frame_id:X}", f"0x{candidate.frame_id:X}"):
                click.echo(draw(candidate))
                return
    click.echo(draw(show.message_called(find.find(name, 1000, to_stderr), message)))


def refuse(line: str) -> NoReturn:
    """Raises InputError with a line that would else only be told."""
    raise InputError(f"{line} (told and accepted without --strict)")


def to_stderr(line: str) -> None:
    """Tells of a repair."""
    click.echo(line, err=True)


def print_table(table: Table) -> None:
    """On a terminal as wide as that is, else as wide as the table needs."""
    if sys.stdout.isatty():
        Console().print(table)
        return
    text = io.StringIO()
    Console(file=text, width=PIPE_WIDTH).print(table)
    click.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def print_check(result: Check) -> None:
    """The table of signals, then the whole."""
    print_table(report.table(result))
    click.echo()
    for line in report.lines(result):
        click.echo(line)


def liveliest(profile: Profile, frames: Frames) -> tuple[str, ...]:
    """Names of the signals with the most different values. Raises InputError where none moves."""
    found = {
        signal.name: len(set(frames.values(message, signal).raw.tolist()))
        for message in profile.messages
        for signal in message.signals
    }
    moving = sorted((name for name, count in found.items() if count > 1), key=lambda name: -found[name])
    if not moving:
        raise InputError("there is nothing to plot: no signal moves in this recording")
    return tuple(moving[:MOST_CURVES])


def draw_curves(path: Path, names: tuple[str, ...], profile: Profile, frames: Frames, log: Path) -> None:
    """The picture. Raises InputError for a signal that does not exist or was not heard."""
    from host_tools.signals import plot  # matplotlib takes a second to import

    signals = {signal.name: (message, signal) for message in profile.messages for signal in message.signals}
    curves = []
    for name in names:
        if name not in signals:
            raise show.unknown(f"profile {profile.name} has no signal", name, signals)
        message, signal = signals[name]
        values = frames.values(message, signal)
        if not len(values.raw):
            raise InputError(f"{name} cannot be plotted: it was not heard in {log}")
        curves.append(plot.Curve(signal, values))
    plot.save(path, f"{profile.vehicle or profile.name}, {log.name}", curves, frames.start, frames.end)
