"""The MQTT broker of a simulation: a mosquitto or amqtt of our own, or one that runs already."""

import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amqtt.broker import Broker as AmqttBroker
from amqtt.errors import AMQTTError

from host_tools.errors import BrokerError, InputError
from host_tools.reader.connection import Address, Connection, Trust, parse
from host_tools.sim.certificates import Certificate
from host_tools.sim.mosquitto import Mosquitto, TlsListener
from host_tools.toolchain import mosquitto

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Broker:
    """A broker that answers; `kind` is "mosquitto", "amqtt" or "external". `device_port` is where the device is to go: that of
    `address`, or the one where a broker of our own speaks TLS. `mosquitto` is its process, where it is one of our own."""

    url: str
    kind: str
    address: Address
    device_port: int
    mosquitto: Mosquitto | None = None


@asynccontextmanager
async def start(
    url: str | None, port: int | None = None, *, directory: Path, trust: Trust | None = None,
    certificate: Certificate | None = None, client_ca: Path | None = None, durable: bool = False,
) -> AsyncIterator[Broker]:  # fmt: skip
    """The broker at `url`; without one our own on 127.0.0.1:`port` (None: a free one), files in `directory`.

    `trust` is for one at mqtts://. One of our own that has a `certificate` speaks TLS on another port, too; with `client_ca`
    it asks for certificates of that CA there. Where it is `durable` and a mosquitto, it keeps what it has when it is killed.

    Nothing of ours is left running after the block. Raises InputError for a bad URL, and BrokerError when the
    port is in use or the broker does not answer an MQTT CONNECT.
    """
    if url is not None:
        address = parse(url, trust)
        await _probe(address)
        yield Broker(url, "external", address, address.port)
        return
    address = Address(HOST, _free(port))
    tls = TlsListener(_free(None), certificate, client_ca) if certificate else None
    device_port = tls.port if tls else address.port
    command = mosquitto.find()
    if command is None:
        async with _amqtt(address, tls):
            yield Broker(str(address), "amqtt", address, device_port)
        return
    running = Mosquitto(address, tls, *command, directory, durable)
    try:
        await running.start()
        yield Broker(str(address), "mosquitto", address, device_port, running)
    finally:
        await running.kill()


async def _probe(address: Address) -> None:
    async with Connection(address):
        pass


def _free(port: int | None) -> int:
    """`port` if nothing listens on it, or a free one. Raises BrokerError.

    A free one is below those that the kernel gives to outgoing connections: it stays free until the broker takes it.
    """
    if port is None:
        return next(filter(_is_free, iter(lambda: random.randrange(20_000, 32_000), None)))
    if not _is_free(port):
        raise BrokerError(f"port {port} cannot be used: something has it, or it is not ours to use; name another")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


@asynccontextmanager
async def _amqtt(address: Address, tls: TlsListener | None) -> AsyncIterator[None]:
    if tls and tls.client_ca:
        raise InputError("amqtt does not insist on a client's certificate: --tls mutual needs mosquitto; `make setup` brings it")
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it warns of every client that is cut off
    listeners: dict[str, dict[str, Any]] = {"default": {"type": "tcp", "bind": f"{address.host}:{address.port}"}}
    if tls:
        files = {"certfile": str(tls.certificate.certificate), "keyfile": str(tls.certificate.key)}
        listeners["tls"] = {"type": "tcp", "bind": f"{address.host}:{tls.port}", "ssl": True, **files}
    broker = AmqttBroker(
        {
            "listeners": listeners,
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    try:
        await broker.start()
        await _probe(address)
        yield
    except AMQTTError as error:
        raise BrokerError(f"amqtt did not start on port {address.port}: {error}") from error
    finally:
        if broker.transitions.is_started():
            await broker.shutdown()
