"""What a broker brings, decoded and each sample once, as an async iterator.

    async for event in listen("mqtt://127.0.0.1:1883"):
        if isinstance(event, BatchEvent):
            for sample in event.batch.samples: ...
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

import aiomqtt

from host_tools.errors import BrokerError, InputError
from host_tools.reader.account import Account, Totals
from host_tools.reader.connection import Address, Connection, Trust, parse
from host_tools.reader.inbox import ROOT, Event, Inbox, Trouble

FIRST_DELAY_S = 0.5
LAST_DELAY_S = 30.0
_SESSION = re.compile(r"[\w.-]{1,64}", re.ASCII)

Tap = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Subscribed:
    """The subscriptions are in force: whatever is published from now on arrives."""

    address: Address


def listen(
    url: str, device: str | None = None, *, reconnect: bool = False, tap: Tap | None = None,
    trust: Trust | None = None, share: str | None = None, session: str | None = None,
) -> "Listener":  # fmt: skip
    """Events of one device, or of all, from the broker at `mqtt[s]://[user:password@]host[:port]`; `trust` is for TLS.

    Raises InputError at once for a bad URL, device or session. The iteration raises BrokerError when the broker cannot be
    reached, and when the connection breaks later unless `reconnect` is set: then it tries for ever, with
    back-off. What is published while there is no connection does not come, unless the broker keeps a `session` of that name
    for it alone: then it comes later, and a message counts as received when the iteration goes on behind its last event.
    `tap` gets the topic and the payload of each message before it is read. Listeners with the same `share`
    divide the telemetry among them, and none of them judges what is missing or came twice (see Inbox).
    """
    if session is not None and not _SESSION.fullmatch(session):
        raise InputError(f"{session!r} cannot be a session: give 1 to 64 letters, digits, dots, hyphens or underscores")
    return Listener(parse(url, trust), Inbox(device, share=share), reconnect, tap, session)


class Listener(AsyncIterator[Event | Subscribed]):
    """The iterator that `listen` makes. `aclose()` (or cancelling its consumer) ends the connection."""

    def __init__(
        self, address: Address, inbox: Inbox, reconnect: bool, tap: Tap | None = None, session: str | None = None
    ) -> None:
        self.inbox = inbox
        self._session = session
        self._tap = tap
        self._address = address
        self._reconnect = reconnect
        self._events = self._all()

    async def __anext__(self) -> Event | Subscribed:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Ends the connection and the iteration."""
        await self._events.aclose()

    @property
    def accounts(self) -> dict[str, Account]:
        """The books on each device seen, by device."""
        return self.inbox.accounts

    @property
    def totals(self) -> Totals:
        """The sums over all devices: received, duplicates, missing, lost by reason."""
        return sum((account.totals() for account in self.accounts.values()), Totals())

    async def _all(self) -> AsyncGenerator[Event | Subscribed, None]:
        delay_s = 0.0
        while True:
            try:
                connection = Connection(self._address, session=self._session)
                async with connection as client:
                    await self._subscribe(client)
                    delay_s = FIRST_DELAY_S
                    yield Subscribed(self._address)
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        if self._tap:
                            self._tap(message.topic.value, message.payload)
                        for event in self.inbox.receive(message.topic.value, message.payload):
                            yield event
                        connection.acknowledge(message)
            except BrokerError as error:
                if not self._reconnect or not delay_s:  # delay 0: it never was subscribed
                    raise
                yield Trouble("", f"{error}; trying again in {delay_s:.1f} s")
            await asyncio.sleep(delay_s * random.uniform(0.8, 1.2))
            delay_s = min(2 * delay_s, LAST_DELAY_S)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        granted = await client.subscribe([(topic, 1) for topic in self.inbox.filters])
        if any(code.is_failure for code in granted if not isinstance(code, int)):
            raise BrokerError(f"the broker {self._address} does not let this user read {ROOT}/#")
