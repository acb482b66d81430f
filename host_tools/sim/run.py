"""One simulation: virtual car → firmware on its virtual board → access point → broker → reader, and the books on all of it."""

import asyncio
import contextlib
import math
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import can

from host_tools.errors import SimError
from host_tools.reader import (
    Account,
    BatchEvent,
    Gap,
    Happened,
    Listener,
    Status,
    Subscribed,
    Trouble,
    listen,
)
from host_tools.reader.connection import Address, Connection
from host_tools.signals import pack
from host_tools.sim import access_point, broker, faults, image, power, report, security, sntp, trace, wear
from host_tools.sim.board import QUICK, VirtualBoard, compiled, facts
from host_tools.sim.car import Hearing, VirtualCar
from host_tools.sim.delivered import Balance, Delivered, Stream
from host_tools.sim.ecus import Ecus
from host_tools.sim.faults import Faults
from host_tools.sim.scenario import Scenario
from host_tools.sim.script import Script
from host_tools.sim.wire import Wire

BOOT_S = 30.0  # real seconds until the firmware must have opened its bus
STUCK_S = 60.0  # device seconds that the end of the log may be behind
STUCK_REAL_S = 10.0  # and as many real ones at least: one of this machine's stalls is a minute at speed 60
DRAIN_S = 60.0  # device seconds after the log's end in which the outbox gets no emptier: it will not come
DRAIN_REAL_S = 10.0  # and as many real ones at least
SETTLE_S = 4.0  # device seconds after the log's end in which the last samples are taken, on the device's own clock
TURN_S = 0.05


class Simulation:
    """Runs a scenario; while it runs, a view may look at its attributes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.device = f"sim-{secrets.token_hex(3)}"
        self.delivered = Delivered()
        self.status: dict[str, object] = {}
        self.happened: list[Happened] = []
        self.broker_kind = ""
        self.broker_url = ""
        self.undecodable: list[str] = []
        self.reader_reconnects = 0
        self.console = ""  # what the device printed, once the simulation has ended
        self.utc_at_start = time.time()
        known = frozenset(m.arbitration_id | (1 << 29 if m.is_extended_id else 0) for m in scenario.profile.messages)
        self.car = VirtualCar(self._cut_short(scenario.frames), known, scenario.speed, self._bus_awake)
        self.ecus = Ecus(scenario.ecus)
        self.wire = Wire(self.car, self.ecus.answer)
        self._powered_at = math.inf
        self._woken = (0.0, 0.0)  # when the device fell asleep (monotonic), and the first frame from then on (device seconds)
        self._waited = (0, time.monotonic())  # samples, and since when as many
        self._turn_at_end = (0, 0)  # boot and uptime (ms) of the sampler's last turn when the end of the log was seen
        self.board: VirtualBoard
        self._script: Script | None = None
        self._listener: Listener

    @property
    def link_up(self) -> bool:
        """Whether the scenario lets the link be up now."""
        return self._script is None or self._script.link_up

    def _bus_awake(self, at: float) -> bool:
        return power.bus_awake(self.scenario.power, at)

    @property
    def _broker_leaves(self) -> bool:
        return any(fault.of_broker for fault in self.scenario.faults)

    @property
    def _session(self) -> str | None:
        """The reader's, at a broker that may die and come back: somebody else's, or ours where that is a fault."""
        return f"{self.device}-reader" if self._broker_leaves or self.scenario.broker else None

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
            s = self.scenario
            ours = security.of_our_own(s.tls, folder)
            starting = broker.start(
                s.broker, directory=folder, trust=s.trust, certificate=ours.certificate, client_ca=ours.client_ca,
                durable=s.durable and self._broker_leaves,
            )  # fmt: skip
            server = await stack.enter_async_context(starting)
            faults.check(s.faults, server)
            self.broker_kind, self.broker_url = server.kind, str(server.address)
            clock = await stack.enter_async_context(sntp.start(self._utc))
            address = server.address.host, server.device_port
            ap = await stack.enter_async_context(access_point.start(address, ("127.0.0.1", clock.port)))
            port = await self.car.start()
            stack.push_async_callback(self.car.stop)
            wire_port = await self.wire.start()
            stack.push_async_callback(self.wire.stop)
            secure = security.of_another(server.address, s.trust) if s.broker else ours
            config = self._config(server.address, ap, secure.config)
            size = int(str(facts()["flash_size"]))
            image.make(folder / "flash.img", size, firmware, pack.pack(s.profile), config, secure.files)
            if s.flash_size:
                image.blank(folder / "outbox.img", s.flash_size)
            clocks = s.rtc, s.ticks
            self.board = VirtualBoard(
                folder, self.device, port, s.heap, s.speed, modules, *clocks, s.bitrate, s.tells_heap, wire_port
            )  # fmt: skip
            self.board.bus_stirs = self._stirs
            if server.kind == "external":
                stack.push_async_callback(self._tidy, server.address)
            return await self._play(server, ap, tick)

    def _config(
        self, address: Address, ap: access_point.AccessPoint, secure: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        """The device's configuration: all it needs to find its way out through the access point."""
        account: dict[str, object] = {"mqtt.user": address.user or "", "mqtt.password": address.password or ""}
        account["mqtt.insecure"] = int(address.user is not None and not address.tls)  # whoever names it in a URL asks for it
        ways: dict[str, object] = {"mqtt.port": ap.port, "clock.host": "127.0.0.1", "clock.port": ap.sntp_port}
        if any(fault.of_names for fault in self.scenario.faults):
            ways["mqtt.host"] = security.NAME
        return {"device": self.device, **account, **ways, **(secure or {}), **self.scenario.config}

    async def _tidy(self, address: Address) -> None:
        """Takes what this run left off somebody else's broker: the reader's session, and what was retained."""
        async with Connection(address, session=self._session, forget=True) as client:
            for topic in self._listener.inbox.retained(self.device):
                await client.publish(topic, b"", qos=1, retain=True)

    def _utc(self) -> float:
        """UTC of the simulation: it starts now and runs as fast as the device."""
        return self.utc_at_start + self.car.now

    async def _play(self, server: broker.Broker, ap: access_point.AccessPoint, tick: Callable[[], None]) -> report.Report:
        ready = asyncio.Event()
        self._listener = self._reader(server.url)
        self._script = Script(self.scenario, self.car, self.board, ap)
        jobs: list[Awaitable[None]] = [self._read(ready), self._power(ready), *self._script.jobs(Faults(ap, self.board, server))]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            return await self._watch(tasks, tick)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._listener.aclose()

    def _reader(self, url: str) -> Listener:
        """One that comes back to a broker that leaves, for the messages that it has missed."""
        trust, session = self.scenario.trust, self._session
        return listen(url, self.device, trust=trust, reconnect=session is not None, session=session)

    async def _power(self, ready: asyncio.Event) -> None:
        await ready.wait()
        if self.scenario.speed > QUICK and self.scenario.seconds is not None:
            await self.car.read_ahead(self.scenario.laps)
        self._powered_at = time.monotonic()
        await self.board.run()

    def _stirs(self, since: float) -> bool:
        """Whether a frame came since the device fell asleep (monotonic)."""
        if self._woken[0] != since:
            self._woken = since, self.car.next_at(self.car.at(since))
        return self.car.now >= self._woken[1]

    @property
    def _sleeps_for_good(self) -> bool:
        """It sleeps, and there is nothing left that could wake it but the timer."""
        return self.board.asleep and self.car.next_at(self.car.now) == math.inf

    async def _read(self, ready: asyncio.Event) -> None:
        async for event in self._listener:
            if isinstance(event, Subscribed):
                self.reader_reconnects += ready.is_set()
                ready.set()
            elif isinstance(event, BatchEvent):
                self.delivered.take(event)
            elif isinstance(event, Gap):
                self.delivered.told(event)
            elif isinstance(event, Status):
                self.status = dict(event.fields)
            elif isinstance(event, Happened):
                self.happened.append(event)
            elif isinstance(event, Trouble) and event.device:  # else the connection broke, as it was meant to
                self.undecodable.append(event.reason)

    async def _watch(self, tasks: Sequence[asyncio.Future[None]], tick: Callable[[], None]) -> report.Report:
        """Waits for the end of the log and then for the outbox; raises what a task died of."""
        ended_at: float | None = None
        while True:
            await asyncio.wait(tasks, timeout=TURN_S, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done() and (error := task.exception()):
                    raise error
            if failure := self.car.failure or self.wire.failure:
                raise failure
            tick()
            if not self.car.attached.is_set():
                if time.monotonic() - self._powered_at > BOOT_S:
                    raise SimError(f"the firmware did not open its bus within {BOOT_S:g} s: {self._last_words()}")
                continue
            if ended_at is None and self._log_is_over():
                ended_at, last = self.car.now, self.board.trace()
                self._turn_at_end = last.boot, last.now_ms
                if self.scenario.ecus:
                    self.board.ignition(False)  # else they would be asked for ever, and never all have come
            if ended_at is None and self.car.overdue > self._stuck_s:
                raise SimError(f"the firmware does not read its bus any more: {self._last_words()}")
            if ended_at is not None and self._is_settled(self.car.now - ended_at):
                return self._report()

    def _last_words(self) -> str:
        return (self.board.console().strip().splitlines() or ["it said nothing"])[-1]

    def _log_is_over(self) -> bool:
        hearing = self.car.hearings[-1]
        if self._sleeps_for_good:
            return True
        return hearing.finished and self.board.pid is not None and self.board.meter().looked >= hearing.last

    def _is_settled(self, since_s: float) -> bool:
        """All that was taken has come or is accounted for, or for a long time nothing more came."""
        settle_s = SETTLE_S + 2 * self.scenario.profile.grid_ms / 1000
        is_early = since_s < settle_s or (self._sampled_ms() < 1000 * settle_s and since_s < self._stuck_s)
        if is_early and not self.board.asleep:
            return False
        waiting, now = self.waiting(), time.monotonic()
        if waiting != self._waited[0]:
            self._waited = waiting, now
        return not waiting or now - self._waited[1] > max(DRAIN_S / self.scenario.speed, DRAIN_REAL_S)

    def _sampled_ms(self) -> int:
        """How long the device has sampled since the end of the log: a machine that is busy may not have let it."""
        trace, (boot, turn_ms) = self.board.trace(), self._turn_at_end
        return trace.now_ms - (turn_ms if trace.boot == boot else 0)

    @property
    def _stuck_s(self) -> float:
        """Device seconds that the firmware may be behind."""
        return max(STUCK_S, STUCK_REAL_S * self.scenario.speed)

    def waiting(self) -> int:
        """Samples taken and neither delivered nor ledgered: what the outbox must hold, or its ledger has yet to tell."""
        return sum(balance.missing for balance in self._balances().values())

    def _balances(self) -> dict[Stream, Balance]:
        return report.balances(self.board.traces(), self.delivered)

    @property
    def account(self) -> Account:
        """The reader's books on the device."""
        return self._listener.accounts.get(self.device, Account())

    def _arrived(self, hearing: Hearing) -> int:
        """Frames of the feed that the controller saw in the life that this hearing belongs to."""
        lives = [life for life in self.board.lives if life.started <= hearing.at]
        return lives[-1].meter.arrived - lives[-1].meter.answered

    def _report(self) -> report.Report:
        board, car, delivered = self.board, self.car, self.delivered
        board.lives[-1].meter, board.lives[-1].trace = board.meter(), board.trace()
        arrived = [self._arrived(hearing) for hearing in car.hearings]
        self.console = board.console()
        meter = report.sums(board.lives)
        acknowledged = trace.acknowledged(board.folder / "acked.bin") if self._session else None
        balances = report.balances(board.traces(), delivered, acknowledged)
        deaths = report.deaths(board.lives, balances, delivered.spans, car)
        lost = sum((balance.by_reason() for balance in balances.values()), Counter[str]())
        return report.Report(
            frames_offered=car.offered(arrived) + meter.answered,
            frames_received=meter.received,
            frames_dropped=meter.overrun,
            frames_unknown=car.unknown(arrived),
            samples_taken=sum(balance.taken for balance in balances.values()),
            samples_delivered=delivered.samples,
            samples_accounted_lost=lost.total(),
            samples_missing=sum(balance.missing for balance in balances.values()),
            duplicates=delivered.duplicates,
            bytes_published=delivered.bytes,
            bytes_per_sample=round(delivered.bytes / delivered.samples, 3) if delivered.samples else None,
            heap_peak=meter.heap_peak,
            boot_ms=meter.boot_ms,
            restarts=len(board.lives) - 1,
            device=self.device,
            device_seconds=round(car.now, 1),
            broker=self.broker_kind,
            frames_while_off=car.passed_by(arrived),
            frames_fd=car.fd_frames,
            duplicates_dropped=self.account.duplicates,
            lost_by_reason=dict(lost),
            deaths=deaths,
            most_samples_lost=max((death.samples_lost for death in deaths), default=0),
            most_seconds_lost=max((death.lost_s for death in deaths), default=0.0),
            flash={image.stem: wear.read(image).summary() for image in sorted(board.folder.glob("*.img"))},
            undecodable=self.undecodable + report.never_taken(balances),
            lost_after_ack=sum(balance.lost_after_ack() for balance in balances.values()),
            lost_after_ack_ranges=report.after_ack(balances),
            frames_ledgered=self.account.totals().frames_lost,
            frames_ledgered_ranges=self.account.lost_frames,
            reader_reconnects=self.reader_reconnects,
            frames_sent=self.wire.sent.total(),
            frames_sent_by_id=dict(self.wire.sent),
            frames_answered=meter.answered,
            acknowledging_from=self.wire.acknowledging_from,
            alarms=self.ecus.alarms,
            ecus={ecu.facts.name: dict(ecu.counts) for ecu in self.ecus.ecus},
            power_s=power.times(board.lives, self.happened, car.at, car.now),
        )


def _memory() -> Path | None:
    """A folder in memory, if there is one: a disk's write-back stalls whoever writes to the same page, for half a second."""
    shm = Path("/dev/shm")
    return shm if os.access(shm, os.W_OK) else None
