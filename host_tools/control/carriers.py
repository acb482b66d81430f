"""How commands come to a device: signed over MQTT, or as they are by its serial port, which whoever asks holds in hand."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from host_tools.broker_options import LOCAL, Way
from host_tools.control.message import read_key
from host_tools.control.send import send
from host_tools.device import only
from host_tools.device.asking import Asking
from host_tools.errors import InputError
from host_tools.reader import Reply, connection
from host_tools.reader.inbox import Inbox

Send = Callable[[str, Mapping[str, object]], Coroutine[Any, Any, Reply]]  # raises NoReply, BrokerError, InputError


@contextmanager
def carrier(way: Way, wait_s: float) -> Iterator[tuple[str, Send]]:
    """What the device is called and how it is reached, by a cable where nothing names MQTT. Raises InputError."""
    if way.device is not None and way.secret is not None:
        yield way.device, _over_mqtt(way, way.device, way.secret, wait_s)
    elif way.is_mqtt:
        raise InputError("over MQTT a device takes commands of whoever has its key: give --device and --command-key; or --port")
    else:
        with Asking(only(way.port)) as at_port:

            async def by_cable(command: str, arguments: Mapping[str, object]) -> Reply:
                return at_port.ask(command, arguments, wait_s)

            yield at_port.port, by_cable


def _over_mqtt(way: Way, device: str, secret: Path, wait_s: float) -> Send:
    address, key = connection.parse(way.broker or LOCAL, way.trust), read_key(secret)
    Inbox(device)  # refuses a name that cannot be a device

    async def by_broker(command: str, arguments: Mapping[str, object]) -> Reply:
        return await send(address, device, key, command, arguments, wait_s)

    return by_broker
