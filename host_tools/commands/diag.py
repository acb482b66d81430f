"""`pigtail diag`: asks the car's control units through a device, and says what they told."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import click

from host_tools.broker_options import Way, commanded_way_options
from host_tools.control import NoReply
from host_tools.control.carriers import carrier
from host_tools.diag import answers, descriptions, lines, trouble
from host_tools.diag.at_once import AtOnce
from host_tools.diag.client import Asks, Client, Ecu, Refused
from host_tools.diag.firmware import Failure
from host_tools.errors import InputError
from host_tools.finite import Finite
from host_tools.progress import working
from host_tools.signals.find import find
from host_tools.signals.profile import ON_CHANGE, Profile

EXAMPLES = """\b
Examples:
  pigtail diag --port /dev/ttyUSB0 dtcs
  pigtail diag --device kona --command-key kona.key dtcs
  pigtail diag --device kona --command-key kona.key --ecu battery read F190 0101
  pigtail diag --device kona --command-key kona.key --ecu engine clear
  pigtail diag --device kona --command-key kona.key gate
"""
_DID = re.compile("(?:[0-9A-Fa-f]{2}){1,2}")  # an identifier, or a parameter of OBD's service 01
Rows = list[dict[str, Any]]
Finds = Callable[[Asks, Sequence[Ecu]], Awaitable[Rows]]
Says = Callable[[dict[str, Any]], Iterator[str]]
VERBS: dict[str, tuple[Finds, Says]] = {
    "vin": (answers.vin, lines.vin),
    "dtcs": (answers.dtcs, lines.dtcs),
    "snapshot": (answers.snapshot, lines.snapshot),
    "supported": (answers.supported, lines.supported),
}
AT_ONCE: dict[str, Finds] = {"vin": answers.every_vin, "dtcs": answers.dtcs, "supported": answers.supported}
OTHERS = ("read", "clear", "gate", "allow", "forbid", "unmute")


@click.command("diag", epilog=EXAMPLES)
@commanded_way_options
@click.option("--wait", "wait_s", metavar="SECONDS", type=Finite(0.1, 3600), default=20.0, show_default=True,
              help="How long to wait for each reply.")
@click.option("--ecu", metavar="NAME",
              help="Ask this one alone, or all at once by a functional id's name.  [default: one after the other]")
@click.option("--profile", "named", metavar="PROFILE",
              help="Names the values that read finds: a vehicle's name, a vehicle file or a packed profile.")
@click.option("--yes", is_flag=True, help="Clear without asking back.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.argument("verb", metavar="VERB", type=click.Choice([*VERBS, *OTHERS]))
@click.argument("dids", metavar="[DID]...", nargs=-1)
def command(
    way: Way, wait_s: float, ecu: str | None, named: str | None, yes: bool, as_json: bool, verb: str, dids: tuple[str, ...]
) -> None:  # fmt: skip
    """Ask the car's control units: vin, dtcs, snapshot, supported, read DID..., clear; gate, allow, forbid, unmute.

    By the device's serial port, or over MQTT with --device and --command-key.

    The device asks nothing until its owner allows it (allow; forbid ends it), and its gate lets only reading pass. clear erases
    the trouble codes of one --ecu, and the snapshots with them. read takes identifiers of four hex digits, such as F190, and
    parameters of OBD's service 01 of two, such as 0C. gate shows what was sent; unmute ends a mute. Ends with status
    1 where one of those asked does not answer, or a part of it could not be read.
    """
    what = _what(verb, dids)
    if verb == "clear" and ecu is None:
        raise InputError("clear: say with --ecu whose trouble codes are to be cleared")
    profile = find(named, ON_CHANGE, lambda line: click.echo(line, err=True)) if named else None
    try:
        with carrier(way, wait_s) as (name, send), nullcontext() if verb == "clear" else working(f"waiting for {name}"):
            text, content, is_whole = asyncio.run(_run(Client(name, send), verb, ecu, what, profile, yes))
    except (NoReply, Refused) as error:
        click.echo(f"pigtail: {error}", err=True)
        sys.exit(1)
    click.echo(json.dumps(content) if as_json else "\n".join(text))
    sys.exit(0 if is_whole else 1)


async def _run(
    client: Client, verb: str, name: str | None, what: list[bytes], profile: Profile | None, yes: bool
) -> tuple[list[str], object, bool]:
    """Lines, the same as JSON, and whether all have answered."""
    if verb == "gate":
        told = await client.gate()
        return list(lines.gate(told)), told, True
    if verb in OTHERS[3:]:
        await (client.unmute() if verb == "unmute" else client.allow(verb == "allow"))
        return [f"{verb}: done"], {"done": verb}, True
    if verb in AT_ONCE:
        everyone, ecus = await client.whom(name)
        if everyone:
            rows = await AT_ONCE[verb](AtOnce(client, everyone), ecus)
            is_whole = any("failure" not in row for row in rows) and not _unread(rows)
            return list(lines.told(rows, VERBS[verb][1])), {"ecus": rows}, is_whole
    elif verb != "clear":
        ecus = await client.ecus(name)
    kind: Says
    if verb == "read":
        rows, kind = await answers.read(client, ecus, what, profile), lines.read
    elif verb == "clear":
        rows, kind = await _clear(client, name, yes), lines.dtcs
    else:
        rows, kind = await VERBS[verb][0](client, ecus), VERBS[verb][1]
    return list(lines.told(rows, kind)), {"ecus": rows}, not any("failure" in row for row in rows) and not _unread(rows)


def _unread(rows: Rows) -> bool:
    """Whether there is something that an ECU may have and did not tell."""
    return any(row.get("unread") for row in rows)


async def _clear(client: Client, name: str | None, yes: bool) -> Rows:
    """What the ECU has once its codes are cleared. What it has before is shown first."""
    waiting = f"waiting for {client.device}"
    with working(waiting):
        ecu = (await client.ecus(name))[0]
        before = await answers.dtcs(client, [ecu])
    click.echo("\n".join(lines.told(before, lines.dtcs)), err=True)
    if "failure" in before[0]:
        return before
    if before[0]["by"] not in trouble.CLEARS:
        raise Refused(f"{ecu.name} told its codes by KWP 2000, and pigtail does not clear them by that")
    if not yes:
        click.echo("Clearing erases them with their snapshots, and resets the car's readiness for emission tests.", err=True)
        if click.prompt(f"Type {ecu.name} to clear them", default="", show_default=False, err=True) != ecu.name:
            raise Refused("nothing was cleared")
    with working(waiting):
        try:
            await client.clear(ecu, trouble.CLEARS[before[0]["by"]])
        except Failure as failure:
            raise Refused(f"{ecu.name} did not clear them: {descriptions.failure(failure.code, failure.nrc)}") from failure
        return await answers.dtcs(client, [ecu])


def _what(verb: str, texts: Sequence[str]) -> list[bytes]:
    if (verb == "read") != bool(texts):
        raise InputError("read takes identifiers of four hex digits, such as F190, or two, such as 0C; the other verbs take none")
    for text in texts:
        if not _DID.fullmatch(text):
            raise InputError(f"read: {text!r} is no identifier: give four hex digits, such as F190, or two, such as 0C")
    return [bytes.fromhex(text) for text in texts]
