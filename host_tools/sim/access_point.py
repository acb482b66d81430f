"""The simulated Wi-Fi access point: all bytes between a device and the broker or time server pass here, or do not.

A cut is a dead link, not a closed one: neither end is told. TCP bytes under way are held and go on when the link is
restored, unless the device has closed that connection in the meantime: then the broker sees a reset and nothing of
what was held. New connections wait unanswered (the kernel completes their handshake; no byte of them goes further).
Datagrams are lost.
"""

import asyncio
import select
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from host_tools.errors import SimError

HOST = "127.0.0.1"
CHUNK = 16384
REPLY_S = 5.0  # how long a datagram's reply is waited for
Endpoint = tuple[str, int]
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class AccessPoint:
    """What the device connects to: TCP 127.0.0.1:`port` for the broker, UDP 127.0.0.1:`sntp_port` for the time.

    `passed` counts since the start: "connections", "bytes_up" (device to broker, TCP payload), "bytes_down" and
    "datagrams".
    """

    def __init__(self, broker: Endpoint, listener: socket.socket, sntp: Endpoint, datagrams: socket.socket) -> None:
        self.passed: Counter[str] = Counter()
        self._broker, self._listener = broker, listener
        self._sntp, self._datagrams = sntp, datagrams
        self._passing = asyncio.Event()
        self._passing.set()
        self._links: dict[asyncio.Task[None], socket.socket] = {}

    @property
    def port(self) -> int:
        """The TCP port that stands for the broker's."""
        return int(self._listener.getsockname()[1])

    @property
    def sntp_port(self) -> int:
        """The UDP port that stands for the time server's."""
        return int(self._datagrams.getsockname()[1])

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes now."""
        return not self._passing.is_set()

    def cut(self) -> None:
        """From now on nothing passes, in either direction."""
        self._passing.clear()

    def restore(self) -> None:
        """Lets bytes pass again; connections that the device has closed during the cut are reset instead."""
        if self.is_cut:
            for link, device in self._links.items():
                if _is_gone(device):
                    link.cancel()
            self._passing.set()

    def reset(self) -> None:
        """Resets all connections, at both ends."""
        for link in self._links:
            link.cancel()

    async def serve(self) -> None:
        """Forwards until cancelled; then all connections are reset."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forward_connections(tasks))
            tasks.create_task(self._forward_datagrams(tasks))

    async def _forward_connections(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._passing.wait()
            device, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            link = tasks.create_task(self._connection(device))
            self._links[link] = device
            link.add_done_callback(self._links.pop)

    async def _connection(self, device: socket.socket) -> None:
        """One connection from its beginning to its end; any end but an orderly one resets both sides."""
        with device, socket.socket() as broker:
            _prepare(device)
            _prepare(broker)
            await self._passing.wait()
            if _is_gone(device):
                return  # it came during a cut and did not stay
            with suppress(OSError):  # one side reset it, or no broker is there: closing resets the other
                await asyncio.get_running_loop().sock_connect(broker, self._broker)
                self.passed["connections"] += 1
                up = asyncio.create_task(self._pump(device, broker, "bytes_up"))
                down = asyncio.create_task(self._pump(broker, device, "bytes_down"))
                try:
                    await asyncio.gather(up, down)
                    _linger(device, on=False)
                    _linger(broker, on=False)
                finally:
                    up.cancel()
                    down.cancel()
                    await asyncio.wait((up, down))

    async def _pump(self, source: socket.socket, sink: socket.socket, counter: str) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._passing.wait()
            data = await loop.sock_recv(source, CHUNK)
            await self._passing.wait()
            if not data:
                return sink.shutdown(socket.SHUT_WR)
            await loop.sock_sendall(sink, data)
            self.passed[counter] += len(data)

    async def _forward_datagrams(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            request, device = await asyncio.get_running_loop().sock_recvfrom(self._datagrams, CHUNK)
            if not self.is_cut:
                tasks.create_task(self._datagram(request, device))

    async def _datagram(self, request: bytes, device: Endpoint) -> None:
        """One request to the time server and its reply, if it has one."""
        loop = asyncio.get_running_loop()
        with socket.socket(type=socket.SOCK_DGRAM) as server, suppress(OSError, TimeoutError):
            server.setblocking(False)
            server.connect(self._sntp)
            await loop.sock_sendall(server, request)
            self.passed["datagrams"] += 1
            async with asyncio.timeout(REPLY_S):
                reply = await loop.sock_recv(server, CHUNK)
            if not self.is_cut:
                await loop.sock_sendto(self._datagrams, reply, device)
                self.passed["datagrams"] += 1


@asynccontextmanager
async def start(broker: Endpoint, sntp: Endpoint) -> AsyncIterator[AccessPoint]:
    """An access point between a device and `broker` and time server, each (host, port); it ends with the block.

    Raises SimError when the broker's host has no IPv4 address.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(*broker, family=socket.AF_INET)
    except OSError as error:
        raise SimError(f"{broker[0]} has no IPv4 address, which the simulated network needs") from error
    broker = found[0][4][:2]  # type: ignore[assignment]  # an IPv4 address is (host, port)
    with (
        socket.create_server((HOST, 0), backlog=128) as listener,
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
    ):
        listener.setblocking(False)
        datagrams.setblocking(False)
        datagrams.bind((HOST, 0))
        access_point = AccessPoint(broker, listener, sntp, datagrams)
        serving = asyncio.create_task(access_point.serve())
        try:
            yield access_point
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


def _prepare(side: socket.socket) -> None:
    side.setblocking(False)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _linger(side, on=True)


def _linger(side: socket.socket, on: bool) -> None:
    """On with 0 seconds: closing the socket sends a reset."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))


def _is_gone(side: socket.socket) -> bool:
    """Whether the peer has closed or reset the connection, even with bytes still to be read, or we have."""
    if side.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(side, _GONE)
    return bool(poll.poll(0))
