"""`pigtail listen`: what a broker brings, decoded, each sample once, as a live table or as lines."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path

import click
from rich.console import Console

from host_tools.broker_options import trust
from host_tools.errors import InputError
from host_tools.reader import (
    BatchEvent,
    FramesLost,
    Gap,
    Happened,
    Listener,
    ProfileSeen,
    Reply,
    Status,
    Subscribed,
    Trouble,
    Trust,
    listen,
)
from host_tools.reader.lines import FORMATS, Lines, printable, reply_text
from host_tools.reader.recording import MARK, Recorder
from host_tools.reader.stream import Tap
from host_tools.reader.table import LiveTable
from host_tools.toolchain.names import of_firmware

Show = Callable[[BatchEvent], None]
Note = Callable[[str], None]

EXAMPLES = """\b
Examples:
  pigtail listen
  pigtail listen --broker mqtt://me:secret@192.0.2.7 --device kona
  pigtail listen --format jsonl --out kona.jsonl
  pigtail listen --raw kona.rec
  pigtail listen --broker mqtts://broker.example --ca ca.pem
  pigtail listen --share fleet --raw first.rec
  pigtail listen --session archive --format jsonl --out all.jsonl
"""


@click.command("listen", epilog=EXAMPLES)
@click.option("--broker", metavar="URL", default="mqtt://127.0.0.1:1883", show_default=True)
@click.option("--device", metavar="ID", help="Only this device.  [default: all]")
@click.option("--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path),
    help="Write to FILE, with --session behind what it holds.  [default: stdout]",
)
@click.option("--raw", metavar="FILE", type=click.Path(path_type=Path), help="Append all messages as they come to FILE.")
@trust
@click.option("--share", metavar="GROUP", help="Take a share of the telemetry: the collectors of a group divide it.")
@click.option("--session", metavar="NAME", help="Have the broker keep what comes while this reader, the only NAME, is away.")
def command(
    broker: str, device: str | None, form: str, out: Path | None, raw: Path | None,
    ca: Path | None, cert: Path | None, key: Path | None, share: str | None, session: str | None,
) -> None:  # fmt: skip
    """Show what devices publish: names, values, units and ages, each sample once.

    jsonl and csv write one sample a line; so does table where its output is no terminal. Ctrl-C ends it. What is recorded
    with --raw is read with `pigtail decode`.

    With --share a sample may come twice, to two collectors, and none of them can tell what is missing: record what each
    gets with --raw, and give all recordings to `pigtail decode` together.
    """
    with ExitStack() as stack:
        tap = stack.enter_context(_recorder(raw)) if raw else None
        trust = Trust(ca, cert, key)
        listener = listen(broker, device, reconnect=True, tap=tap, trust=trust, share=share, session=session)
        _listen(listener, form, out, keep=session is not None)


def _listen(listener: Listener, form: str, out: Path | None, keep: bool) -> None:
    try:
        with _output(form, out, keep) as (show, note):
            asyncio.run(_run(listener, show, note))
    except KeyboardInterrupt:
        click.echo("\n".join([summary(listener), *map(printable, listener.inbox.missing())]), err=True)


@contextmanager
def _recorder(path: Path) -> Iterator[Tap]:
    """What appends a message to the recording. Raises InputError when it cannot be written, and for what is none."""
    otherwise = f"cannot write {path}: {{}}; name another file with --raw"
    try:
        if path.is_file() and not _is_recording(path):
            raise InputError(f"{path} is no recording, and not empty: nothing is appended to it; name another file with --raw")
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise InputError(otherwise.format(error.strerror)) from error
    with file:
        recorder = Recorder(file)

        def tap(topic: str, payload: bytes) -> None:
            try:
                recorder.write(topic, payload)
            except OSError as error:
                raise InputError(otherwise.format(error.strerror)) from error

        yield tap


def _is_recording(path: Path) -> bool:
    """Whether it begins like one, were it cut in its first bytes or empty."""
    with path.open("rb") as file:
        return MARK.startswith(file.read(len(MARK)))


@contextmanager
def _output(form: str, out: Path | None, keep: bool) -> Iterator[tuple[Show, Note]]:
    """What shows a batch and what tells of other events; `keep` appends, since the broker has no second copy of what an earlier
    run of a session wrote. Raises InputError when `out` cannot be written."""
    if out is not None:
        try:
            with out.open("a" if keep else "w", encoding="utf-8", newline="") as file:
                yield Lines(file, form).show, _to_stderr
        except OSError as error:
            raise InputError(f"cannot write {out}: {error.strerror}; name another file with --out") from error
    elif form == "table" and sys.stdout.isatty():
        with LiveTable(Console()) as table:
            yield table.show, table.note
    else:
        yield Lines(sys.stdout, form).show, _to_stderr


def _to_stderr(line: str) -> None:
    click.echo(printable(line), err=True)


async def _run(listener: Listener, show: Show, note: Note) -> None:
    async with aclosing(listener):
        async for event in listener:
            if isinstance(event, BatchEvent):
                show(event)
            else:
                note(describe(event))


def describe(event: Status | Gap | FramesLost | Happened | Reply | ProfileSeen | Trouble | Subscribed) -> str:
    """An event as one line."""
    match event:
        case Subscribed(address):
            return f"listening to {address}; Ctrl-C ends"
        case Status(device, fields):
            return f"{device}: status {json.dumps(fields)}"
        case Gap(device, boot, _, first, count, reason, name):
            return f"{device}: {count} samples of boot {boot}, {name}, from {first} on are lost ({reason})"
        case FramesLost(device, boot, frames, from_ms, to_ms, reason):
            when = f"between {from_ms / 1000:g} and {to_ms / 1000:g} s after power-on"
            return f"{device}: {frames} frames of the bus are lost {when}, boot {boot} ({reason})"
        case Happened(device, boot, _, uptime_ms, kind, text):
            if kind == "crash":
                text = "; ".join(line.strip() for line in of_firmware(text).splitlines())
            return f"{device}: {kind}{text and ': '}{text} ({uptime_ms / 1000:.1f} s after power-on, boot {boot})"
        case Reply(device):
            return f"{device}: {reply_text(event)}"
        case ProfileSeen(device, profile_hash, profile):
            return f"{device}: profile {profile.name} {profile_hash:08x}, {len(profile.signals)} signals"
        case Trouble(device, reason):
            return f"{device}: {reason}" if device else reason


def summary(listener: Listener) -> str:
    """The books over all devices as one line."""
    held = len(listener.inbox.held)
    books = str(listener.totals)
    if listener.inbox.share is not None:
        books = f"{listener.inbox.shared_samples} samples by share {listener.inbox.share}; what all got, `pigtail decode` tells"
    return printable(f"{books}, {held} batches whose profile did not come" if held else books)
