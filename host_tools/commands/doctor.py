"""`pigtail doctor`: looks for what is wrong, and says what to do."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from host_tools.broker_options import trust
from host_tools.doctor import Case, Finding, steps
from host_tools.progress import working
from host_tools.reader import Trust
from host_tools.reader.lines import printable
from host_tools.signals.find import find

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
EXAMPLES = """\b
Examples:
  pigtail doctor
  pigtail doctor --port /dev/ttyUSB0 --vehicle kona-ev
  pigtail doctor --broker mqtts://broker.example --ca ca.pem --device kona
  pigtail doctor --json
"""


@click.command("doctor", epilog=EXAMPLES)
@click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]")
@click.option("--broker", metavar="URL", help="[default: the one that the device is told of]")
@trust
@click.option("--device", metavar="ID", help="[default: the one at the port]")
@click.option("--vehicle", metavar="NAME|FILE", help="The profile that it should have.")
@click.option("--json", "as_json", is_flag=True, help="Print all findings as JSON.")
def command(
    port: str | None, broker: str | None, ca: Path | None, cert: Path | None, key: Path | None, device: str | None,
    vehicle: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Find out what is wrong: this machine, port, device, firmware, configuration, profile, broker, TLS.

    A line each: ok, warning or error, and what to do. The firmware of a device at a port is stopped for some seconds and
    started again. Ends with status 1 when an error stands.
    """
    if vehicle:
        find(vehicle, 1000, lambda _: None)  # refuses what there is not, also where no board is to compare it with
    found = []
    for finding in _findings(Case(port, broker, Trust(ca, cert, key), device, vehicle)):
        found.append(finding)
        if not as_json:
            _tell(finding)
    bad = any(finding.level == "error" for finding in found)
    if as_json:
        click.echo(json.dumps({"ok": not bad, "findings": [asdict(finding) for finding in found]}, indent=2))
    sys.exit(1 if bad else 0)


def _findings(case: Case) -> Iterator[Finding]:
    for words, step in steps(case):
        told, is_over = step(), False
        if not sys.stderr.isatty():
            click.echo(words, err=True)
        while not is_over:
            with working(words):
                found = next(told, None)
            if found is not None:
                yield found
            is_over = found is None


def _tell(finding: Finding) -> None:
    level = click.style(finding.level.ljust(7), _COLOURS[finding.level])
    todo = f" → {finding.todo}" if finding.todo else ""
    click.echo(f"{level}  {finding.check.ljust(11)}  {printable(finding.text + todo)}")
