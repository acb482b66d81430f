"""Assembly: makes the parts from what is on flash and wires them. Needed only while the device starts; see `once`."""

import gc
import machine
import os
import sys
from binascii import hexlify
from micropython import const

import board
from pigtail import once, uptime
from pigtail.can.bus import Bus
from pigtail.health.events import Events
from pigtail.outbox.batch import batches
from pigtail.outbox.keeper import Keeper
from pigtail.outbox.outbox import Outbox
from pigtail.policy.sampling import Sampler
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from pigtail.uplink.clock import Clock
from pigtail.uplink.link import Link
from pigtail.uplink.mqtt import Client
from pigtail.uplink.session import Text
from pigtail.uplink.topics import Topics

_PACKET_SIZE = const(1536)
# Of the heap, for what is made after the outbox, with 2 KB to spare; tests/sim/test_outbox_room.py drives with no more than this.
_REST = const(15 * 1024)  # works with 12 KB
_TLS = const(1536)  # as much more: with 1 KB, or 2 where the device shows a certificate
_COMMANDS = const(2048)
_SAMPLING = const(5632)  # what is made between the outbox and the states
_STATES = const(11 * 1024)  # free when states are begun with, for them and for what comes after, as measured
_STATE = const(24)  # and for each of them
_DISCOVERY = const(1536)
_BESIDE_COMMANDS = const(5 * 1024)
_RAM = const(4096)  # the outbox's, unless somebody says how much
_LEAST_RAM = const(1024)
_RATE = const(500_000)  # bits a second, to begin a search with
_OFFLINE = b'{"state": "offline"}'


class Assembly:
    """All parts as attributes. Without a usable profile there is nothing to sample: `profile`, `values`, `table`, `sampler` and
    `keeper` are None then, and `profile_error` says why. In safe mode there is neither profile nor bus."""

    def __init__(self, version: str, is_safe: bool = False):
        gc.collect()
        self.config, self.config_error = config, _ = once.call("pigtail.config.store", "load")
        self.device = config["device"] or hexlify(machine.unique_id()).decode()
        self.boot = once.call("pigtail.outbox.boots", "next_boot")
        self.topics = Topics(self.device)
        self.clock = Clock(config["clock.host"], config["clock.port"])
        self.client = self._make_client(config)
        self.client.set_last_will(self.topics.status, _OFFLINE, True, 1)
        self.text = Text(self.client.scratch)
        self.profile = self.profile_error = None
        if not is_safe:
            self.profile, self.profile_error = once.call(
                "pigtail.signals.in_force", "load", config["profile"], config["periods"]
            )  # fmt: skip
        has_states = self._prepare_states(config, version)
        if self.profile:  # now, while there is room for it
            once.call("pigtail.control.listing", "make", self.profile)
        self.asking = self._asking(config["requests.profile"]) if self.profile and config["requests.profile"] else None
        self.values = self.table = self.sampler = self.keeper = None
        self.bus = _leave_bus() if is_safe else self._make_bus(config["can.bitrate"])
        self._batches = self._make_batches() if self.profile else []
        self.outbox = self._make_outbox(config, self._room_for_states(config) if has_states and self.profile else 0)
        if self.outbox.boot != self.boot:
            self.boot = self.outbox.boot
            once.call("pigtail.outbox.boots", "go_on", self.boot)
        self.events = Events(self.boot, self.topics.base + "/event", self.text)
        if self.profile:
            self._make_sampler(self.profile, config)
        self.states, self.speakers = None, []
        self._make_speakers(config, has_states and self.profile)
        self.link = Link(config["wifi.ssid"], config["wifi.password"], config["wifi.networks"])
        self.limits = [config["power." + key] for key in ("low_mv", "charging_mv", "quiet_s", "parked_s", "wake_s")]
        self.commands = self._make_commands(config) if config["command.key"] else None

    def _make_client(self, config):
        make = Client
        if config["command.key"]:
            from pigtail.uplink.subscriber import Subscriber as make  # here: without a key nothing is subscribed to
        return make(
            self.device, config["mqtt.host"], config["mqtt.port"], config["mqtt.user"] or None,
            config["mqtt.password"] or None, config["mqtt.keepalive_s"], self._make_tls(config), size=_PACKET_SIZE,
        )  # fmt: skip

    def _make_commands(self, config):
        from pigtail.control.commands import Commands

        commands = Commands(
            self.device, self.topics.base, self.text, config["command.key"], self.clock, self.outbox,
            self.profile, self.values, self.sampler, self.keeper, self.bus,
        )  # fmt: skip
        self.client.set_callback(commands.heard)
        self.client.subscribe(self.topics.base + "/command", 1)
        return commands

    def _make_batches(self):
        """The profile's tables and open batches; none when there is no room for them."""
        profile = self.profile
        try:
            self.values = Values(profile)
            self.table = Table(profile, self.values, self.asking is not None)
            return batches(profile, self.values, self.asking is not None)
        except MemoryError:
            self.profile_error = "%d signals are more than there is room for" % profile.signals
            self.profile = self.values = self.table = None
            return []

    def _prepare_states(self, config, version):
        """Whether there are states to tell. It comes first because it needs room for a moment."""
        wanted, kept = config["state"], os.listdir("/")
        if not self.profile or not (wanted or "announced" in kept):
            return False
        usable, fault = once.call(
            "pigtail.uplink.facts", "prepare", self.profile, wanted, self.topics.base, config["homeassistant"], version
        )  # fmt: skip
        self.config_error = self.config_error or fault
        gc.collect()
        return bool(usable and wanted)

    def _make_speakers(self, config, has_states):
        """No module of theirs is loaded where they are not wanted."""
        if has_states and self._has_room(config):
            from pigtail.uplink.states import States

            self.states = States(self.values, self.clock, self.boot, self.topics.base)
            self.speakers.append(self.states)
            if config["homeassistant"]:
                from pigtail.uplink.discovery import Discovery

                self.speakers.append(Discovery(self.states, self.text))
        if "withdrawn" in os.listdir("/"):
            from pigtail.uplink.withdrawn import Withdrawn

            self.speakers.append(Withdrawn())

    def _room_for_states(self, config):
        wanted = config["state"]
        room = _STATES + _STATE * (self.profile.signals if "*" in wanted else len(wanted))
        return room + (_DISCOVERY if config["homeassistant"] else 0) + (_BESIDE_COMMANDS if config["command.key"] else 0)

    def _has_room(self, config):
        """Whether there is room for states: a device without them is better than one that does not start."""
        gc.collect()
        if gc.mem_free() < self._room_for_states(config):
            self.config_error = "state: no room for so many"
            return False
        return True

    def _make_outbox(self, config, for_states):
        """The outbox with as much RAM as is configured, or as leaves room for the rest."""
        gc.collect()
        rest = max(_REST + (_COMMANDS if config["command.key"] else 0), for_states and for_states + _SAMPLING)
        rest += _TLS if config["mqtt.tls"] else 0
        rest += once.call("pigtail.diag.room", "needed", self.asking[2]) if self.asking else 0
        wanted = config["outbox.bytes"]
        ram = min(wanted or _RAM, max(_LEAST_RAM, gc.mem_free() - rest))
        if ram < wanted:
            self.config_error = self.config_error or "outbox.bytes: no room for as many, %d in use" % ram
        streams = [batch.stream for batch in self._batches]
        segments = config["outbox.alert_segments"], config["outbox.diagnostic_segments"]
        thin = config["outbox.alert_thin"], config["outbox.diagnostic_thin"], config["outbox.telemetry_thin"]
        return Outbox(self.boot, streams, board.outbox_device(), ram, segments, config["outbox.files"], thin)

    def _make_sampler(self, profile, config):
        streams, versions = self._batches, (config["version"], 0)
        self.keeper = Keeper(streams, self.outbox, self.boot, profile.grid_ms, self.clock, versions, board.ignition)
        batch_ms = min(config["batch_ms"], self.outbox.batch_ms)
        self.sampler = Sampler(profile, self.values, streams, uptime.tick_of, batch_ms, self.keeper.deliver)

    def _make_bus(self, rate):
        """The bus at this rate; 0, or one that the controller cannot have, is found by listening. Without a controller that
        answers there is nothing to sample, but status and configuration still work."""
        try:
            return Bus(board.make_can(rate or _RATE), rate)
        except ValueError as error:
            self.config_error = "can.bitrate: " + str(error)
            return Bus(board.make_can(_RATE))
        except OSError as error:
            self.profile, self.profile_error = None, "the CAN controller does not answer: " + str(error)
            return None

    def _asking(self, allowed):
        """Whom to ask; None, and why, where the owner allowed it for another profile."""
        if allowed.lower() != once.call("pigtail.signals.asking", "identity", self.config["profile"]):
            self.config_error = "requests.profile: is not the profile in force; allow requests again"
            return None
        try:
            return once.call("pigtail.signals.asking", "load", self.profile)
        except (ValueError, KeyError) as error:
            self.config_error = "requests.profile: " + str(error)
            return None

    def parts(self) -> list:
        """What else was made for good, one of each kind."""
        batches = self._batches[:1]
        return batches + [batch.shared for batch in batches] + [self.outbox.ledger] + self.outbox.logs[:1]

    def _make_tls(self, config):
        if not config["mqtt.tls"]:
            return None
        from pigtail.uplink.tls import Tls  # here: most configurations do without

        return Tls(config, self.clock)


def _leave_bus():
    """In safe mode: a controller on SPI is as the crash has left it, and may acknowledge what it hears."""
    try:
        board.make_can(_RATE)
    except Exception as error:  # whatever it is, the rest of safe mode is to work
        sys.print_exception(error)
