"""Where a broker is, and a connection to it: all reading of broker URLs, all wording of connection errors."""

import logging
import secrets
from dataclasses import dataclass, field
from types import TracebackType
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


class Connection:
    """An MQTT 3.1.1 connection with a clean session: `async with Connection(address) as client`, an aiomqtt.Client.

    The broker has `timeout` seconds for each answer. Raises BrokerError when the broker cannot be reached or
    refuses, and when the connection breaks inside the block.
    """

    def __init__(self, address: Address, timeout: float = 5) -> None:
        self._address = address
        self._timeout = timeout

    async def __aenter__(self) -> aiomqtt.Client:
        self._client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.user,
            password=self._address.password,
            identifier=f"pigtail-{secrets.token_hex(6)}",
            timeout=self._timeout,
            keepalive=30,
            logger=_log,
        )
        try:
            return await self._client.__aenter__()
        except BaseException as error:
            self._client._client.disconnect()  # aiomqtt leaves the socket open when it is not connected in the end
            if isinstance(error, aiomqtt.MqttError):
                raise BrokerError(
                    f"no connection to a broker at {self._address}: {_one_line(error)}; "
                    "start one there or name another with --broker"
                ) from error
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._client.__aexit__(kind, error, trace)
            if isinstance(error, aiomqtt.MqttError):
                raise error
        except aiomqtt.MqttError as broken:
            raise BrokerError(f"the connection to the broker {self._address} broke: {_one_line(broken)}") from broken


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
