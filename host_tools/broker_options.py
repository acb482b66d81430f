"""The options of all verbs that speak to a broker."""

from collections.abc import Callable
from pathlib import Path

import click

_A_FILE = click.Path(path_type=Path)
_BROKER = click.option("--broker", metavar="URL", default="mqtt://127.0.0.1:1883", show_default=True)
_TRUST = (
    click.option("--ca", metavar="FILE", type=_A_FILE,
                 help="The CA of a broker at mqtts://.  [default: those this machine trusts]"),
    click.option("--cert", metavar="FILE", type=_A_FILE, help="Our own certificate, where the broker asks for one."),
    click.option("--key", metavar="FILE", type=_A_FILE, help="Its key."),
)  # fmt: skip
_COMMANDED = (
    click.option("--device", metavar="ID", required=True),
    click.option("--command-key", "secret", metavar="FILE", required=True, type=_A_FILE,
                 help="Holds the device's command.key: 64 hex digits."),
)  # fmt: skip

_Function = Callable[..., None]


def trust(function: _Function) -> _Function:
    """Adds --ca, --cert and --key."""
    for option in reversed(_TRUST):
        function = option(function)
    return function


def commanded(function: _Function) -> _Function:
    """Adds --broker, --device and --command-key: what it takes to command a device."""
    for option in reversed((_BROKER, *_COMMANDED)):
        function = option(function)
    return function
