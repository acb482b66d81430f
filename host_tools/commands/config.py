"""`pigtail config`: what a device is told about its network, its broker and its car."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from host_tools.config import draft, firmware, places, secrets, text, usable
from host_tools.config.draft import Config
from host_tools.config.keys import KEYS, of
from host_tools.config_changes import change, write, write_far
from host_tools.config_options import FILE, PORT, REMOTE, Far, Where, opened, where_options
from host_tools.errors import InputError
from host_tools.reader.lines import printable

EXAMPLES = """\b
Examples:
  pigtail config show
  pigtail config set --port /dev/ttyUSB0 wifi.ssid=home wifi.password=-
  pigtail config edit --file kona.json
  pigtail config push kona.json --dry-run
  pigtail config show --device kona --broker mqtts://broker.example --command-key kona.key
  pigtail config set --device kona --broker mqtts://broker.example --command-key kona.key batch_ms=5000
"""
_A_FILE = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
dry_option = click.option("--dry-run", is_flag=True, help="Show the difference, and change nothing.")
secrets_option = click.option("--secrets", "with_secrets", is_flag=True, help="Write passwords and keys into FILE, too.")


def _keys(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For a shell."""
    return [CompletionItem(name, help=key.text) for name, key in KEYS.items() if name.startswith(incomplete)]


@click.command("config", cls=click.Group, epilog=EXAMPLES)
def command() -> None:
    """Show and change a device's configuration, at a serial port, in a draft file or over MQTT.

    Passwords and keys are shown as `set` or `not set`. A value that the device would not take is refused before anything is
    written. docs/configuration.md has all keys.
    """


@command.command("show", epilog="\b\nExample:\n  pigtail config show --port /dev/ttyUSB0\n")
@where_options(FILE, PORT, *REMOTE)
@json_option
def show(where: Where, as_json: bool) -> None:
    """Show every key with its value; what was set stands out by a *."""
    with opened(where):
        config = _read(where)
        trouble = getattr(where, "trouble", None)
    values = {name: config.get(name, key.default) for name, key in KEYS.items()}
    if as_json:
        click.echo(json.dumps({name: firmware.shown(name, value) for name, value in values.items()}))
    else:
        for name, value in values.items():
            click.echo(printable(f"{'*' if name in config else ' '} {name:<27} {_said(name, value)} {KEYS[name].unit}".rstrip()))
    if trouble:
        click.echo(f"{where.name}: {trouble}; this is what is in force", err=True)
        sys.exit(1)


@command.command("get", epilog="\b\nExample:\n  pigtail config get --file kona.json mqtt.host\n")
@where_options(FILE, PORT, *REMOTE)
@json_option
@click.argument("names", metavar="KEY", nargs=-1, shell_complete=_keys)
def get(where: Where, as_json: bool, names: tuple[str, ...]) -> None:
    """Print one value."""
    if len(names) != 1:
        raise InputError("get: give one KEY")
    (name,) = names
    known = of(name)
    with opened(where):
        value = _read(where).get(name, known.default)
    click.echo(json.dumps(firmware.shown(name, value)) if as_json else printable(_said(name, value)))


class _Set(click.Command):
    """Does not repeat an unknown option that may be a piece of a password."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption:
            draft.check_split(words)
            raise


@command.command("set", cls=_Set, epilog="\b\nExample:\n  pigtail config set wifi.ssid=home wifi.password=-\n")
@where_options(FILE, PORT, *REMOTE)
@dry_option
@json_option
@click.argument("pairs", metavar="KEY=VALUE...", nargs=-1, required=True)
def set_(where: Where, dry_run: bool, as_json: bool, pairs: tuple[str, ...]) -> None:
    """Set keys; a value is a text, a number or JSON. `-` asks for a password, which then stands in no history.

    Over MQTT the device restarts with them, and goes back to the old ones by itself where it does not reach its broker in five
    minutes. Ends with status 1 where it did.
    """
    change(where, draft.values([_asked(pair) for pair in pairs]), dry_run, as_json)


@command.command("reset", epilog="\b\nExample:\n  pigtail config reset --file kona.json mqtt.port\n")
@where_options(FILE, PORT, *REMOTE)
@dry_option
@json_option
@click.option("--all", "is_all", is_flag=True, help="All keys, passwords and the device's id too.")
@click.argument("keys", metavar="KEY...", nargs=-1, shell_complete=_keys)
def reset(where: Where, dry_run: bool, as_json: bool, is_all: bool, keys: tuple[str, ...]) -> None:
    """Put keys back to their defaults."""
    if bool(keys) == is_all:
        raise InputError("reset: give the keys, or --all")
    if is_all and isinstance(where, Far):
        raise InputError("reset --all: not over MQTT, or nobody would find the device again: give --port")
    for name in keys:
        if of(name).name in draft.COUNTED:
            raise InputError(f"{name}: is counted by pigtail and the device, and set by nobody")
    change(where, dict.fromkeys(keys or (name for name in KEYS if name not in draft.COUNTED)), dry_run, as_json)


@command.command("edit", epilog="\b\nExample:\n  pigtail config edit --file kona.json\n")
@where_options(FILE, PORT, *REMOTE)
@dry_option
@click.option("--yes", is_flag=True, help="Write without asking back.")
def edit(where: Where, dry_run: bool, yes: bool) -> None:
    """Open the configuration in $EDITOR, every key with what it is for; check it; write it.

    Over MQTT the device tries what was changed, as with `set`.
    """
    with opened(where):
        before = where.read()
        said = "\n".join(text.lines(before)) + "\n"
        while True:
            try:
                given = click.edit(said, extension=".toml", require_save=False)
            except UnicodeDecodeError:
                raise InputError("the text is not UTF-8, nothing is changed: set the editor to UTF-8") from None
            said = given if given is not None else said
            try:
                after = secrets.restored(draft.parse_toml(said, "the text"), before)
                kept = {name: before[name] for name in draft.COUNTED if name in before}
                after = draft.changed(after, kept)
                usable.check_changes(before, after)
                break
            except InputError as error:
                if yes or not click.confirm(f"{error}\nEdit again?", default=True, err=True):
                    raise
        if isinstance(where, Far):
            write_far(where, before, after, dry_run, asks=not yes)
        else:
            write(where, before, after, dry_run, asks=not yes)


@command.command("push", epilog="\b\nExample:\n  pigtail config push kona.json --port /dev/ttyUSB0\n")
@where_options(PORT, *REMOTE)
@dry_option
@json_option
@click.argument("source", metavar="FILE", type=_A_FILE)
def push(where: places.OnDevice | Far, dry_run: bool, as_json: bool, source: Path) -> None:
    """Make a draft the device's configuration, and say whether it is in force."""
    if not source.exists():
        raise InputError(f"{source}: there is no such file")
    given = places.LocalFile(source).read()
    with opened(where):
        before = where.read()
        after = secrets.restored(given, before)
        usable.check_changes(before, after)
        if isinstance(where, Far):
            write_far(where, before, after, dry_run, as_json)
        else:
            write(where, before, after, dry_run, as_json)


@command.command("pull", epilog="\b\nExample:\n  pigtail config pull kona.json\n")
@where_options(PORT, *REMOTE)
@secrets_option
@json_option
@click.argument("target", metavar="FILE", type=_A_FILE)
def pull(where: places.OnDevice | Far, with_secrets: bool, as_json: bool, target: Path) -> None:
    """Write the device's configuration to a draft that only you can read.

    Without --secrets a mark stands for each password and key; pushed back to the same device, it keeps its own.
    """
    if with_secrets and isinstance(where, Far):
        raise InputError("--secrets: no device tells them over MQTT: give --port")
    with opened(where):
        config = where.read()
    places.private(target, draft.content(config if with_secrets else secrets.masked(config)))
    if as_json:
        click.echo(json.dumps({"place": where.name, "file": str(target), "keys": len(config), "secrets": with_secrets}))
        return
    kept = "" if with_secrets or not secrets.are_in(config) else f"; {secrets.KEPT} stands for passwords and keys (--secrets)"
    click.echo(printable(f"{where.name} -> {target}: {len(config)} keys{kept}"))


def _read(where: Where) -> Config:
    """What is there; a draft that there is not is said to be none, or its defaults would seem to be somebody's."""
    if isinstance(where, places.LocalFile) and not where.path.exists():
        click.echo(f"{where.name}: there is no such file; this is what holds for a device that nothing was set on", err=True)
    return where.read()


def _said(name: str, value: Any) -> str:
    shown = firmware.shown(name, value)
    return shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)


def _asked(pair: str) -> str:
    """KEY=VALUE, where a secret's value `-` is asked for."""
    name, _, value = pair.partition("=")
    if value != "-" or name not in KEYS or not KEYS[name].is_secret:
        return pair
    return f"{name}={click.prompt(name, hide_input=True, default='', show_default=False, err=True)}"
