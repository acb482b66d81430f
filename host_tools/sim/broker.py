"""The MQTT broker of a simulation: a mosquitto or amqtt of our own, or one that runs already."""

import asyncio
import getpass
import logging
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from amqtt.broker import Broker as AmqttBroker
from amqtt.errors import AMQTTError

from host_tools.errors import BrokerError
from host_tools.reader.connection import Address, Connection, parse
from host_tools.sim.child import bound
from host_tools.toolchain import mosquitto

START_S = 10.0
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Broker:
    """A broker that answers; `kind` is "mosquitto", "amqtt" or "external"."""

    url: str
    kind: str

    @property
    def address(self) -> Address:
        """Host, port and account of `url`."""
        return parse(self.url)


@asynccontextmanager
async def start(url: str | None, port: int | None = None, *, directory: Path) -> AsyncIterator[Broker]:
    """The broker at `url`; without one our own on 127.0.0.1:`port` (None: a free one), files in `directory`.

    Nothing of ours is left running after the block. Raises InputError for a bad URL, and BrokerError when the
    port is in use or the broker does not answer an MQTT CONNECT.
    """
    if url is not None:
        await _probe(parse(url))
        yield Broker(url, "external")
        return
    address = Address(HOST, _free(port))
    command = mosquitto.find()
    if command is None:
        async with _amqtt(address):
            yield Broker(str(address), "amqtt")
    else:
        async with _mosquitto(address, *command, directory):
            yield Broker(str(address), "mosquitto")


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
async def _mosquitto(
    address: Address, command: list[str], environment: dict[str, str], directory: Path
) -> AsyncIterator[None]:
    config, log = directory / "mosquitto.conf", directory / "mosquitto.log"
    config.write_text(
        f"listener {address.port} {address.host}\n"
        f"user {getpass.getuser()}\n"  # as root it would become nobody, and forget that it is bound to us
        "allow_anonymous true\npersistence false\nmax_queued_messages 0\n"
        "set_tcp_nodelay true\nlog_dest stderr\n"
    )
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *bound(command), "-c", str(config), env=os.environ | environment,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        await _answers(address, process, log)
        yield
    finally:
        if process.returncode is None:
            process.kill()  # it keeps nothing on disk
        await process.wait()


async def _answers(address: Address, process: asyncio.subprocess.Process, log: Path) -> None:
    """Waits until the new broker takes connections. Raises BrokerError with its last words otherwise."""
    deadline = asyncio.get_running_loop().time() + START_S
    while True:
        try:
            return await _probe(address)
        except BrokerError as error:
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                words = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
                raise BrokerError(f"mosquitto did not start: {words[-1]}; see {log}") from error
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _amqtt(address: Address) -> AsyncIterator[None]:
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # it warns of every client that is cut off
    broker = AmqttBroker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{address.host}:{address.port}"}},
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
