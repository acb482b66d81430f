"""One simulation: virtual car → firmware on its virtual board → access point → broker → reader, and the books on all of it."""

import asyncio
import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import can

from host_tools.errors import SimError
from host_tools.reader import Account, BatchEvent, Listener, Status, Subscribed, Trouble, listen
from host_tools.reader.connection import Address, Connection
from host_tools.signals import pack
from host_tools.sim import access_point, broker, image, report, sntp
from host_tools.sim.board import VirtualBoard, compiled, facts
from host_tools.sim.car import Hearing, VirtualCar
from host_tools.sim.delivered import Delivered
from host_tools.sim.scenario import Scenario

BOOT_S = 30.0  # real seconds until the firmware must have opened its bus
STUCK_S = 60.0  # device seconds that the end of the log may be behind
DRAIN_S = 60.0  # device seconds for the outbox to empty after the log's end
TURN_S = 0.05
BATCH_MS = 2000


class Simulation:
    """Runs a scenario; while it runs, a view may look at its attributes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.device = f"sim-{secrets.token_hex(3)}"
        self.delivered = Delivered()
        self.status: dict[str, object] = {}
        self.link_up = True
        self.broker_kind = ""
        self.broker_url = ""
        self.undecodable: list[str] = []
        self.utc_at_start = time.time()
        known = frozenset(m.arbitration_id | (1 << 29 if m.is_extended_id else 0) for m in scenario.profile.messages)
        self.car = VirtualCar(self._cut_short(scenario.frames), known, scenario.speed)
        self.board: VirtualBoard
        self._listener: Listener

    def _cut_short(self, frames: Iterator[can.Message]) -> Iterator[can.Message]:
        """The frames of the first `seconds`."""
        origin: float | None = None
        for frame in frames:
            origin = frame.timestamp if origin is None else origin
            if self.scenario.seconds is not None and frame.timestamp - origin >= self.scenario.seconds:
                return
            yield frame

    async def run(self, tick: Callable[[], None] = lambda: None) -> report.Report:
        """Runs to the end; `tick` is called twenty times a second. Raises a PigtailError, and leaves nothing running."""
        firmware, modules = compiled()
        async with contextlib.AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pigtail-", dir=_memory())))
            server = await stack.enter_async_context(broker.start(self.scenario.broker, directory=folder))
            self.broker_kind, self.broker_url = server.kind, str(server.address)
            clock = await stack.enter_async_context(sntp.start(self._utc))
            address = server.address.host, server.address.port
            ap = await stack.enter_async_context(access_point.start(address, ("127.0.0.1", clock.port)))
            port = await self.car.start()
            stack.push_async_callback(self.car.stop)
            config = self._config(server.address, ap)
            size = int(str(facts()["flash_size"]))
            image.make(folder / "flash.img", size, firmware, pack.pack(self.scenario.profile), config)
            s = self.scenario
            self.board = VirtualBoard(folder, self.device, port, s.heap, s.speed, modules)
            if server.kind == "external":
                stack.push_async_callback(self._tidy, server.address)
            return await self._play(server.url, ap, tick)

    def _config(self, address: Address, ap: access_point.AccessPoint) -> dict[str, object]:
        """The device's configuration: all it needs to find its way out through the access point."""
        account = {"mqtt.user": address.user or "", "mqtt.password": address.password or ""}
        ways = {"mqtt.port": ap.port, "clock.host": "127.0.0.1", "clock.port": ap.sntp_port}
        return {"device": self.device, "batch_ms": BATCH_MS, **account, **ways, **self.scenario.config}

    async def _tidy(self, address: Address) -> None:
        """Takes what this run left retained off somebody else's broker."""
        async with Connection(address) as client:
            for topic in self._listener.inbox.retained(self.device):
                await client.publish(topic, b"", qos=1, retain=True)

    def _utc(self) -> float:
        """UTC of the simulation: it starts now and runs as fast as the device."""
        return self.utc_at_start + self.car.now

    async def _play(self, url: str, ap: access_point.AccessPoint, tick: Callable[[], None]) -> report.Report:
        ready = asyncio.Event()
        self._listener = listen(url, self.device)
        jobs: list[Awaitable[None]] = [self._read(ready), self._power(ready), self._weather(ap)]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            return await self._watch(tasks, tick)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._listener.aclose()

    async def _power(self, ready: asyncio.Event) -> None:
        await ready.wait()
        await self.board.run()

    async def _weather(self, ap: access_point.AccessPoint) -> None:
        """Cuts and restores the link as the scenario says."""
        await self.car.attached.wait()
        for start, end in sorted(self.scenario.outages):
            await self._sleep_until(start)
            self.link_up = False
            self.board.link(False)
            ap.cut()
            await self._sleep_until(end)
            ap.restore()
            self.board.link(True)
            self.link_up = True

    async def _sleep_until(self, device_s: float) -> None:
        await asyncio.sleep(max(0.0, device_s - self.car.now) / self.scenario.speed)

    async def _read(self, ready: asyncio.Event) -> None:
        async for event in self._listener:
            if isinstance(event, Subscribed):
                ready.set()
            elif isinstance(event, BatchEvent):
                self.delivered.take(event)
            elif isinstance(event, Status):
                self.status = dict(event.fields)
            elif isinstance(event, Trouble):
                self.undecodable.append(event.reason)

    async def _watch(self, tasks: Sequence[asyncio.Future[None]], tick: Callable[[], None]) -> report.Report:
        """Waits for the end of the log and then for the outbox; raises what a task died of."""
        began = time.monotonic()
        ended_at: float | None = None
        while True:
            await asyncio.wait(tasks, timeout=TURN_S, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done() and (error := task.exception()):
                    raise error
            if self.car.failure:
                raise self.car.failure
            tick()
            if not self.car.attached.is_set():
                if time.monotonic() - began > BOOT_S:
                    raise SimError(f"the firmware did not open its bus within {BOOT_S:g} s: {self._last_words()}")
                continue
            if ended_at is None and self._log_is_over():
                ended_at = self.car.now
            if ended_at is None and self.car.overdue > STUCK_S:
                raise SimError(f"the firmware does not read its bus any more: {self._last_words()}")
            if ended_at is not None and self._is_settled(self.car.now - ended_at):
                return self._report()

    def _last_words(self) -> str:
        return (self.board.console().strip().splitlines() or ["it said nothing"])[-1]

    def _log_is_over(self) -> bool:
        hearing = self.car.hearings[-1]
        return hearing.finished and self.board.pid is not None and self.board.meter().looked >= hearing.last

    def _is_settled(self, since_s: float) -> bool:
        """The open batch has been closed, and all that was taken has come or is accounted for, or time is up."""
        batch_ms = int(str(self.scenario.config.get("batch_ms", BATCH_MS)))
        closed_s = 2 * max(batch_ms, self.scenario.profile.grid_ms) / 1000
        return since_s > max(DRAIN_S, closed_s) or (since_s > closed_s and not self.waiting())

    def waiting(self) -> int:
        """Samples of the present boot taken and neither delivered nor ledgered: what the outbox must hold."""
        trace = self.board.trace()
        books = self._books()
        return sum(report.holes([row for row in trace if row[0] == trace[-1][0]], books)) if trace else 0

    def _books(self) -> Account:
        return self._listener.accounts.get(self.device, Account())

    def _arrived(self, hearing: Hearing) -> int:
        """Frames that the controller saw in the life that this hearing belongs to."""
        lives = [life for life in self.board.lives if life.started <= hearing.at]
        return lives[-1].meter.arrived

    def _report(self) -> report.Report:
        board, car, books = self.board, self.car, self._books()
        board.lives[-1].meter = board.meter()
        arrived = [self._arrived(hearing) for hearing in car.hearings]
        meter = report.sums(board.lives)
        trace = board.trace()
        deaths = report.deaths(board.lives, trace, books, self.delivered.spans, car)
        lost = report.lost_by_reason(books)
        taken, delivered = sum(count for _, _, count in trace), self.delivered.account.totals().received
        gone = sum(death.samples_lost for death in deaths)
        return report.Report(
            frames_offered=car.offered(arrived),
            frames_received=meter.received,
            frames_dropped=meter.overrun,
            frames_unknown=car.unknown(arrived),
            samples_taken=taken,
            samples_delivered=delivered,
            samples_accounted_lost=lost.total(),
            samples_missing=taken - delivered - lost.total() - gone,
            duplicates=self.delivered.account.duplicates,
            bytes_published=self.delivered.bytes,
            bytes_per_sample=round(self.delivered.bytes / delivered, 3) if delivered else None,
            heap_peak=meter.heap_peak,
            boot_ms=meter.boot_ms,
            restarts=len(board.lives) - 1,
            device=self.device,
            device_seconds=round(car.now, 1),
            broker=self.broker_kind,
            frames_while_off=car.passed_by(arrived),
            frames_fd=car.fd_frames,
            duplicates_dropped=books.duplicates,
            lost_by_reason=dict(lost),
            deaths=deaths,
            undecodable=self.undecodable,
        )


def _memory() -> Path | None:
    """A folder in memory, if there is one: a disk's write-back stalls whoever writes to the same page, for half a second."""
    shm = Path("/dev/shm")
    return shm if os.access(shm, os.W_OK) else None
