"""A device at a broker that answers commands as the test says, with no firmware behind it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiomqtt

from host_tools.reader.connection import Connection
from host_tools.sim import broker

KEY = bytes(range(32))
HANGS_S = 120  # nothing here takes as long, however busy the machine is
Answers = Callable[[dict[str, Any]], list[dict[str, object]]]


def served(answers: Answers, directory: Path, use: Callable[[broker.Broker], Awaitable[None]]) -> None:
    """Runs `use` beside the device kona, whose replies to a command's body are `answers` of it."""

    async def serve(client: aiomqtt.Client) -> None:
        async for told in client.messages:
            assert isinstance(told.payload, bytes)
            envelope = json.loads(told.payload)
            assert envelope["mac"] == hmac.new(KEY, b"kona\n" + envelope["body"].encode(), hashlib.sha256).hexdigest()
            for reply in answers(json.loads(envelope["body"])):
                await client.publish("pigtail/v1/kona/reply", json.dumps(reply).encode(), qos=1)

    async def main() -> None:
        async with broker.start(None, directory=directory) as running, Connection(running.address) as client:
            await client.subscribe("pigtail/v1/kona/command", qos=1)
            serving = asyncio.create_task(serve(client))
            try:
                await use(running)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


def done(command: Mapping[str, Any], **fields: object) -> dict[str, object]:
    """The reply to a command that was done."""
    return {"id": command["id"], "command": command["command"], "ok": True, "result": {}} | fields
