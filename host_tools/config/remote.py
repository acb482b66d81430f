"""A device's configuration over MQTT: it tells what is in force, but no secret; it tries a change, and keeps it once it is at a
broker with it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from host_tools.config import draft, firmware, secrets
from host_tools.config.draft import Config
from host_tools.config.keys import KEYS
from host_tools.control import Key, NoReply, send
from host_tools.errors import InputError, PigtailError
from host_tools.reader.connection import Address, Connection
from host_tools.reader.inbox import ROOT

LIMIT_S = 420.0  # the device gives up after 300, and restarts
_REASONS = {
    "unknown_command": "its firmware cannot: `pigtail deploy` a newer one, or --port",
    "too_long": "one entry is longer than a message: --port",
}
_NOT = "device", "command.key", "schema", "version"


class NotKept(PigtailError):
    """The device has its old configuration; the message says why."""


class NotTold(PigtailError):
    """The device does not tell its configuration; the message says why."""


async def read(address: Address, device: str, key: Key, wait_s: float = 10.0, now_ms: int | None = None) -> Config:
    """The keys that are set, with KEPT for each secret; `now_ms` as `control.send` has it. Raises NotTold, NoReply where the
    device does not answer, BrokerError, and InputError for what no device has."""
    whole: Config = {}
    skip, version, count = 0, None, 0
    while True:
        reply = await send(address, device, key, "settings", {"skip": skip}, wait_s, now_ms and now_ms + count)
        if not reply.ok:
            raise NotTold(f"{device} does not tell: {_REASONS.get(reply.reason) or f'{reply.reason} {reply.text}'.strip()}")
        part, following = reply.result.get("config"), reply.result.get("next")
        if not isinstance(part, dict) or (following is not None and not (isinstance(following, int) and following > skip)):
            raise NotTold(f"what {device} tells is no configuration")
        if count and reply.result.get("version") != version:
            raise NotTold(f"the configuration of {device} changed while it was told: try again")
        _join(whole, part)
        if following is None:
            return draft.checked(secrets.told(whole), f"what {device} tells")
        skip, version, count = following, reply.result.get("version"), count + 1


def _join(whole: Config, part: Mapping[str, Any]) -> None:
    """A key with several items may come in several parts."""
    for key, value in part.items():
        before = whole.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            before.update(value)
        elif isinstance(before, list) and isinstance(value, list):
            before.extend(value)
        else:
            whole[key] = value


def check(changes: Mapping[str, Any], address: Address) -> None:
    """Raises InputError for what the device would refuse, and for secrets that others could read on the way."""
    for key, value in changes.items():
        if key in _NOT:
            raise InputError(f"{key}: not over the air, or nobody would find the device again: give --port")
        if value is None:
            continue
        if secrets.KEPT in json.dumps(value):
            raise InputError(f"{key}: {secrets.KEPT} stands for what only the device has: give it anew, or --port")
        firmware.check_value(key, value)
        if KEYS[key].is_secret and not address.tls:
            raise InputError(f"{key}: anyone could read it on the way to {address}: use mqtts://, or --port")


async def change(
    address: Address, device: str, key: Key, changes: Mapping[str, Any], wait_s: float = 10.0, now_ms: int | None = None
) -> int:
    """The version of the new configuration, when the device is back with it; `now_ms` as `control.send` has it. Raises NotKept,
    NoReply where the device does not answer or does not come back, BrokerError, and InputError as `check`."""
    check(changes, address)
    async with Connection(address) as client:
        await client.subscribe(f"{ROOT}/{device}/status", qos=1)
        statuses = _statuses(client)
        before = 0
        try:
            async with asyncio.timeout(wait_s):
                before = (await anext(statuses)).get("boot", 0)  # retained
        except TimeoutError:
            raise NoReply(f"no device {device} was ever at this broker") from None
        if type(before) is not int:
            raise NotKept(f"what {device} tells of itself is no status, so nothing is changed")
        reply = await send(address, device, key, "config", {"set": dict(changes)}, wait_s, now_ms)
        if not reply.ok:
            raise NotKept(f"{device} refuses: {reply.reason} {reply.text}".strip())
        version = reply.result.get("version")
        if type(version) is not int:
            raise NotKept(f"what {device} answers names no version, so nobody knows what it makes of the change")
        try:
            async with asyncio.timeout(LIMIT_S):
                async for status in statuses:
                    if _is_settled(device, status, before, version):
                        return version
        except TimeoutError:
            pass
    raise NoReply(f"{device} did not come back: wherever it is, it goes back to its old configuration by itself")


async def _statuses(client: Any) -> Any:
    async for told in client.messages:
        try:
            status = json.loads(told.payload)
        except (ValueError, RecursionError):
            continue
        if isinstance(status, dict):
            yield status


def _is_settled(device: str, status: Mapping[str, Any], before: int, version: int) -> bool:
    """Whether the change is in force. Raises NotKept where the device is back without it."""
    boot, commands = status.get("boot") or 0, status.get("commands") or {}
    if type(boot) is not int or not isinstance(commands, dict):
        raise NotKept(f"what {device} tells of itself is no status, so nobody knows whether the change is in force")
    if status.get("state") != "online" or boot <= before:
        return False
    if status.get("config") != version:
        raise NotKept(f"the old configuration is in force: {status.get('config_error') or 'the device does not say why'}")
    return bool(commands.get("granted"))
