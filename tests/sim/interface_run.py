"""A drive in which the device says everything that it has to say: an outage, a power cut, states and Home Assistant, commands run
and refused. Kept is every message that the broker got, and what it had retained towards the end.

    python -m tests.sim.interface_run FILE    records the messages as `pigtail listen --raw` does
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.control import Command, message
from host_tools.reader.connection import Address, Connection
from host_tools.reader.recording import record
from host_tools.sim import broker, scenario
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from tests.sim.drives import demo_car

SPEED = 4.0
SECONDS = 46.0
HEAP = "192k"  # all at once is more than the 128 KiB have room for
LOOK_S = 1.0  # real seconds in which a broker hands out what it has retained
ASKED = {
    5.0: ("ping", {}, 60_000),
    6.0: ("snapshot", {"signals": ["Vehicle.Speed", "Vehicle.TraveledDistance"]}, 60_000),
    7.0: ("flush", {}, 60_000),
    8.0: ("ping", {}, -1),  # it has expired
    9.0: ("snapshot", {"signals": ["Vehicle.Sped"]}, 60_000),  # there is no such
    24.0: ("set_period", {"signal": "Vehicle.Speed", "period_ms": 500}, 60_000),
    33.0: ("reboot", {}, 60_000),
}
RETAINED_AT = 42.0


@dataclass
class Heard:
    """`messages` are (topic, payload, QoS) in their order, `retained` the topics of what was retained at RETAINED_AT."""

    device: str = ""
    messages: list[tuple[str, bytes, int]] = field(default_factory=list)
    retained: set[str] = field(default_factory=set)


def everything() -> Heard:
    """The drive with all that can be turned on."""
    config = {"state": {"*": 500}, "homeassistant": "homeassistant"}
    settings = Scenario(
        demo_car(), scenario.frames(()), SPEED, SECONDS, ((12.0, 18.0),), heap=HEAP, power_cuts=(15.0,), config=config
    )
    return asyncio.run(_heard(settings, True))


def least() -> Heard:
    """A short drive of a device that is left as it comes."""
    config: Mapping[str, object] = {"command.key": ""}
    return asyncio.run(_heard(Scenario(demo_car(), scenario.frames(()), SPEED, 12.0, config=config), False))


async def _heard(settings: Scenario, with_commands: bool) -> Heard:
    heard = Heard()
    left = dict(ASKED if with_commands else {})
    tasks: list[asyncio.Task[None]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with broker.start(None, directory=Path(folder)) as running, Connection(running.address) as client:
            await client.subscribe("#", qos=1)

            async def keep() -> None:
                async for told in client.messages:
                    assert isinstance(told.payload, bytes)
                    heard.messages.append((told.topic.value, told.payload, told.qos))

            def tick() -> None:
                now = simulation.car.now
                if now >= RETAINED_AT and not heard.retained:
                    heard.retained.add("")
                    tasks.append(asyncio.ensure_future(_look(running.address, heard)))
                if left and now >= (due := next(iter(left))):
                    tasks.append(asyncio.ensure_future(_ask(simulation, running.address, *left.pop(due))))

            simulation = Simulation(_at(settings, running.url))
            heard.device = simulation.device
            keeping = asyncio.ensure_future(keep())
            try:
                await simulation.run(tick)
                await asyncio.gather(*tasks)
            finally:
                keeping.cancel()
    heard.retained.discard("")
    assert not left, "the run ended before everything was asked"
    return heard


def _at(settings: Scenario, url: str) -> Scenario:
    return Scenario(**(vars(settings) | {"broker": url}))


async def _ask(
    simulation: Simulation, address: Address, name: str, arguments: dict[str, object], lasts_ms: int
) -> None:
    now_ms = int(1000 * simulation._utc())  # of the drive's time, which runs faster than ours
    payload = message(
        bytes.fromhex(simulation.command_key), simulation.device,
        Command(name, f"{name}-{now_ms}", now_ms, now_ms + lasts_ms, arguments),
    )  # fmt: skip
    async with Connection(address) as client:
        await client.publish(f"pigtail/v1/{simulation.device}/command", payload, qos=1)


async def _look(address: Address, heard: Heard) -> None:
    async with Connection(address) as client:
        await client.subscribe("#", qos=1)
        try:
            async with asyncio.timeout(LOOK_S):
                async for told in client.messages:
                    if told.retain:
                        heard.retained.add(told.topic.value)
        except TimeoutError:
            pass


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as file:
        for topic, payload, _ in everything().messages:
            file.write(record(topic, payload))
