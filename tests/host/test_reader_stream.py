"""The stream over real brokers: order, once each, foreign topics, broken connections."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiomqtt
import pytest
from batch_encoder import Encoder

from host_tools.errors import BrokerError, InputError
from host_tools.reader import (
    BatchEvent,
    Gap,
    Listener,
    ProfileSeen,
    Status,
    Subscribed,
    Totals,
    Trouble,
    listen,
    stream,
)
from host_tools.reader.connection import Connection
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.sim import broker
from host_tools.toolchain import mosquitto

HANGS_S = 120  # nothing here takes as long, however busy the machine is
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (Signal("speed", 0, 32, period_ms=100),)),))
PACKED = pack(PROFILE)
HASH = identity(PACKED)
needs_mosquitto = pytest.mark.skipif(not mosquitto.find(), reason="no mosquitto: `make setup`")
KINDS = ["amqtt", pytest.param("mosquitto", marks=needs_mosquitto)]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(stream, "FIRST_DELAY_S", 0.02)
    if request.param == "amqtt":
        monkeypatch.setattr(mosquitto, "find", lambda: None)
    return str(request.param)


def batch(first: int, count: int) -> bytes:
    readings = {(tick, 0): tick for tick in range(first, first + count)}
    return Encoder(PROFILE, HASH, first=first, start=first, ticks=count, readings=readings).encode()


async def birth(device: aiomqtt.Client, name: str = "kona") -> None:
    await device.publish(f"pigtail/v1/{name}/profile/{HASH:08x}", PACKED, qos=1, retain=True)
    await device.publish(f"pigtail/v1/{name}/status", b'{"state": "online"}', qos=1, retain=True)


def run(scenario: Callable[[broker.Broker], Awaitable[None]], directory: Path, port: int | None = None) -> None:
    async def main() -> None:
        async with broker.start(None, port, directory=directory) as running:
            await scenario(running)

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


async def some(listener: Listener, count: int) -> list[object]:
    return [await anext(listener) for _ in range(count)]


def test_birth_batches_and_gaps_come_each_once(kind, tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with contextlib.aclosing(listen(running.url)) as listener, Connection(running.address) as device:
            assert await anext(listener) == Subscribed(running.address)
            await birth(device)
            for first in (0, 10, 0, 8):
                await device.publish("pigtail/v1/kona/telemetry", batch(first, 10), qos=1)
            gap = b'{"boot": 1, "stream": 2, "first": 30, "count": 5, "reason": "several"}'
            await device.publish("pigtail/v1/kona/gap", gap, qos=1)
            events = await some(listener, 5)
            assert events[:2] == [ProfileSeen("kona", HASH, PROFILE), Status("kona", {"state": "online"})]
            got = [[s.raw for s in event.batch.samples] for event in events[2:4] if isinstance(event, BatchEvent)]
            assert got == [list(range(10)), list(range(10, 20))]
            assert events[4] == Gap("kona", 1, 2, 30, 5, "several", "telemetry")
            assert listener.totals == Totals(20, 20, 10, listener.accounts["kona"].lost(1, 2))

    run(scenario, tmp_path)


def test_late_listener_gets_what_is_retained(kind, tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with Connection(running.address) as device:
            await birth(device)
        async with contextlib.aclosing(listen(running.url)) as listener:
            assert {type(event) for event in await some(listener, 3)} == {Subscribed, ProfileSeen, Status}

    run(scenario, tmp_path)


def test_one_device_hears_nothing_of_the_others(kind, tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with Connection(running.address) as device:
            await birth(device, "zoe")
            await device.publish("elsewhere", b"\xff", qos=1, retain=True)
            async with contextlib.aclosing(listen(running.url, "kona")) as listener:
                await anext(listener)
                await device.publish("pigtail/v1/zoe/telemetry", batch(0, 3), qos=1)
                await device.publish("pigtail/v1/kona/status", b"{}", qos=1)
                assert await anext(listener) == Status("kona", {})
                assert list(listener.accounts) == []

    run(scenario, tmp_path)


def test_undecodable_payload_is_reported_and_the_stream_goes_on(kind, tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with contextlib.aclosing(listen(running.url)) as listener, Connection(running.address) as device:
            await anext(listener)
            await birth(device)
            await device.publish("pigtail/v1/kona/telemetry", batch(0, 3)[:-1], qos=1)
            await device.publish("pigtail/v1/kona/telemetry", b"", qos=1)
            await device.publish("pigtail/v1/kona/telemetry", batch(0, 3), qos=1)
            events = await some(listener, 5)
            assert [type(event) for event in events[2:]] == [Trouble, Trouble, BatchEvent]

    run(scenario, tmp_path)


def test_broker_that_ends_is_an_error(kind, tmp_path):
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            running = await stack.enter_async_context(broker.start(None, directory=tmp_path))
            listener = listen(running.url)
            await anext(listener)
            await stack.aclose()
            with pytest.raises(BrokerError, match="the connection to the broker .* broke"):
                await anext(listener)

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_broker_that_comes_back_is_found_again(kind, tmp_path):
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:
            running = await stack.enter_async_context(broker.start(None, directory=tmp_path))
            listener = listen(running.url, reconnect=True)
            await anext(listener)
            async with Connection(running.address) as device:
                await birth(device)
                await device.publish("pigtail/v1/kona/telemetry", batch(0, 3), qos=1)
                await some(listener, 3)
            await stack.aclose()
            trouble = await anext(listener)
            assert isinstance(trouble, Trouble) and "trying again in" in trouble.reason
            trouble = await anext(listener)
            assert isinstance(trouble, Trouble) and "no connection" in trouble.reason
            await stack.enter_async_context(broker.start(None, running.address.port, directory=tmp_path))
            while isinstance(event := await anext(listener), Trouble):
                pass
            assert event == Subscribed(running.address)
            async with Connection(running.address) as device:
                await birth(device)
                await device.publish("pigtail/v1/kona/telemetry", batch(0, 3), qos=1)
                await device.publish("pigtail/v1/kona/telemetry", batch(3, 3), qos=1)
            status, new = await some(listener, 2)
            assert isinstance(status, Status) and isinstance(new, BatchEvent)
            assert listener.totals == Totals(received=6, duplicates=3)
            await listener.aclose()

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


@needs_mosquitto  # amqtt keeps a session, but what it holds does not come
def test_kept_session_brings_what_came_while_its_reader_was_away(tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
            await anext(listener)
        async with Connection(running.address) as device:
            await birth(device)
            await device.publish("pigtail/v1/kona/telemetry", batch(0, 3), qos=1)
        async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
            while not isinstance(await anext(listener), BatchEvent):
                pass
            assert listener.totals == Totals(received=3)

    run(scenario, tmp_path)


@needs_mosquitto
def test_message_of_a_kept_session_comes_again_until_its_reader_has_done_with_it(tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async def read(batches: int) -> Listener:
            """Ends with the last of them still in the reader's hands."""
            async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
                while batches:
                    batches -= isinstance(await anext(listener), BatchEvent)
            return listener

        await read(0)
        async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
            await anext(listener)
        async with Connection(running.address) as device:
            await birth(device)
            for first in (0, 3, 6):
                await device.publish("pigtail/v1/kona/telemetry", batch(first, 3), qos=1)
        first = await read(2)
        assert first.accounts["kona"].missing(1, 2, 0, 9) == [(6, 9)]
        second = await read(2)
        assert second.accounts["kona"].missing(1, 2, 0, 9) == [(0, 3)]

    run(scenario, tmp_path)


@needs_mosquitto
def test_session_that_is_given_up_is_forgotten_by_the_broker(tmp_path):
    async def scenario(running: broker.Broker) -> None:
        async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
            await anext(listener)
        async with Connection(running.address, session="archive", forget=True):
            pass
        async with Connection(running.address) as device:
            await device.publish("pigtail/v1/kona/status", b'{"n": 1}', qos=1)
        async with contextlib.aclosing(listen(running.url, session="archive")) as listener:
            await anext(listener)
            async with Connection(running.address) as device:
                await device.publish("pigtail/v1/kona/status", b'{"n": 2}', qos=1)
            assert await anext(listener) == Status("kona", {"n": 2})

    run(scenario, tmp_path)


def test_broker_that_is_not_there_is_an_error_even_with_reconnect():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    async def main() -> None:
        await anext(listen(f"mqtt://127.0.0.1:{port}", reconnect=True))

    with pytest.raises(BrokerError, match="no connection to a broker at"):
        asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_broker_that_refuses_the_subscription():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK
        subscribe = await reader.read(1000)
        writer.write(b"\x90\x06" + subscribe[subscribe.index(b"\0") :][:2] + b"\x80" * 4)
        await reader.read()
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            await anext(listen(f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", reconnect=True))

    with pytest.raises(BrokerError, match="does not let this user read pigtail/v1"):
        asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_consumer_that_fails_ends_quietly(kind, tmp_path, caplog):
    async def scenario(running: broker.Broker) -> None:
        async for _ in listen(running.url):
            raise KeyError("the consumer's own")

    with pytest.raises(KeyError):
        run(scenario, tmp_path)
    assert caplog.text == ""


def test_bad_arguments_are_told_before_anything_is_connected():
    with pytest.raises(InputError):
        listen("broker")
    with pytest.raises(InputError):
        listen("mqtt://broker", "#")
    for session in "", "a b", "a/b", "x" * 65:
        with pytest.raises(InputError, match="cannot be a session"):
            listen("mqtt://broker", session=session)


def test_cancelled_consumer_leaves_no_task(kind, tmp_path):
    async def scenario(running: broker.Broker) -> None:
        before = asyncio.all_tasks()

        async def consume() -> None:
            async for event in listen(running.url):
                assert isinstance(event, Subscribed)
                subscribed.set()

        subscribed = asyncio.Event()
        task = asyncio.create_task(consume())
        await subscribed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = {str(task.get_coro()) for task in asyncio.all_tasks() - before}
        assert not [coroutine for coroutine in left if "Listener." in coroutine or "Client." in coroutine]

    run(scenario, tmp_path)
