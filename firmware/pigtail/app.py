"""The application: runs the parts that `assembly` has made, and supervises them. These two alone see all others.

bus → table → values → sampler → batch → outbox → session → broker; the tasks are bus, keeper, link, clock, uplink and console.
"""

import asyncio
import board
import gc
import json
import machine
import os
import sys
from asyncio import sleep_ms
from micropython import const
from time import sleep_ms as block_ms
from pigtail import once, uptime
from pigtail.can.condition import STATES, Condition
from pigtail.health.supervisor import Supervisor
from pigtail.outbox.keeper import restart
from pigtail.uplink.clock import QUALITY
from pigtail.uplink.session import Session
from pigtail.uplink.uplink import Uplink

VERSION = "0.1.0"
_BUS_TURN_MS = const(2)
_GARBAGE = const(4096)  # bytes between two collections
_TEXT = const(80)  # longest text of somebody else's in the status
_WATCHDOG_MS = const(8000)
_RESTART_AFTER_MS = const(2000)
_SILENT = const(10)  # seconds without a frame
_ASKING_WINDOW = const(3)  # of messages, at most, where the car is asked: the heap has no room for more
_CAUSES = {1: "power_on", 2: "hard", 3: "watchdog", 4: "deep_sleep", 5: "soft"}


class App:
    START_ONLY = "_make_tester", "_make_console", "_tell_of_start"

    def __init__(self):
        self._crashes = once.call("pigtail.health.crashes", "begin")
        made = once.call("pigtail.assembly", "Assembly", VERSION, self._crashes[1])
        self._config_version = made.config["version"]
        self.config_error = made.config_error
        self.boot = made.boot
        self.outbox = made.outbox
        self.profile_error = made.profile_error
        self._profile = made.profile
        self._values = made.values
        self._table = made.table
        self._sampler = made.sampler
        self._keeper = made.keeper
        self._bus = made.bus
        self._condition = Condition(made.bus, made.events.add, made.outbox.ledger, made.boot)
        self._clock = made.clock
        self._link = made.link
        self._client = made.client
        self._topics = made.topics
        self._text = made.text
        self._states = made.states
        self._speakers = made.speakers
        self._window = made.config["mqtt.window"]
        self._commands = made.commands
        self._console = None
        self._events = made.events
        self._tester, self._asking = None, made.asking and (made.asking, made.config["requests.services"])
        self._urgent = ([made.commands] if made.commands else []) + [made.events]
        self._uplink = Uplink(self._client, self._link, self._new_session, made.config["mqtt.brokers"])
        self._power = None  # power.states.Power, while it does not plainly drive
        self._silent = self._heard = 0  # seconds without a frame, and how many there were before
        self._limits = made.limits
        once.shed(
            *made.parts(), self.outbox, self._profile, self._values, self._values and self._values.judge, self._table,
            self._table and self._table.aside, self._sampler, self._keeper, self._bus, self._condition, self._clock,
            self._link, self._uplink, self._client, self._topics, self._text, self._events, self._commands,
        )  # fmt: skip

    def _look_at_power(self):
        """Once a second: whether it is time to park, or to sleep."""
        heard = self._bus.received if self._bus else 0
        is_on, mv = board.ignition(), board.battery_mv()
        if self._tester and (mv is None or mv < self._limits[1]):
            heard -= self._tester.isotp.heard  # answers say that the car is on only while it is charged, too
        self._silent = 0 if heard != self._heard else self._silent + 1
        self._heard = heard
        try:
            if self._power is None:
                if self._silent < _SILENT and is_on is not False and (mv is None or mv >= self._limits[0]):
                    return  # it drives
                parts = self._sampler, self._keeper, self.outbox, self._events, self._uplink
                self._power = once.call("pigtail.power.states", "Power", self._limits, parts, not heard)
            if not self._power.look(is_on, mv, self._silent):
                self._power = None
        except MemoryError:
            pass  # it is tried again in a second

    def _show(self):
        """Once a second: the LED is lit while the broker is reached, blinks while it is not, and seldom in safe mode."""
        board.led(not uptime.ms() // 1000 & (3 if self._crashes[1] else self._uplink.state != "online"))

    def _make_tester(self):
        """Who asks the car: loaded only where something may be asked, and when what only the start needs is gone."""
        (ecus, states, requests), services = self._asking
        extras, told = (self._commands is not None, self._client.ssl is not None), True
        self._asking = None
        while told:  # what is not to be asked on schedule gives its room to who asks by hand
            gc.collect()
            requests, told = once.call("pigtail.diag.room", "fitting", gc.mem_free(), requests, *extras)
            self.config_error = told or self.config_error
            if requests is None:
                return
        from pigtail.diag.tester import Tester

        asking, senses = (ecus, states, requests), [board.ignition, board.battery_mv] + self._limits[:2]
        try:
            tester = Tester(self._bus, self._values, asking, services, senses, self._events.add, self._take)
        except (ValueError, KeyError) as error:
            self.config_error = "requests: " + str(error)
            return
        self._tester = tester
        self._window = min(self._window, _ASKING_WINDOW)
        once.shed(tester, tester.guard, tester.poller, *tester.parts())
        if self._commands:
            self._commands.tester = tester

    def _make_console(self):
        """Commands at the serial port. Where those over MQTT may ask the car 128 KB have no room for both."""
        if self._tester and self._commands:
            gc.collect()
            if not once.call("pigtail.diag.room", "is_enough_for_console", gc.mem_free()):
                return
        from pigtail.control.console import Console

        self._console = console = Console(self.outbox, self._profile, self._values, self._sampler, self._keeper)
        console.status, console.tester = self.status, self._tester
        once.shed(console)

    def _new_session(self):
        parts = self._client, self._topics, self.outbox, self._profile, self.status, self._text, self._window
        return Session(*parts, self._urgent, self._speakers)

    async def _read_bus(self, beat):
        bus, sampler, keeper = self._bus, self._sampler, self._keeper
        condition = self._condition
        if not bus.rate:
            await once.call("pigtail.can.autobaud", "search", bus, beat, self._events.add)
        elif not bus.state():  # stopped: it did not answer when it was started anew
            bus.listen(silent=bus.silent)
        bus.open(self._profile, self._tester.ids() if self._tester else ())
        if sampler:
            sampler.start(uptime.ms())
        while True:
            if keeper and keeper.holding:  # what comes now is counted by the controller, as overrun
                beat()
                await sleep_ms(_BUS_TURN_MS)
                continue
            filled = bus.drain()
            now_ms = uptime.ms()
            if sampler:
                if filled:
                    self._take(bus.slots, filled)
                sampler.run(now_ms)
            condition.check(now_ms)
            beat()
            await sleep_ms(_BUS_TURN_MS)

    def _take(self, slots, filled):
        """Frames that came, or answers that look like them."""
        table, i = self._table, 0
        aside = table.decode(slots, filled)
        while i < aside:
            i = table.aside.follow(slots, i, aside)
            self._sampler.changes(table.aside.events, table.aside.changed)

    def status(self) -> dict:
        """What the device says of itself, published on `status`. Texts are cut short: it must fit one packet."""
        outbox = self.outbox
        status = {
            "state": "online",
            "firmware": VERSION,
            "boot": self.boot,
            "uptime_ms": uptime.ms(),
            "reset": _reset_cause(),
            "clock": QUALITY[self._clock.quality],
            "clock_refused": self._clock.refused,
            "config": self._config_version,
            "config_error": _short(self.config_error),
            "profile": None,
            "profile_error": _short(self.profile_error),
            "outbox": {"bytes": outbox.bytes, "dropped_samples": outbox.dropped_samples, "errors": outbox.errors},
            "gaps": len(outbox.ledger),
            "gaps_untold": outbox.ledger.untold,
            "link": {
                "state": self._link.state, "losses": self._link.losses, "connects": self._uplink.connects,
                "failures": self._uplink.failures, "last_failure": _short(self._uplink.reason),
                "ignored": self._client.ignored, "unknown_pubacks": self._client.unknown_pubacks,
            },
            "broker": {"state": self._uplink.state, "host": self._client.server, "trust": self._uplink.trust},
            "events_lost": self._events.lost,
            "commands": self._commands and {
                "granted": self._client.granted, "run": self._commands.run, "refused": self._commands.refused,
            },
            "console": self._console and {
                "run": self._console.run, "refused": self._console.refused, "dropped": self._console.dropped,
            },
            "gate": self._tester and self._tester.status(),
            "power": {
                "state": self._power.state if self._power else "driving", "battery_mv": board.battery_mv(),
            } if hasattr(board, "sleep") else None,
            "crashes": self._crashes[0],
            "safe_mode": self._crashes[1],
            "last_crash": self._crashes[2],
            "heap_used": self._supervisor.heap_used,
            "heap_free": self._supervisor.heap_free,
            "heap_block": self._supervisor.heap_block,
            "beats": self._supervisor.beats(),
            "restarts": self._supervisor.restarts(),
            "errors": {name: _short(error) for name, error in self._supervisor.errors().items()},
        }  # fmt: skip
        if self._bus:
            self._add_bus(status)
        if self._profile:
            status["profile"] = "%08x" % self._profile.identity
            status["messages"] = {"known": self._profile.messages - self._profile.windows, "heard": self._values.messages_heard()}
        if self._states:
            status["states"] = {"sent": self._states.sent, "failed": self._states.failed}
        return status

    def _add_bus(self, status):
        bus, table, condition = self._bus, self._table, self._condition
        status["frames"] = {
            "received": bus.received, "overrun": bus.overruns(), "unknown": table.unknown if table else bus.received,
            "short": table.short if table else 0, "remote": bus.remote, "malformed": bus.malformed,
        }  # fmt: skip
        status["bus"] = {
            "bitrate": bus.bitrate or "unknown", "state": STATES[condition.state], "load": condition.load,
            "bus_off": bus.bus_offs, "stalls": condition.stalls, "muted": bus.muted,
        }  # fmt: skip

    def _healthy(self):
        """The status for whoever deploys: short, since a serial line is slow and frames come meanwhile."""
        return {
            "state": "running", "firmware": VERSION, "boot": self.boot, "restarts": self._supervisor.restarts(),
            "config_error": _short(self.config_error), "profile_error": _short(self.profile_error),
            "safe_mode": self._crashes[1], "last_crash": self._crashes[2],
        }  # fmt: skip

    def _tell_of_start(self):
        self._events.add("started", _reset_cause())
        for kind, error in ("config_error", self.config_error), ("profile_error", self.profile_error):
            if error:
                self._events.add(kind, error)
        self._clock.on_set = lambda: self._events.add("clock_set", QUALITY[self._clock.quality])

    async def run(self):
        gc.threshold(_GARBAGE)  # so that what lasts lies low, and what is free in one piece
        if self._asking:
            await sleep_ms(_BUS_TURN_MS)  # the stack forgets the start, and what it has held can go
            self._make_tester()
        self._make_console()
        self._tell_of_start()
        once.shed(self)
        gc.collect()  # what only the start needed
        watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        self._supervisor = supervisor = Supervisor(watchdog.feed, self._events.add)
        if self._tester:
            supervisor.heartbeats.append(self._tester.beat)
            supervisor.add("tester", self._tester.run)
            if self._tester.poller:
                supervisor.add("poller", self._tester.poller.run)
        if self._bus:
            supervisor.add("bus", self._read_bus)
        if self._profile:  # without one nothing is kept, but a capture, status and configuration still work
            supervisor.add("keeper", self._keeper.run)
        supervisor.add("link", self._link.run)
        supervisor.add("clock", lambda beat: self._clock.run(self._link, beat))
        supervisor.add("uplink", self._uplink.run)
        if self._console:
            supervisor.add("console", self._console.listen)
        if "config.tried" in os.listdir("/"):
            version = self._config_version
            trial = once.call("pigtail.config.trial", "watch", version, self._uplink, self._client, lambda: restart(self._keeper))
            asyncio.create_task(trial)
        supervisor.heartbeats.append(self._show)
        if hasattr(board, "sleep"):
            supervisor.heartbeats.append(self._look_at_power)
        if self._crashes[3]:
            once.call("pigtail.health.crashes", "tend", self._crashes, self._events, supervisor.heartbeats)

        def tell():  # the parts have run for a second: the console is told so, once
            supervisor.heartbeats.remove(tell)
            json.dump(self._healthy(), sys.stdout)
            print()

        supervisor.heartbeats.append(tell)
        await supervisor.run()


def _reset_cause():
    return _CAUSES.get(machine.reset_cause(), "unknown")


def _short(text):
    return text and text[:_TEXT]


def main() -> None:
    """Runs for ever; what gets through to here restarts the chip."""
    try:
        asyncio.run(App().run())
    except Exception as error:
        sys.print_exception(error)
        try:
            once.call("pigtail.health.crashes", "keep", error)
        except Exception as another:  # it must start again, whatever happens
            sys.print_exception(another)
    block_ms(_RESTART_AFTER_MS)
    machine.reset()
