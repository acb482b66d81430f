"""Changes of a configuration: shown, done where it lies, and what came of it, as lines or as JSON."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from host_tools.config import draft, firmware, places, remote
from host_tools.config.draft import Config
from host_tools.config.keys import KEYS
from host_tools.config_options import Far, Where, failed, opened
from host_tools.control import NoReply
from host_tools.progress import working
from host_tools.reader.lines import printable


def change(where: Where, changes: Config, dry_run: bool, as_json: bool) -> None:
    """Sets these keys, those with None back to their defaults. Ends with status 1 where the device is against it."""
    if isinstance(where, Far):
        change_far(where, changes, dry_run, as_json)
        return
    with opened(where):
        before = where.read()
        write(where, before, draft.changed(before, changes), dry_run, as_json)


def write(
    place: places.Place, before: Config, after: Config, dry_run: bool, as_json: bool = False, asks: bool = False
) -> None:
    """Puts `after` there; `asks` whether it shall. Ends with status 1 where the device says something against it."""
    rows = draft.difference(before, after)
    if not as_json:
        _show(lines(rows))
    done = bool(rows) and not dry_run and (not asks or click.confirm(f"Write this to {place.name}?", err=True))
    trouble = place.write(draft.counted(after, before)) if done else None
    if as_json:
        _tell(place.name, rows, done, trouble)
    elif done:
        click.echo(printable(f"{place.name}: written" + (f", but: {trouble}" if trouble else "")))
    if done:
        sys.exit(1 if trouble else 0)


def write_far(far: Far, before: Config, after: Config, dry_run: bool, as_json: bool = False, asks: bool = False) -> None:
    """As `write`, over MQTT: of the keys, those that are to be others."""
    keys = [name for name in KEYS if name not in draft.COUNTED and before.get(name) != after.get(name)]
    change_far(far, {name: after.get(name) for name in keys}, dry_run, as_json, before, asks)


def change_far(far: Far, changes: Config, dry_run: bool, as_json: bool, before: Config | None = None, asks: bool = False) -> None:
    """Sets these keys over MQTT; `before` is what it tells of itself, where that was asked: what would be done is compared
    with that. Ends with status 1 where the device went back to what it had."""
    address, key = far.reach()
    remote.check(changes, address)
    if before is None and dry_run:
        before = far.read()
    if before is not None:
        rows = draft.difference(before, draft.changed(before, changes))
    else:
        rows = [{"key": name, "after": None if value is None else firmware.shown(name, value)} for name, value in changes.items()]
    if not as_json:
        _show(lines(rows))
    if dry_run or not rows or (asks and not click.confirm(f"Try this on {far.name}?", err=True)):
        if as_json:
            _tell(far.name, rows, False, None)
        return
    click.echo("waiting until the device is back with it, or without it; up to seven minutes", err=True)
    try:
        with working(f"waiting for {far.name}"):
            version = asyncio.run(remote.change(address, far.name, key, changes))
    except (NoReply, remote.NotKept) as error:
        if as_json:
            _tell(far.name, rows, False, str(error))
        failed(error)
    if as_json:
        _tell(far.name, rows, True, None, version)
    else:
        click.echo(f"{far.name}: configuration {version} is in force")


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What `draft.difference` found, for people; where nobody knows what was there, what is to be."""
    old = [f"{_word(row['before'])} -> " if "before" in row else "" for row in rows]
    return [f"{row['key']}: {before}{_word(row['after'])}" for row, before in zip(rows, old, strict=True)]


def _show(lines: Sequence[str]) -> None:
    for line in lines or ["nothing changes"]:
        click.echo(printable(line))


def _tell(place: str, rows: Sequence[Any], done: bool, trouble: str | None, version: int | None = None) -> None:
    """The same for a script; a device over MQTT tells the version that is in force."""
    told = {"place": place, "changes": rows, "written": done, "trouble": trouble}
    click.echo(json.dumps(told | ({"version": version} if version is not None else {})))


def _word(shown: Any) -> str:
    return "default" if shown is None else shown if isinstance(shown, str) and shown else json.dumps(shown, ensure_ascii=False)
