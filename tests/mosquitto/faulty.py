"""A TCP proxy that does what bad networks do: delay, a narrow pipe, single bytes, silence, resets, other bytes."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable

HOST = "127.0.0.1"
CHUNK = 4096


class Reset(Exception):
    """Raised by a Tamper: `last` still passes, then the connection is reset on both sides."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


class Tamper:
    """What becomes of the bytes of one connection; this one leaves them alone."""

    def up(self, data: bytes) -> bytes:
        """Of bytes from the device to the broker, those that pass."""
        return data

    def down(self, data: bytes) -> bytes:
        """Of bytes from the broker to the device, those that pass."""
        return data


class Link:
    """One connection of a Proxy."""

    def __init__(self, near: socket.socket, tamper: Tamper) -> None:
        self.near = near
        self.tamper = tamper
        self.is_dead = False  # bytes of either side go nowhere


class Proxy:
    """Listens on `port` and forwards to 127.0.0.1:`target`; with `narrow`, what it does not read fills up soon.

    `latency_s` (one way), `rate` (bytes/s), `piece` (bytes at a time) and `tamper` (makes the Tamper of a new connection) may be
    set at any time. `connections` counts those that got through to the broker.
    """

    def __init__(self, target: int, narrow: bool = False) -> None:
        self.connections = 0
        self.resets = 0
        self.latency_s = 0.0
        self.rate = 0.0
        self.piece = CHUNK
        self.tamper: Callable[[], Tamper] = Tamper
        self._target = target
        self._narrow = narrow
        self._listener = socket.socket()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._open, self._passing, self._reading = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for event in self._open, self._passing, self._reading:
            event.set()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @contextlib.asynccontextmanager
    async def serve(self, host: str = HOST, port: int = 0) -> AsyncIterator["Proxy"]:
        """Serves while the block runs."""
        with self._listener as listener:
            if self._narrow:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
            listener.bind((host, port))
            listener.listen(128)
            listener.setblocking(False)
            accepting = asyncio.create_task(self._accept())
            try:
                yield self
            finally:
                tasks = [accepting, *self._links]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def hold(self) -> None:
        """Nothing passes, and nobody is told: the connections are half-open. What comes is kept."""
        self._passing.clear()

    def release(self) -> None:
        """What was held passes."""
        self._passing.set()

    def abandon(self) -> None:
        """The connections of now are half-open for good; new ones are as good as any."""
        for link in self._links.values():
            link.is_dead = True

    def stall(self) -> None:
        """It reads nothing from the device any more: the window closes."""
        self._reading.clear()

    def read_on(self) -> None:
        """It reads again after `stall`."""
        self._reading.set()

    def reset(self) -> None:
        """Resets the connections of now, both sides."""
        for task in self._links:
            task.cancel()
            self.resets += 1

    def shut(self) -> None:
        """Resets the connections of now, and new ones wait."""
        self._open.clear()
        self.reset()

    def open(self) -> None:
        """New connections are served again after `shut`."""
        self._open.set()

    async def _accept(self) -> None:
        while True:
            await self._open.wait()
            near, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            link = Link(near, self.tamper())
            task = asyncio.create_task(self._connection(link))
            self._links[task] = link
            task.add_done_callback(self._links.pop)

    async def _connection(self, link: Link) -> None:
        """From beginning to end; any end but an orderly one resets both sides."""
        with link.near, socket.socket() as far:
            for side in link.near, far:
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                _linger(side, True)
            await self._open.wait()
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_connect(far, (HOST, self._target))
                self.connections += 1
                await self._both_ways(link, far)
                _linger(link.near, False)
                _linger(far, False)

    async def _both_ways(self, link: Link, far: socket.socket) -> None:
        ways = [self._forward(link, link.near, far, link.tamper.up, self._reading)]
        ways += [self._forward(link, far, link.near, link.tamper.down, None)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _forward(
        self, link: Link, source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes], gate: asyncio.Event | None
    ) -> None:
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(0 if self.latency_s else 1)

        async def receive() -> None:
            data: bytes | None = b"-"
            while data:
                if gate:
                    await gate.wait()
                try:
                    data = await loop.sock_recv(source, CHUNK)
                except OSError:
                    data = None
                await under_way.put((loop.time() + self.latency_s, data))

        receiving = asyncio.create_task(receive())
        try:
            while True:
                due, data = await under_way.get()
                if data is None:
                    raise ConnectionResetError
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._passing.wait()
                if not data:
                    return sink.shutdown(socket.SHUT_WR)
                await self._pass_on(link, sink, change, data)
        finally:
            receiving.cancel()

    async def _pass_on(self, link: Link, sink: socket.socket, change: Callable[[bytes], bytes], data: bytes) -> None:
        loop = asyncio.get_running_loop()
        failed = False
        try:
            data = change(data)
        except Reset as reset:
            data, failed = reset.last, True
        piece = min(self.piece, 64) if self.rate else self.piece
        for at in range(0, len(data), piece):
            if link.is_dead:
                return
            part = data[at : at + piece]
            await loop.sock_sendall(sink, part)
            await asyncio.sleep(len(part) / self.rate if self.rate else 0)
        if failed:
            self.resets += 1
            await asyncio.sleep(0.02)  # a reset overtakes what is not yet read
            raise ConnectionResetError


def _linger(side: socket.socket, on: bool) -> None:
    """On with 0 seconds: closing the socket sends a reset."""
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))
