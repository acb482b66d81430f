"""Where a broker is, and a connection to it: all reading of broker URLs, all wording of connection errors."""

import logging
import re
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote, urlsplit

import aiomqtt

from host_tools.errors import BrokerError, InputError

PORTS = {"mqtt": 1883, "mqtts": 8883}
EXAMPLE = "mqtt://[user:password@]host[:port], or mqtts:// for TLS"
_MARKS = "; in a password / ? # [ ] are %2F %3F %23 %5B %5D"
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_DISTRUST = re.compile(r"certificate verify failed: (.*?) \(_ssl")
_log = logging.getLogger("host_tools.reader.mqtt")
_log.addHandler(logging.NullHandler())  # whoever wants paho's own log gives this logger a handler


@dataclass(frozen=True)
class Trust:
    """PEM files for TLS: the CA that the broker's certificate must be signed by (None: one that this machine trusts), and an
    own certificate with its key for a broker that asks for one."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For a client that verifies certificate and host name. Raises InputError where a file cannot be used."""
        if (self.certificate is None) != (self.key is None):
            raise InputError("--cert and --key belong together: name both files or neither")
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise InputError(f"--ca {self.ca}: {_unusable(error)}") from error
        if self.certificate and self.key:
            try:
                context.load_cert_chain(self.certificate, self.key, password=_no_password)
            except (OSError, ssl.SSLError) as error:
                raise InputError(f"--cert {self.certificate} with --key {self.key}: {_unusable(error)}") from error
        return context


@dataclass(frozen=True)
class Address:
    """A broker's place, the account to use there, and `tls` where it speaks TLS. Its text leaves the password out."""

    host: str
    port: int = PORTS["mqtt"]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse(url: str, trust: Trust | None = None) -> Address:
    """The address in a URL `mqtt[s]://[user:password@]host[:port]`; `trust` is for TLS. Raises InputError for any other text,
    which it does not repeat: wherever the mistake is, there may be a password in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:
        raise InputError(f"broker URL has no usable host or port; write {EXAMPLE}{_MARKS}") from None
    if parts.scheme not in PORTS:
        raise InputError(f"broker URL does not begin with mqtt:// or mqtts://; write {EXAMPLE}")
    if not host or _BLANK.search(host) or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
        raise InputError(f"broker URL must name a host and have nothing after it but a port; write {EXAMPLE}{_MARKS}")
    if parts.scheme == "mqtt" and trust not in (None, Trust()):
        raise InputError("--ca, --cert and --key are for TLS: name the broker as mqtts://")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    tls = (trust or Trust()).context() if parts.scheme == "mqtts" else None
    return Address(host, PORTS[parts.scheme] if port is None else port, user, password, tls)


def _unusable(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "the key is another's" if error.reason == "KEY_VALUES_MISMATCH" else "no PEM that can be used"
    return f"cannot be read: {error.strerror}"


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    return ""


class Connection:
    """An MQTT 3.1.1 connection: `async with Connection(address) as client`, an aiomqtt.Client.

    Its session is a clean one, or the one that the broker keeps under the name `session`: then a message counts as received
    when `acknowledge` says so. With `forget` the broker keeps that one no longer. The broker has `timeout` seconds
    for each answer. Raises BrokerError when the broker cannot be reached or refuses, and when the connection breaks
    inside the block.
    """

    def __init__(self, address: Address, timeout: float = 5, session: str | None = None, forget: bool = False) -> None:
        self._address = address
        self._session = session
        self._keep = session is not None and not forget
        self._timeout = timeout

    async def __aenter__(self) -> aiomqtt.Client:
        self._client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.user,
            password=self._address.password,
            identifier=self._session or f"pigtail-{secrets.token_hex(6)}",
            clean_session=not self._keep,
            timeout=self._timeout,
            keepalive=30,
            tls_context=self._address.tls,
            logger=_log,
        )
        self._client._client.manual_ack_set(self._keep)
        try:
            return await self._client.__aenter__()
        except BaseException as error:
            self._client._client.disconnect()  # aiomqtt leaves the socket open when it is not connected in the end
            if isinstance(error, aiomqtt.MqttError):
                raise BrokerError(f"no connection to a broker at {self._address}: {_refusal(error)}") from error
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

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """What was to be done with a message is done: the broker may forget it."""
        if self._keep:
            self._client._client.ack(message.mid, message.qos)


def _refusal(error: Exception) -> str:
    """Why there is no connection, and what to do."""
    text = _one_line(error)
    if distrust := _DISTRUST.search(text):
        return f"its certificate is not trusted ({distrust[1]}); name its CA with --ca, or another broker with --broker"
    return f"{text}; start one there or name another with --broker"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
