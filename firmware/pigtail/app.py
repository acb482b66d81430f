"""The application: builds the parts, wires them, supervises them. The only module that sees all others.

bus → table → values → sampler → batch → outbox → session → broker; the tasks are bus, link, clock and uplink.
"""

import asyncio
import gc
import machine
import sys
from asyncio import sleep_ms
from binascii import hexlify
from micropython import const
from time import sleep_ms as block_ms

import board
from pigtail import uptime
from pigtail.can.bus import Bus
from pigtail.config import store
from pigtail.health.supervisor import Supervisor
from pigtail.outbox.batch import Batch
from pigtail.outbox.boots import next_boot
from pigtail.outbox.ledger import Ledger
from pigtail.outbox.ring import Ring
from pigtail.policy.sampling import Sampler
from pigtail.signals import in_force
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from pigtail.uplink.clock import QUALITY, Clock
from pigtail.uplink.link import Link
from pigtail.uplink.mqtt import Client
from pigtail.uplink.session import Session
from pigtail.uplink.topics import Topics
from pigtail.uplink.uplink import Uplink

VERSION = "0.1.0"
_BATCH_SIZE = const(1024)
_PACKET_SIZE = const(1536)
_BUS_TURN_MS = const(2)
_REST = const(26 * 1024)  # of the heap, at least, for what is made after the outbox
_TEXT = const(80)  # longest text of somebody else's in the status
_WATCHDOG_MS = const(8000)
_OFFLINE = b'{"state": "offline"}'
_RESTART_AFTER_MS = const(2000)
_CAUSES = {1: "power_on", 2: "hard", 3: "watchdog", 4: "deep_sleep", 5: "soft"}


class App:
    def __init__(self):
        gc.collect()
        self.config, self.config_error = config, _ = store.load()
        self._ledger = Ledger()
        self.outbox = self._make_outbox(config["outbox.bytes"])  # first: the largest piece of the heap
        self.device = config["device"] or hexlify(machine.unique_id()).decode()
        self.boot = next_boot()
        self._profile, self.profile_error = in_force.load(config["profile"], config["periods"])
        if self._profile:
            try:
                self._make_signals(self._profile)
            except MemoryError:
                self.profile_error = "%d signals are more than there is room for" % self._profile.signals
                self._profile = None
        self._bus = Bus(board.make_can(config["can.bitrate"]))
        self._link = Link(config["wifi.ssid"], config["wifi.password"])
        self._clock = Clock(config["clock.host"], config["clock.port"])
        self._topics = Topics(self.device)
        self._client = Client(
            self.device, config["mqtt.host"], config["mqtt.port"], config["mqtt.user"] or None,
            config["mqtt.password"] or None, config["mqtt.keepalive_s"], _PACKET_SIZE,
        )  # fmt: skip
        self._client.set_last_will(self._topics.status, _OFFLINE, True, 1)
        self._uplink = Uplink(self._client, self._link, self._new_session)

    def _make_outbox(self, size):
        """The outbox of the configured size, or of the largest that leaves room for the rest."""
        while True:
            try:
                ring = Ring(size, self._ledger)
                if gc.mem_free() >= _REST or size < _REST:
                    return ring
            except MemoryError:
                pass
            ring = None
            gc.collect()
            size //= 2
            self.config_error = "outbox.bytes: no room for as many, %d in use" % size

    def _make_signals(self, profile):
        self._values = Values(profile)
        self._table = Table(profile, self._values)
        self._batch = Batch(profile, self._values, _BATCH_SIZE)
        self._sampler = Sampler(profile, self._batch, uptime.tick_of, self.config["batch_ms"], self._deliver)

    def _new_session(self):
        return Session(
            self._client, self._topics, self.outbox, self._ledger, self._profile, self.status, self.config["mqtt.window"]
        )

    def _deliver(self):
        """Closes the batch into the outbox."""
        batch, clock = self._batch, self._clock
        first, count = batch.sequence, batch.count
        try:
            record = batch.close(self.boot, clock.quality, clock.utc_of_boot_ms, (self.config["version"], 0))
            self.outbox.append(record, self.boot, first, count)
        except MemoryError:
            batch.sequence = first + count
            self._ledger.add(self.boot, first, count, "no_memory")

    async def _read_bus(self, beat):
        bus, table, sampler = self._bus, self._table, self._sampler
        bus.open()
        sampler.start(uptime.ms())
        while True:
            filled = bus.drain()
            i, aside = 0, table.decode(bus.slots, filled) if filled else 0
            while i < aside:
                i = table.aside.follow(bus.slots, i, aside)
                sampler.changes(table.aside.events, table.aside.changed)
            sampler.run(uptime.ms())
            beat()
            await sleep_ms(_BUS_TURN_MS)

    def status(self) -> dict:
        """What the device says of itself, published on `status`. Texts are cut short: it must fit one packet."""
        outbox = self.outbox
        status = {
            "state": "online",
            "firmware": VERSION,
            "boot": self.boot,
            "uptime_ms": uptime.ms(),
            "reset": _CAUSES.get(machine.reset_cause(), "unknown"),
            "clock": QUALITY[self._clock.quality],
            "clock_refused": self._clock.refused,
            "config": self.config["version"],
            "config_error": _short(self.config_error),
            "profile": None,
            "profile_error": _short(self.profile_error),
            "outbox": {"records": len(outbox), "bytes": outbox.bytes, "dropped_samples": outbox.dropped_samples},
            "gaps": len(self._ledger),
            "link": {
                "losses": self._link.losses, "connects": self._uplink.connects, "failures": self._uplink.failures,
                "last_failure": _short(self._uplink.reason), "ignored": self._client.ignored,
            },
            "heap_used": self._supervisor.heap_used,
            "restarts": self._supervisor.restarts(),
            "errors": {name: _short(error) for name, error in self._supervisor.errors().items()},
        }  # fmt: skip
        if self._profile:
            self._add_signals(status)
        return status

    def _add_signals(self, status):
        bus, table = self._bus, self._table
        status["profile"] = "%08x" % self._profile.identity
        status["messages"] = {"known": self._profile.messages, "heard": self._values.messages_heard()}
        status["frames"] = {
            "received": bus.received, "overrun": bus.overruns(), "unknown": table.unknown,
            "short": table.short, "remote": bus.remote, "malformed": bus.malformed,
        }  # fmt: skip

    async def run(self):
        gc.threshold(-1)  # from here on the supervisor collects
        watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        self._supervisor = supervisor = Supervisor(watchdog.feed)
        if self._profile:  # without one there is nothing to take, but status and configuration still work
            supervisor.add("bus", self._read_bus)
        supervisor.add("link", self._link.run)
        supervisor.add("clock", lambda beat: self._clock.run(self._link, beat))
        supervisor.add("uplink", self._uplink.run)
        await supervisor.run()


def _short(text):
    return text and text[:_TEXT]


def main() -> None:
    """Runs for ever; what gets through to here restarts the chip."""
    try:
        asyncio.run(App().run())
    except Exception as error:
        sys.print_exception(error)
    block_ms(_RESTART_AFTER_MS)
    machine.reset()
