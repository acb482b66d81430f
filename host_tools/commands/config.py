"""`pigtail config`: what a device is told about its network, its broker and its car."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from host_tools.broker_options import trust
from host_tools.config import draft, places, remote, secrets, text
from host_tools.config.draft import Config
from host_tools.config.keys import KEYS, of
from host_tools.control import NoReply, read_key
from host_tools.errors import InputError
from host_tools.reader import Trust, connection
from host_tools.reader.inbox import Inbox
from host_tools.reader.lines import printable

EXAMPLES = """\b
Examples:
  pigtail config show
  pigtail config set --port /dev/ttyUSB0 wifi.ssid=home wifi.password=-
  pigtail config edit --file kona.json
  pigtail config push kona.json --dry-run
  pigtail config set --device kona --broker mqtts://broker.example --command-key kona.key batch_ms=5000
"""
_A_FILE = click.Path(path_type=Path)
_WHERE = (
    click.option("--file", "file", metavar="FILE", type=_A_FILE, help="A draft on this machine."),
    click.option("--port", metavar="PORT", help="A device's serial port.  [default: the only one with a board]"),
)  # fmt: skip
_REMOTE = (
    click.option("--device", metavar="ID", help="A device that is on the road, over MQTT."),
    click.option("--broker", metavar="URL", default="mqtt://127.0.0.1:1883", show_default=True),
    click.option("--command-key", "secret", metavar="FILE", type=_A_FILE, help="Holds the device's command.key."),
    trust,
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
dry_option = click.option("--dry-run", is_flag=True, help="Show the difference, and change nothing.")
secrets_option = click.option("--secrets", "with_secrets", is_flag=True, help="Write passwords and keys into FILE, too.")

_Function = Callable[..., None]


def _options(*options: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    def add(function: _Function) -> _Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


@dataclass(frozen=True)
class Far:
    """A device over MQTT, as the options name it."""

    device: str
    broker: str
    secret: Path | None
    trust: Trust


@click.command("config", cls=click.Group, epilog=EXAMPLES)
def command() -> None:
    """Show and change a device's configuration, at a serial port, in a draft file or over MQTT.

    Passwords and keys are shown as `set` or `not set`. A value that the device would not take is refused before anything is
    written. docs/configuration.md has all keys.
    """


@command.command("show", epilog="\b\nExample:\n  pigtail config show --port /dev/ttyUSB0\n")
@_options(*_WHERE)
@json_option
def show(file: Path | None, port: str | None, as_json: bool) -> None:
    """Show every key with its value; what was set stands out by a *."""
    with _place(file, port) as place:
        config = place.read()
        trouble = getattr(place, "trouble", None)
    values = {name: config.get(name, key.default) for name, key in KEYS.items()}
    if as_json:
        click.echo(json.dumps({name: secrets.shown(name, value) for name, value in values.items()}))
    else:
        for name, value in values.items():
            click.echo(printable(f"{'*' if name in config else ' '} {name:<27} {_said(name, value)} {KEYS[name].unit}".rstrip()))
    if trouble:
        click.echo(f"{place.name}: {trouble}; this is what is in force", err=True)
        sys.exit(1)


@command.command("get", epilog="\b\nExample:\n  pigtail config get --file kona.json mqtt.host\n")
@_options(*_WHERE)
@json_option
@click.argument("key")
def get(file: Path | None, port: str | None, as_json: bool, key: str) -> None:
    """Print one value."""
    known = of(key)
    with _place(file, port) as place:
        value = place.read().get(key, known.default)
    click.echo(json.dumps(secrets.shown(key, value)) if as_json else printable(_said(key, value)))


@command.command("set", epilog="\b\nExample:\n  pigtail config set wifi.ssid=home wifi.password=-\n")
@_options(*_WHERE, *_REMOTE)
@dry_option
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_(
    file: Path | None, port: str | None, device: str | None, broker: str, secret: Path | None, ca: Path | None, cert: Path | None,
    key: Path | None, dry_run: bool, pairs: tuple[str, ...],
) -> None:  # fmt: skip
    """Set keys; a value is a text, a number or JSON. `-` asks for a password, which then stands in no history.

    Over MQTT the device restarts with them, and goes back to the old ones by itself where it does not reach its broker in five
    minutes. Ends with status 1 where it did.
    """
    changes = dict(draft.value(_asked(pair)) for pair in pairs)
    far = Far(device, broker, secret, Trust(ca, cert, key)) if device is not None else None
    _change(_where(file, port, far), changes, dry_run)


@command.command("reset", epilog="\b\nExample:\n  pigtail config reset --file kona.json mqtt.port\n")
@_options(*_WHERE, *_REMOTE)
@dry_option
@click.option("--all", "is_all", is_flag=True, help="All keys, passwords and the device's id too.")
@click.argument("keys", metavar="KEY...", nargs=-1)
def reset(
    file: Path | None, port: str | None, device: str | None, broker: str, secret: Path | None, ca: Path | None, cert: Path | None,
    key: Path | None, dry_run: bool, is_all: bool, keys: tuple[str, ...],
) -> None:  # fmt: skip
    """Put keys back to their defaults."""
    if bool(keys) == is_all:
        raise InputError("reset: give the keys, or --all")
    if is_all and device is not None:
        raise InputError("reset --all: not over MQTT, or nobody would find the device again: give --port")
    for name in keys:
        if of(name).name in draft.COUNTED:
            raise InputError(f"{name}: is counted by pigtail and the device, and set by nobody")
    far = Far(device, broker, secret, Trust(ca, cert, key)) if device is not None else None
    _change(_where(file, port, far), dict.fromkeys(keys or (name for name in KEYS if name not in draft.COUNTED)), dry_run)


@command.command("edit", epilog="\b\nExample:\n  pigtail config edit --file kona.json\n")
@_options(*_WHERE)
@dry_option
@click.option("--yes", is_flag=True, help="Write without asking back.")
def edit(file: Path | None, port: str | None, dry_run: bool, yes: bool) -> None:
    """Open the configuration in $EDITOR, every key with what it is for; check it; write it."""
    with _place(file, port) as place:
        before = place.read()
        said = "\n".join(text.lines(before)) + "\n"
        while True:
            given = click.edit(said, extension=".toml", require_save=False)
            said = given if given is not None else said
            try:
                after = secrets.restored(draft.parse_toml(said, "the text"), before)
                kept = {name: before[name] for name in draft.COUNTED if name in before}
                after = draft.changed(after, kept)
                break
            except InputError as error:
                if yes or not click.confirm(f"{error}\nEdit again?", default=True, err=True):
                    raise
        _write(place, before, after, dry_run, asks=not yes)


@command.command("push", epilog="\b\nExample:\n  pigtail config push kona.json --port /dev/ttyUSB0\n")
@_options(_WHERE[1])
@dry_option
@click.argument("source", metavar="FILE", type=_A_FILE)
def push(port: str | None, dry_run: bool, source: Path) -> None:
    """Make a draft the device's configuration, and say whether it is in force."""
    if not source.exists():
        raise InputError(f"{source}: there is no such file")
    given = places.LocalFile(source).read()
    with _place(None, port) as place:
        before = place.read()
        _write(place, before, secrets.restored(given, before), dry_run)


@command.command("pull", epilog="\b\nExample:\n  pigtail config pull kona.json\n")
@_options(_WHERE[1])
@secrets_option
@click.argument("target", metavar="FILE", type=_A_FILE)
def pull(port: str | None, with_secrets: bool, target: Path) -> None:
    """Write the device's configuration to a draft that only you can read.

    Without --secrets a mark stands for each password and key; pushed back to the same device, it keeps its own.
    """
    with _place(None, port) as place:
        config = place.read()
    places.private(target, draft.content(config if with_secrets else secrets.masked(config)))
    kept = "" if with_secrets or not secrets.are_in(config) else f"; {secrets.KEPT} stands for passwords and keys (--secrets)"
    click.echo(f"{place.name} -> {target}: {len(config)} keys{kept}")


def _said(name: str, value: Any) -> str:
    shown = secrets.shown(name, value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _asked(pair: str) -> str:
    """KEY=VALUE, where a secret's value `-` is asked for."""
    name, _, value = pair.partition("=")
    if value != "-" or name not in KEYS or not KEYS[name].is_secret:
        return pair
    return f"{name}={click.prompt(name, hide_input=True, default='', show_default=False, err=True)}"


@contextlib.contextmanager
def _place(file: Path | None, port: str | None) -> Iterator[places.Place]:
    where = _where(file, port, None)
    if isinstance(where, places.OnDevice):
        with where:
            yield where
    elif isinstance(where, places.LocalFile):
        yield where


def _where(file: Path | None, port: str | None, far: Far | None) -> places.LocalFile | places.OnDevice | Far:
    if (file is not None) + (port is not None) + (far is not None) > 1:
        raise InputError("give one of --file, --port and --device")
    return far or (places.LocalFile(file) if file is not None else places.OnDevice(port))


def _change(where: places.LocalFile | places.OnDevice | Far, changes: Config, dry_run: bool) -> None:
    if isinstance(where, Far):
        return _change_far(where, changes, dry_run)
    with where if isinstance(where, places.OnDevice) else contextlib.nullcontext():
        before = where.read()
        return _write(where, before, draft.changed(before, changes), dry_run)


def _write(place: places.Place, before: Config, after: Config, dry_run: bool, asks: bool = False) -> None:
    rows = draft.difference(before, after)
    for row in rows:
        click.echo(printable(f"{row['key']}: {_word(row['before'])} -> {_word(row['after'])}"))
    if not rows:
        click.echo("nothing changes")
    if not rows or dry_run or (asks and not click.confirm(f"Write this to {place.name}?", err=True)):
        return
    trouble = place.write(draft.counted(after, before))
    click.echo(f"{place.name}: written" + (f", but: {trouble}" if trouble else ""))
    sys.exit(1 if trouble else 0)


def _word(shown: Any) -> str:
    return "default" if shown is None else shown if isinstance(shown, str) and shown else json.dumps(shown, ensure_ascii=False)


def _change_far(far: Far, changes: Config, dry_run: bool) -> None:
    Inbox(far.device)  # refuses a name that cannot be a device
    if far.secret is None:
        raise InputError("--device: give --command-key FILE, which holds the device's command.key")
    address, key = connection.parse(far.broker, far.trust), read_key(far.secret)
    remote.check(changes, address)
    for name, value in changes.items():
        click.echo(printable(f"{name}: {_word(None if value is None else secrets.shown(name, value))}"))
    if dry_run:
        return
    click.echo("waiting until the device is back with it, or without it; up to seven minutes", err=True)
    try:
        version = asyncio.run(remote.change(address, far.device, key, changes))
    except (NoReply, remote.NotKept) as error:
        click.echo(f"pigtail: {error}", err=True)
        sys.exit(1)
    click.echo(f"{far.device}: configuration {version} is in force")
