"""A drive in which the device says everything that it has to say: an outage, a power cut, lost frames, states and Home Assistant,
commands run and refused. Kept is every message that the broker got, and what it had retained towards the end."""

import asyncio
import json
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import can

from host_tools.control import Command, message
from host_tools.paths import ROOT
from host_tools.reader.connection import Address, Connection
from host_tools.signals import find
from host_tools.signals.asking import Ecu
from host_tools.signals.merge import merge
from host_tools.signals.profile import Profile
from host_tools.sim import broker, scenario
from host_tools.sim.ecus.file import load_all
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from tests.sim.drives import demo_car, send

SPEED = 3.0
MOST_S = 600.0  # a machine that is busy takes long to have everything asked
HEAP = "256k"  # all at once is more than the 128 KiB have room for
OUTAGE, POWER_CUT_AT, ASKED_FROM = (5.0, 10.0), 7.0, 14.0
LOOKED = "looked"  # a topic of our own: when it comes, everything that was retained has come
STOPPED_S = 0.5  # real seconds in which the firmware does not read the bus: its queue runs over
WAIT_S = 10.0  # real seconds in which a device answers
TURN_S = 0.05
LASTS_MS = 600_000
KEY = "5a" * 32
ECUS = ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"
SPEED_SIGNAL = "Vehicle.Speed"
ASKED: tuple[tuple[str, dict[str, object], int], ...] = (
    ("ping", {}, LASTS_MS),
    ("snapshot", {"signals": [SPEED_SIGNAL, "Vehicle.TraveledDistance"]}, LASTS_MS),
    ("flush", {}, LASTS_MS),
    ("capture", {"ids": [], "duration_ms": 500, "frames": 50}, LASTS_MS),
    ("ask", {"ecu": "battery", "request": "22f190"}, LASTS_MS),
    ("ask", {"ecu": "all", "request": "03"}, LASTS_MS),  # only the motor answers
    ("clear", {"ecu": "motor", "request": "04"}, LASTS_MS),
    ("gate", {"skip": 0}, LASTS_MS),
    ("settings", {"skip": 0}, LASTS_MS),
    ("unmute", {}, LASTS_MS),
    ("ping", {}, -1),  # it has expired
    ("snapshot", {"signals": ["Vehicle.Sped"]}, LASTS_MS),  # there is no such
    ("set_period", {"signal": SPEED_SIGNAL, "period_ms": 500}, LASTS_MS),
    ("allow", {"requests": True}, LASTS_MS),
    ("config", {"set": {"batch_ms": 9000}}, LASTS_MS),
    ("reboot", {}, LASTS_MS),
)


def asked_car() -> Profile:
    """The demo car, with what its ECUs are asked for, and all of them at once."""
    profile = merge([find.find(name, 1000, print) for name in ("demo-ev", "demo-ev-diagnostics")], print)
    return replace(profile, asking=replace(profile.asking, ecus=(*profile.asking.ecus, Ecu("all", 0x7DF, None))))


@dataclass
class Heard:
    """`messages` are (topic, payload, QoS) in their order, `retained` the topics of what was retained when all was asked."""

    device: str = ""
    messages: list[tuple[str, bytes, int]] = field(default_factory=list)
    retained: set[str] = field(default_factory=set)
    is_complete: bool = False

    def frames(self) -> Iterator[can.Message]:
        """A drive that goes on until all was asked."""
        for frame in scenario.frames(()):
            if self.is_complete:
                return
            yield frame


def everything() -> Heard:
    """The drive with all that can be turned on."""
    profile = asked_car()
    config = {"state": {"*": 500}, "homeassistant": "homeassistant", "command.key": KEY} | scenario.permission(profile)
    heard = Heard()
    settings = Scenario(
        profile, heard.frames(), SPEED, MOST_S, (OUTAGE,), heap=HEAP, power_cuts=(POWER_CUT_AT,), config=config,
        ecus=load_all([ECUS]),
    )  # fmt: skip
    asyncio.run(_hear(heard, settings, True))
    assert heard.is_complete, "the drive ended before everything was asked"
    return heard


def least() -> Heard:
    """A short drive of a device that is left as it comes."""
    heard = Heard()
    asyncio.run(_hear(heard, Scenario(demo_car(), heard.frames(), SPEED, 12.0), False))
    return heard


async def _hear(heard: Heard, settings: Scenario, with_commands: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with broker.start(None, directory=Path(folder)) as running, Connection(running.address) as client:
            await client.subscribe("#", qos=1)

            async def keep() -> None:
                async for told in client.messages:
                    assert isinstance(told.payload, bytes)
                    if told.topic.value == LOOKED:
                        continue
                    heard.messages.append((told.topic.value, told.payload, told.qos))

            simulation = Simulation(replace(settings, broker=running.url))
            heard.device = simulation.device
            keeping = asyncio.ensure_future(keep())
            asking = asyncio.ensure_future(_ask_all(simulation, running.address, heard)) if with_commands else None
            try:
                await simulation.run()
            finally:
                keeping.cancel()
                if asking:
                    asking.cancel()


async def _ask_all(simulation: Simulation, address: Address, heard: Heard) -> None:
    """Each command is asked when the one before was answered; again, as a new one, while the device was not ready for it."""
    while simulation.car.now < ASKED_FROM:
        await asyncio.sleep(TURN_S)
    send(signal.SIGSTOP)(simulation)
    await asyncio.sleep(STOPPED_S)
    send(signal.SIGCONT)(simulation)
    for name, arguments, lasts_ms in ASKED:
        while await _ask(simulation, address, heard, name, arguments, lasts_ms) in (None, "clock_unknown"):
            pass
    heard.retained = await _retained(address)
    heard.is_complete = True


async def _ask(
    simulation: Simulation, address: Address, heard: Heard, name: str, arguments: dict[str, object], lasts_ms: int
) -> str | None:
    """The reason of the refusal, empty for none; None when there was no reply."""
    now_ms = int(1000 * simulation._utc())  # of the drive's time, which runs faster than ours
    command = Command(name, f"{name}-{now_ms}", now_ms, now_ms + lasts_ms, arguments)
    payload = message(bytes.fromhex(KEY), simulation.device, command)
    async with Connection(address) as client:
        await client.publish(f"pigtail/v1/{simulation.device}/command", payload, qos=1)
    for _ in range(round(WAIT_S / TURN_S)):
        for topic, told, _ in heard.messages:
            if topic.endswith("/reply") and (fields := json.loads(told))["id"] == command.id:
                return str(fields.get("reason", ""))
        await asyncio.sleep(TURN_S)
    return None


async def _retained(address: Address) -> set[str]:
    topics: set[str] = set()
    async with Connection(address) as client:
        await client.subscribe("#", qos=1)
        await client.publish(LOOKED, b"", qos=1)
        async for told in client.messages:
            if told.topic.value == LOOKED:
                break
            if told.retain:
                topics.add(told.topic.value)
    return topics
