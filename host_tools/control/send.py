"""Sends a command and awaits its reply."""

import asyncio
import secrets
import time
from collections.abc import Mapping

from host_tools.control.message import Command, Key, message
from host_tools.errors import BrokerError, PigtailError
from host_tools.reader.connection import Address, Connection
from host_tools.reader.inbox import ROOT, Inbox, Reply


class NoReply(PigtailError):
    """The device did not answer in time."""


async def send(
    address: Address, device: str, key: Key, name: str, arguments: Mapping[str, object], wait_s: float = 10.0,
    now_ms: int | None = None,
) -> Reply:  # fmt: skip
    """The device's reply to a new command, which expires when nobody waits for it any more; `now_ms` is UTC, by default that of
    this machine. Raises NoReply, BrokerError where the broker is not there or does not let us, and InputError for what no
    device takes."""
    now = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    command = Command(name, secrets.token_hex(8), now, now + int(wait_s * 1000), arguments)
    inbox = Inbox(device)
    payload = message(key, device, command)
    async with Connection(address) as client:
        granted = await client.subscribe(f"{ROOT}/{device}/reply", qos=1)
        if any(code.is_failure for code in granted if not isinstance(code, int)):
            raise BrokerError(f"the broker {address} does not let this user read {ROOT}/{device}/reply")
        await client.publish(f"{ROOT}/{device}/command", payload, qos=1)
        try:
            async with asyncio.timeout(wait_s):
                async for told in client.messages:
                    assert isinstance(told.payload, bytes)
                    for event in inbox.receive(told.topic.value, told.payload):
                        if isinstance(event, Reply) and event.id == command.id:
                            return event
        except TimeoutError as error:
            raise NoReply(f"no reply from {device} within {wait_s:g} s: it is offline, has another key, or no key") from error
    raise BrokerError(f"the connection to the broker {address} ended")
