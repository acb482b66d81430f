"""Where a broker is, and a connection to it: all reading of broker URLs, all wording of connection errors."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiomqtt

from host_tools.errors import BrokerError, InputError

DEFAULT_PORT = 1883
EXAMPLE = "mqtt://[user:password@]host[:port]"
_log = logging.getLogger("host_tools.reader.mqtt")
_log.addHandler(logging.NullHandler())  # whoever wants paho's own log gives this logger a handler


@dataclass(frozen=True)
class Address:
    """A broker's place and the account to use there. Its text leaves the password out."""

    host: str
    port: int = DEFAULT_PORT
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


def parse(url: str) -> Address:
    """The address in a URL `mqtt://[user:password@]host[:port]`. Raises InputError for any other text."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError as error:
        raise InputError(f"broker URL has no usable host or port ({error}); write {EXAMPLE}") from error
    if parts.scheme != "mqtt":
        raise InputError(f"broker URL does not begin with mqtt://; write {EXAMPLE}")
    if not host or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"broker URL must name a host and have nothing after it but a port; write {EXAMPLE}")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return Address(host, DEFAULT_PORT if port is None else port, user, password)


@asynccontextmanager
async def connect(address: Address, timeout: float = 5) -> AsyncIterator[aiomqtt.Client]:
    """An MQTT 3.1.1 connection with a clean session; the broker has `timeout` seconds for each answer.

    Raises BrokerError when the broker cannot be reached or refuses, and when the connection breaks later.
    """
    connected = False
    try:
        async with aiomqtt.Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=f"pigtail-{secrets.token_hex(6)}",
            timeout=timeout,
            keepalive=30,
            logger=_log,
        ) as client:
            connected = True
            yield client
    except aiomqtt.MqttError as error:
        reason = " ".join(str(error).split())
        if connected:
            raise BrokerError(f"the connection to the broker {address} broke: {reason}") from error
        raise BrokerError(
            f"no connection to a broker at {address}: {reason}; start one there or name another with --broker"
        ) from error
