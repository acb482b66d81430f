"""The options of all verbs that speak to a broker."""

import math
from collections.abc import Callable
from pathlib import Path

import click

from host_tools.errors import InputError

LOCAL = "mqtt://127.0.0.1:1883"
_A_FILE = click.Path(path_type=Path)
_BROKER = click.option("--broker", metavar="URL", default=LOCAL, show_default=True)
_WAY = (
    click.option("--port", metavar="PORT", help="The device's serial port."),
    click.option("--broker", metavar="URL", help=f"Over MQTT.  [default with --device: {LOCAL}]"),
    click.option("--device", metavar="ID", help="Only this device.  [default: all at the broker]"),
)
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
seconds_option = click.option("--for", "seconds", metavar="SECONDS", type=click.FloatRange(0.1), default=math.inf,
                              help="End after this.  [default: with Ctrl-C]")  # fmt: skip


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


def way(function: _Function) -> _Function:
    """Adds --port, --broker and --device: by a cable or over MQTT."""
    for option in reversed(_WAY):
        function = option(function)
    return function


def one_way(port: str | None, broker: str | None, device: str | None) -> None:
    """Raises InputError where both are named."""
    if port is not None and (broker is not None or device is not None):
        raise InputError("--port is a cable, --broker and --device are MQTT: name one of the two")
