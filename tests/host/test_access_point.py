"""The access point: what passes, what a cut holds, what it never delivers, and that nothing is left behind."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from host_tools.errors import SimError
from host_tools.sim import access_point, sntp
from host_tools.sim.access_point import AccessPoint

HANGS_S = 120  # nothing here takes as long, however busy the machine is
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Network:
    """A device's view of an access point, and the broker's side of its connections."""

    ap: AccessPoint
    arrived: "asyncio.Queue[Stream]" = field(default_factory=asyncio.Queue)

    async def connect(self) -> Stream:
        return await asyncio.open_connection("127.0.0.1", self.ap.port)

    async def pair(self) -> tuple[Stream, Stream]:
        """A connection's two ends: the device's, the broker's."""
        return await self.connect(), await self.arrived.get()


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    arrived: asyncio.Queue[Stream] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: arrived.put_nowait((r, w)), "127.0.0.1", 0)
    async with (
        server,
        sntp.start(lambda: 1e9) as clock,
        access_point.start(server.sockets[0].getsockname()[:2], ("127.0.0.1", clock.port)) as ap,
    ):
        yield Network(ap, arrived)
        while not arrived.empty():
            arrived.get_nowait()[1].transport.abort()


def run(scenario: Callable[[Network], Awaitable[None]]) -> None:
    async def main() -> None:
        async with network() as net:
            await scenario(net)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not [task for task in left if "access_point" in str(task.get_coro())]

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection as a peer does that has crashed: with a reset, not an orderly end."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def settled() -> None:
    """Long enough for bytes on loopback to pass, if they pass at all."""
    await asyncio.sleep(0.1)


async def nothing_comes(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), 0.1)
    except TimeoutError:
        return True
    return False


def test_bytes_pass_both_ways_and_are_counted():
    async def scenario(net: Network) -> None:
        (device_in, device_out), (broker_in, broker_out) = await net.pair()
        device_out.write(b"u" * 200_000)
        assert await broker_in.readexactly(200_000) == b"u" * 200_000
        broker_out.write(b"d" * 70)
        assert await device_in.readexactly(70) == b"d" * 70
        while net.ap.passed["bytes_down"] < 70:
            await asyncio.sleep(0)  # it counts what it has handed on
        assert net.ap.passed == {"connections": 1, "bytes_up": 200_000, "bytes_down": 70}
        device_out.close()

    run(scenario)


def test_orderly_end_delivers_everything_before_it():
    async def scenario(net: Network) -> None:
        (_, device_out), (broker_in, broker_out) = await net.pair()
        device_out.write(b"goodbye")
        device_out.close()
        assert await broker_in.read() == b"goodbye"
        broker_out.close()
        await device_out.wait_closed()

    run(scenario)


def test_broker_that_ends_first_is_told_to_the_device():
    async def scenario(net: Network) -> None:
        (device_in, device_out), (_, broker_out) = await net.pair()
        broker_out.write(b"refused")
        broker_out.close()
        assert await device_in.read() == b"refused"
        device_out.close()

    run(scenario)


def test_reset_of_one_side_resets_the_other():
    async def scenario(net: Network) -> None:
        (_, device_out), (broker_in, _) = await net.pair()
        reset(device_out)
        with pytest.raises(ConnectionResetError):
            await broker_in.readexactly(1)

    run(scenario)


def test_broker_that_is_not_there_resets_the_device():
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        async with access_point.start(("127.0.0.1", port), ("127.0.0.1", 9)) as ap:
            reader, writer = await asyncio.open_connection("127.0.0.1", ap.port)
            with pytest.raises(ConnectionResetError):
                await reader.readexactly(1)
            writer.close()

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_cut_holds_bytes_of_both_directions_and_restore_delivers_them():
    async def scenario(net: Network) -> None:
        (device_in, device_out), (broker_in, broker_out) = await net.pair()
        net.ap.cut()
        device_out.write(b"up")
        broker_out.write(b"down")
        assert await nothing_comes(broker_in) and await nothing_comes(device_in)
        net.ap.restore()
        assert await broker_in.readexactly(2) == b"up"
        assert await device_in.readexactly(4) == b"down"
        device_out.close()

    run(scenario)


def test_connection_during_a_cut_hangs_and_goes_on_after_it():
    async def scenario(net: Network) -> None:
        net.ap.cut()
        _, device_out = await net.connect()
        device_out.write(b"connect")
        await settled()
        assert net.arrived.empty()
        net.ap.restore()
        broker_in, _ = await net.arrived.get()
        assert await broker_in.readexactly(7) == b"connect"
        device_out.close()

    run(scenario)


@pytest.mark.parametrize("end", [asyncio.StreamWriter.close, reset])
def test_device_that_gave_up_during_a_cut_is_reset_and_its_bytes_are_not_delivered(end):
    async def scenario(net: Network) -> None:
        (_, device_out), (broker_in, _) = await net.pair()
        net.ap.cut()
        device_out.write(b"held " * 1000)
        await settled()
        end(device_out)
        assert await nothing_comes(broker_in)
        net.ap.restore()
        with pytest.raises(ConnectionResetError):
            await broker_in.readexactly(1)
        assert net.ap.passed["bytes_up"] == 0

    run(scenario)


def test_connections_made_and_given_up_during_a_cut_never_reach_the_broker():
    async def scenario(net: Network) -> None:
        net.ap.cut()
        for _ in range(3):
            _, device_out = await net.connect()
            device_out.write(b"connect")
            await settled()
            device_out.close()
        _, last = await net.connect()
        last.write(b"alive")
        await settled()
        net.ap.restore()
        broker_in, _ = await net.arrived.get()
        assert await broker_in.readexactly(5) == b"alive"
        await settled()
        assert net.arrived.empty() and net.ap.passed["connections"] == 1
        last.close()

    run(scenario)


def test_broker_that_ended_during_a_cut_is_told_after_it():
    async def scenario(net: Network) -> None:
        (device_in, device_out), (_, broker_out) = await net.pair()
        net.ap.cut()
        broker_out.close()
        assert await nothing_comes(device_in)
        net.ap.restore()
        assert await device_in.read() == b""
        device_out.close()

    run(scenario)


def test_many_cuts_lose_no_byte_and_keep_the_order():
    async def scenario(net: Network) -> None:
        (_, device_out), (broker_in, _) = await net.pair()
        sent = b"".join(number.to_bytes(4, "big") for number in range(20_000))

        async def flicker() -> None:
            for _ in range(40):
                net.ap.cut()
                await asyncio.sleep(0.002)
                net.ap.restore()
                await asyncio.sleep(0.001)

        flickering = asyncio.create_task(flicker())
        for at in range(0, len(sent), 1000):
            device_out.write(sent[at : at + 1000])
            await asyncio.sleep(0.001)
        assert await broker_in.readexactly(len(sent)) == sent
        await flickering
        device_out.close()

    run(scenario)


async def ask_time(port: int, wait_s: float = HANGS_S) -> bytes | None:
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(("127.0.0.1", port))
        await loop.sock_sendall(client, bytes([0x1B]) + bytes(47))
        try:
            return await asyncio.wait_for(loop.sock_recv(client, 100), wait_s)
        except TimeoutError:
            return None


def test_time_requests_pass_and_are_lost_in_a_cut():
    async def scenario(net: Network) -> None:
        assert len(await ask_time(net.ap.sntp_port) or b"") == 48
        net.ap.cut()
        assert await ask_time(net.ap.sntp_port, wait_s=0.3) is None
        net.ap.restore()
        assert len(await ask_time(net.ap.sntp_port) or b"") == 48
        assert net.ap.passed["datagrams"] == 4

    run(scenario)


def test_reset_reaches_both_ends_and_the_next_connection_is_served():
    async def scenario(net: Network) -> None:
        for _ in range(2):  # the second time there is nothing left of the first
            (device_in, device_out), (broker_in, broker_out) = await net.pair()
            net.ap.reset()
            for reader in device_in, broker_in:
                with pytest.raises(ConnectionResetError):
                    await reader.readexactly(1)
            for writer in device_out, broker_out:
                writer.close()

    run(scenario)


def test_cut_that_ends_in_the_instant_of_a_reset_goes_on():
    async def scenario(net: Network) -> None:
        (device_in, device_out), (_, broker_out) = await net.pair()
        net.ap.reset()
        net.ap.cut()
        while all(device.fileno() >= 0 for device in net.ap._links.values()):
            await asyncio.sleep(0)
        net.ap.restore()
        with pytest.raises(ConnectionResetError):
            await device_in.readexactly(1)
        for writer in device_out, broker_out:
            writer.close()

    run(scenario)


def test_end_with_connections_open_resets_them_and_frees_the_port():
    async def main() -> None:
        async with network() as net:
            (device_in, device_out), _ = await net.pair()
            net.ap.cut()
            _, waiting = await net.connect()
            port = net.ap.port
        with pytest.raises(ConnectionResetError):
            await device_in.readexactly(1)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        for writer in (device_out, waiting):
            writer.close()

    asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_host_without_an_address():
    async def main() -> None:
        async with access_point.start(("no-such-host.invalid", 1883), ("127.0.0.1", 9)):
            pass

    with pytest.raises(SimError, match="no-such-host.invalid has no IPv4 address"):
        asyncio.run(main())
