"""The simulation's broker: each kind answers, says clearly why it cannot, and leaves nothing running."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from host_tools.errors import BrokerError, InputError
from host_tools.reader.connection import Connection, parse
from host_tools.sim import broker
from host_tools.toolchain import mosquitto

KINDS = [
    "amqtt",
    pytest.param("mosquitto", marks=pytest.mark.skipif(not mosquitto.find(), reason="no mosquitto: `make setup`")),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "amqtt":
        monkeypatch.setattr(mosquitto, "find", lambda: None)
    return str(request.param)


def children() -> set[int]:
    """Processes that this one has started and that still are."""
    threads = Path("/proc/self/task").iterdir()
    return {int(pid) for thread in threads for pid in (thread / "children").read_text().split()}


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_messages_pass_and_nothing_is_left(kind, tmp_path, capfd):
    async def main() -> int:
        async with broker.start(None, directory=tmp_path) as running:
            assert running.kind == kind
            async with Connection(running.address) as client:
                await client.subscribe("a/#", qos=1)
                await client.publish("a/b", b"hello", qos=1)
                assert (await anext(aiter(client.messages))).payload == b"hello"
        return running.address.port

    before = children()
    port = asyncio.run(main())
    assert refuses(port)
    assert children() == before
    assert capfd.readouterr() == ("", "")


def test_port_that_is_asked_for_and_used_again(kind, tmp_path):
    port = unused_port()

    async def main() -> None:
        for _ in range(2):
            async with broker.start(None, port, directory=tmp_path) as running:
                assert running.url == f"mqtt://127.0.0.1:{port}"
                async with Connection(running.address):
                    pass

    asyncio.run(main())


def test_port_in_use(kind, tmp_path):
    async def main(port: int) -> None:
        async with broker.start(None, port, directory=tmp_path):
            pass

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(BrokerError, match="cannot be used"):
        asyncio.run(main(server.getsockname()[1]))


def test_cancelled_run_leaves_nothing(kind, tmp_path):
    async def main() -> int:
        started: asyncio.Queue[int] = asyncio.Queue()

        async def hold() -> None:
            async with broker.start(None, directory=tmp_path) as running, Connection(running.address):
                started.put_nowait(running.address.port)
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        port = await started.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return port

    before = children()
    port = asyncio.run(main())
    assert refuses(port)
    assert children() == before


def test_mosquitto_that_does_not_start_is_quoted(monkeypatch, tmp_path):
    fake = ["/bin/sh", "-c", "echo Error: no luck today; exit 1"]
    monkeypatch.setattr(mosquitto, "find", lambda: (fake, {}))

    async def main() -> None:
        async with broker.start(None, directory=tmp_path):
            pass

    with pytest.raises(BrokerError, match=r"did not start: Error: no luck today; see .*mosquitto\.log"):
        asyncio.run(main())


def test_other_broker_is_only_checked(kind, tmp_path):
    async def main() -> None:
        async with broker.start(None, directory=tmp_path) as own:
            async with broker.start(own.url, directory=tmp_path) as other:
                assert (other.url, other.kind) == (own.url, "external")
            async with Connection(own.address):
                pass

    asyncio.run(main())


def test_other_broker_that_is_not_there(tmp_path):
    async def main() -> None:
        async with broker.start(f"mqtt://127.0.0.1:{unused_port()}", directory=tmp_path):
            pass

    with pytest.raises(BrokerError, match="no connection to a broker at mqtt://127.0.0.1:.*refused"):
        asyncio.run(main())


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x20\x02\x00\x05", b"", None])
def test_other_broker_that_is_none_or_refuses(greeting, monkeypatch):
    """Something that talks another protocol, refuses the account, hangs up, or says nothing."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        if greeting is None:
            await reader.read()
            ended.set()
        else:
            writer.write(greeting)
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(BrokerError, match=f"no connection to a broker at mqtt://127.0.0.1:{port}"):
                async with Connection(parse(f"mqtt://u:p@127.0.0.1:{port}"), timeout=0.5):
                    pass
            if greeting is None:
                await asyncio.wait_for(ended.wait(), 120)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password"),
    [
        ("mqtt://broker", "broker", 1883, None, None),
        ("mqtt://broker:1/", "broker", 1, None, None),
        ("mqtt://[::1]:2883", "::1", 2883, None, None),
        ("mqtt://me:p%40ss%2F@10.0.0.1", "10.0.0.1", 1883, "me", "p@ss/"),
        ("mqtt://me@10.0.0.1", "10.0.0.1", 1883, "me", None),
        ("mqtts://me:p%40ss@broker", "broker", 8883, "me", "p@ss"),
        ("mqtts://broker:1883", "broker", 1883, None, None),
    ],
)
def test_url(url, host, port, user, password):
    address = parse(url)
    assert (address.host, address.port, address.user, address.password) == (host, port, user, password)
    assert "p@" not in f"{address} {address!r}"
    assert str(address).startswith(url.split("//")[0]) and bool(address.tls) == url.startswith("mqtts:")
    assert parse(str(address)).host == host


@pytest.mark.parametrize(
    "url",
    ["", "broker", "broker:1883", "http://broker", "mqtt://", "mqtt://:1883", "mqtt://b:x",
     "mqtt://b:70000", "mqtt://b:0", "mqtt://b/topic", "mqtt://b?x=1", "mqtt://[::1", "mqtt://" + "a" * 70],
)  # fmt: skip
def test_url_that_names_no_broker(url):
    with pytest.raises(InputError, match=r"broker URL .*; write mqtt://"):
        parse(url)


def test_no_files_but_in_its_directory(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()

    async def main() -> None:
        async with broker.start(None, directory=tmp_path / "own"):
            pass

    asyncio.run(main())
    assert os.listdir(tmp_path) == ["own"]
