"""`pigtail capture`: frames as they come on a device's bus, as a candump log."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import can
import click

from host_tools.broker_options import commanded, trust
from host_tools.control import NoReply, read_key
from host_tools.control.capture import MOST_FRAMES, MOST_IDS, MOST_MS, Refused, capture
from host_tools.control.message import Key
from host_tools.errors import BrokerError, InputError
from host_tools.finite import Finite
from host_tools.part import part
from host_tools.progress import working
from host_tools.reader import Trust, connection
from host_tools.reader.connection import Address
from host_tools.reader.inbox import Inbox

EXAMPLES = """\b
Examples:
  pigtail capture --device kona --command-key kona.key -o all.log
  pigtail capture --device kona --command-key kona.key --id 7E8 --id 18DAF110 --for 30 -o answers.log
  pigtail capture --broker mqtts://broker.example --ca ca.pem --device kona --command-key kona.key -o all.log
"""


class ArbitrationId(click.ParamType[int]):
    """Three hex digits: an 11-bit id; eight: a 29-bit one, as candump writes them."""

    name = "HEX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The id with bit 29 set where it is a 29-bit one."""
        text = str(value)
        try:
            number = int(text, 16)
        except ValueError:
            number = -1
        if (len(text), 0 <= number < 1 << 11) != (3, True) and (len(text), 0 <= number < 1 << 29) != (8, True):
            self.fail(f"{text!r} is no id: give three hex digits, or eight for a 29-bit one", param, ctx)
        return number | (len(text) == 8) << 29


@click.command("capture", epilog=EXAMPLES)
@commanded
@trust
@click.option("--id", "ids", type=ArbitrationId(), multiple=True, help="Only frames with this one; again for more.")
@click.option("--for", "seconds", metavar="SECONDS", type=Finite(0.1, MOST_MS / 1000), default=10.0, show_default=True)
@click.option("--frames", metavar="N", type=click.IntRange(1, MOST_FRAMES), default=MOST_FRAMES, show_default=True)
@click.option("-o", "--out", metavar="FILE", required=True, type=click.Path(path_type=Path), help="The candump log to write.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON how many frames were taken, and how many dropped.")
def command(
    broker: str, device: str, secret: Path, ca: Path | None, cert: Path | None, key: Path | None, ids: tuple[int, ...],
    seconds: float, frames: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Ask a device for a raw log of its bus, bounded in time and frames.

    The device goes on sampling meanwhile. Frames that it could not send or hear fast enough are counted, where its controller
    does not tell how many as one; with any of them missing this ends with status 1. FILE is replaced in the end, and only
    where frames came or none were on the bus.
    """
    address = connection.parse(broker, Trust(ca, cert, key))
    Inbox(device)  # refuses a name that cannot be a device
    if len(ids) > MOST_IDS:
        raise InputError(f"--id: {len(ids)} ids; a device takes {MOST_IDS}: name fewer, or none for all")
    try:
        with working(f"capturing for {seconds:g} s"):
            taken, dropped = asyncio.run(_write(address, device, read_key(secret), ids, seconds, frames, out))
    except (NoReply, Refused) as error:
        click.echo(f"pigtail: {error}", err=True)
        sys.exit(1)
    click.echo(json.dumps({"file": str(out), "taken": taken, "dropped": dropped}) if as_json else _kept(taken, dropped, out))
    sys.exit(1 if dropped else 0)


async def _write(
    address: Address, device: str, key: Key, ids: tuple[int, ...], seconds: float, frames: int, out: Path
) -> tuple[int, int]:
    """Writes the log; how many frames it has, and how many were dropped. What is cut short keeps the frames it has, and is
    raised then; without one, what was in `out` before stays."""
    taken, dropped = 0, 0
    cut: BaseException | None = None
    with _writable(out), part(out) as path, can.CanutilsLogWriter(path, channel="can0") as log:
        try:
            async with aclosing(capture(address, device, key, ids, seconds, frames)) as chunks:
                async for chunk in chunks:
                    for frame in chunk.frames:
                        log.on_message_received(frame)
                    taken, dropped = taken + len(chunk.frames), chunk.dropped
        except (NoReply, BrokerError, asyncio.CancelledError) as error:
            if not taken:
                raise
            cut = error
    if cut:
        click.echo(f"cut short; {_kept(taken, dropped, out)}", err=True)
        raise cut
    return taken, dropped


def _kept(taken: int, dropped: int, out: Path) -> str:
    return f"{taken:,} frames in {out}" + (f"; {dropped:,} more came too fast" if dropped else "")


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    """Raises InputError where the file cannot be written; what goes wrong at the broker is a BrokerError before it comes here."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; name another file with -o") from error
