"""`pigtail decode`: stored batches to JSON lines, CSV or Parquet."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from host_tools.errors import InputError
from host_tools.part import part
from host_tools.progress import working
from host_tools.reader.archive import Archive
from host_tools.reader.export import FORMATS, Lines, Parquet, Writer, tables
from host_tools.reader.lines import printable
from host_tools.signals import find

_TOLD = 20  # gaps by name
EXAMPLES = """\b
Examples:
  pigtail listen --raw kona.rec
  pigtail decode kona.rec -o kona.csv
  pigtail decode monday.rec tuesday.rec -o both.parquet
  pigtail decode first-collector.rec second-collector.rec -o all.csv
  pigtail decode batch.bin --profile demo-ev
"""


@click.command("decode", epilog=EXAMPLES)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", metavar="FILE|NAME", help="Profile of batches whose own is not in the files.")
@click.option("-o", "--out", metavar="OUT", type=click.Path(path_type=Path), help="Write to OUT.  [default: stdout]")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: as OUT is called, else jsonl]")
@click.option(
    "--period", metavar="MS", type=click.IntRange(0, 3_600_000), default=1000, show_default=True,
    help="Sampling period where --profile is a bare database.",
)  # fmt: skip
def command(files: tuple[Path, ...], profile: str | None, out: Path | None, form: str | None, period: int) -> None:
    """Turn stored batches into jsonl, csv or Parquet, each sample once.

    FILE is a recording (pigtail listen --raw), a dump of the flash partition of a device's outbox, or the payload of one
    telemetry message. Of several files a sample that is in more than one is taken once, and missing is what is in none.
    Samples are placed by the best clock that their boot ever had. What is damaged is left out, and the status is then 2.
    """
    own = find.find(profile, period, lambda line: click.echo(line, err=True)) if profile else None
    archive = Archive(own)
    for path in files:
        with working(f"reading {path}"):
            archive.load(path)
    with _writer(out, _format(out, form)) as writer, working("decoding") if out else nullcontext():
        for decoded in archive.decoded():
            for table in tables(decoded, archive.clocks):
                writer.write(table)
    for note in archive.notes:
        click.echo(printable(note), err=True)
    for line in _first(list(archive.missing())):
        click.echo(printable(line), err=True)
    click.echo(str(archive.totals), err=True)
    if archive.troubles:
        more = f"; and {len(archive.troubles) - 1} more such places" if len(archive.troubles) > 1 else ""
        raise InputError(printable(f"{archive.troubles[0]}{more}; what could be read is written"))


def _first(lines: list[str]) -> list[str]:
    """As many as are read."""
    return lines if len(lines) <= _TOLD else [*lines[:_TOLD], f"and {len(lines) - _TOLD} more such gaps"]


def _format(out: Path | None, form: str | None) -> str:
    by_name = out.suffix.removeprefix(".") if out else ""
    form = form or (by_name if by_name in FORMATS else FORMATS[0])
    if form == "parquet" and out is None:
        raise InputError("Parquet does not go to stdout; name a file with -o")
    return form


@contextmanager
def _writer(out: Path | None, form: str) -> Iterator[Writer]:
    """A writer to stdout, or to a file that is there in the end only, and whole. Raises InputError where it cannot be written."""
    if out is None:
        yield Lines(sys.stdout, form)
        sys.stdout.flush()
        return
    try:
        with part(out) as beside:
            if form == "parquet":
                writer: Writer = Parquet(beside)
                yield writer
                writer.close()
            else:
                with beside.open("w", encoding="utf-8", newline="") as file:
                    yield Lines(file, form)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}; name another file with -o") from error
