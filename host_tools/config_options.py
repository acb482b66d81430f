"""The options that say where a configuration lies: in a draft, on a device at a serial port, on a device over MQTT."""

import asyncio
import functools
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click

from host_tools.broker_options import LOCAL, trust
from host_tools.config import places, remote
from host_tools.config.draft import Config
from host_tools.control import Key, NoReply, read_key
from host_tools.errors import InputError, PigtailError
from host_tools.progress import working
from host_tools.reader import Trust, connection
from host_tools.reader.connection import Address
from host_tools.reader.inbox import Inbox
from host_tools.reader.lines import printable

_A_FILE = click.Path(path_type=Path)
FILE = click.option("--file", "file", metavar="FILE", type=_A_FILE, help="A draft on this machine.")
PORT = click.option("--port", metavar="PORT", help="A device's serial port.  [default: the only one with a board]")
REMOTE = (
    click.option("--device", metavar="ID", help="A device that is on the road, over MQTT."),
    click.option("--broker", metavar="URL", default=LOCAL, show_default=True),
    click.option("--command-key", "secret", metavar="FILE", type=_A_FILE, help="Holds the device's command.key."),
    trust,
)

_Function = Callable[..., None]


@dataclass(frozen=True)
class Far:
    """A device over MQTT, as the options name it."""

    name: str
    broker: str
    secret: Path | None
    trust: Trust

    def reach(self) -> tuple[Address, Key]:
        """Its broker, and what commands are signed with. Raises InputError."""
        Inbox(self.name)  # refuses a name that cannot be a device
        if self.secret is None:
            raise InputError("--device: give --command-key FILE, which holds the device's command.key")
        return connection.parse(self.broker, self.trust), read_key(self.secret)

    def read(self) -> Config:
        """What is in force, without secrets. Raises InputError; ends with status 1 where the device does not tell."""
        address, key = self.reach()
        try:
            with working(f"waiting for {self.name}"):
                return asyncio.run(remote.read(address, self.name, key))
        except (NoReply, remote.NotTold) as error:
            failed(error)


Where = places.LocalFile | places.OnDevice | Far


def where_options(*options: Callable[[_Function], _Function]) -> Callable[[_Function], _Function]:
    """Adds them; what they name comes as `where`. Raises InputError where they name two."""

    def add(function: _Function) -> _Function:
        @functools.wraps(function)
        def named(
            file: Path | None = None, port: str | None = None, device: str | None = None, broker: str = LOCAL,
            secret: Path | None = None, ca: Path | None = None, cert: Path | None = None, key: Path | None = None, **more: object,
        ) -> None:  # fmt: skip
            if (file is not None) + (port is not None) + (device is not None) > 1:
                raise InputError("give one of --file, --port and --device")
            far = Far(device, broker, secret, Trust(ca, cert, key)) if device is not None else None
            function(where=far or (places.LocalFile(file) if file is not None else places.OnDevice(port)), **more)

        told: _Function = named
        for option in reversed(options):
            told = option(told)
        return told

    return add


def opened(where: Where) -> AbstractContextManager[object]:
    """In which it can be read and written."""
    return where if isinstance(where, places.OnDevice) else nullcontext()


def failed(error: PigtailError) -> NoReturn:
    """What a device answers, or does not, is status 1."""
    click.echo(printable(f"pigtail: {error}"), err=True)
    sys.exit(1)
