"""The options of all verbs that speak to a broker, or to a device at a serial port."""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from host_tools.errors import InputError
from host_tools.finite import Finite
from host_tools.reader import Listener, Trust, listen

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
_KEY_HELP = "Holds the device's command.key: 64 hex digits."
_COMMANDED = (
    click.option("--device", metavar="ID", required=True),
    click.option("--command-key", "secret", metavar="FILE", required=True, type=_A_FILE, help=_KEY_HELP),
)
_COMMANDED_WAY = (
    click.option("--port", metavar="PORT", help="The device's serial port.  [default: the only one with a board]"),
    click.option("--broker", metavar="URL", help=f"Over MQTT.  [default with --device: {LOCAL}]"),
    click.option("--device", metavar="ID", help="Over MQTT: this one."),
    click.option("--command-key", "secret", metavar="FILE", type=_A_FILE, help=f"Over MQTT. {_KEY_HELP}"),
)

_Function = Callable[..., None]
seconds_option = click.option("--for", "seconds", metavar="SECONDS", type=Finite(0.1), default=math.inf,
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


@dataclass(frozen=True)
class Way:
    """By a cable or over MQTT, as the options say: never both."""

    port: str | None
    broker: str | None
    device: str | None
    trust: Trust
    secret: Path | None = None  # of the device's key

    @property
    def is_mqtt(self) -> bool:
        """Whether the options speak of a broker."""
        return self.broker is not None or self.device is not None or self.secret is not None

    def listener(self) -> Listener:
        """What the broker has, again and again."""
        return listen(self.broker or LOCAL, self.device, reconnect=True, trust=self.trust)


def way_options(function: _Function) -> _Function:
    """Adds --port, --broker, --device and those of `trust`; they come as `way`. Raises InputError where both are named."""
    return _with_way(function, _WAY)


def commanded_way_options(function: _Function) -> _Function:
    """As `way_options`, with --command-key: what it takes to command a device."""
    return _with_way(function, _COMMANDED_WAY)


def _with_way(function: _Function, options: Sequence[Callable[[_Function], _Function]]) -> _Function:
    @functools.wraps(function)
    def told(
        port: str | None, broker: str | None, device: str | None, ca: Path | None, cert: Path | None, key: Path | None,
        secret: Path | None = None, **more: object,
    ) -> None:  # fmt: skip
        found = Way(port, broker, device, Trust(ca, cert, key), secret)
        if port is not None and found.is_mqtt:
            raise InputError("--port is a cable, --broker and --device are MQTT: name one of the two")
        function(way=found, **more)

    given: _Function = trust(told)
    for option in reversed(options):
        given = option(given)
    return given
