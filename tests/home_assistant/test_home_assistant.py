"""A real Home Assistant shows what the device announces: `make test-home-assistant` brings one and runs these tests."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from host_tools.reader.connection import Address
from host_tools.sim import broker
from host_tools.toolchain import mosquitto
from tests.home_assistant.device import Device, device
from tests.home_assistant.home import HASS, Home
from tests.sim.drives import demo_car

pytestmark = [
    pytest.mark.skipif(not os.environ.get("HOME_ASSISTANT"), reason="runs in `make test-home-assistant`"),
    pytest.mark.skipif(not HASS.exists(), reason="Home Assistant could not be installed"),
    pytest.mark.skipif(mosquitto.find() is None, reason="needs mosquitto: amqtt forgets what is retained"),
]

CAR = "pigtail demo EV "
SPEED, SOC, MOVING, CHARGING = (
    CAR + name.replace("Battery", "Powertrain TractionBattery")
    for name in ("Speed", "Battery StateOfCharge Current", "IsMoving", "Battery ChargingState")
)
CONFIG: dict[str, object] = {
    "state": {
        "Vehicle.Speed": 200, "Vehicle.IsMoving": 200, "Vehicle.Powertrain.TractionBattery.StateOfCharge.Current": 200,
        "Vehicle.Powertrain.TractionBattery.ChargingState": 200,
    },
    "homeassistant": "homeassistant",
}  # fmt: skip
WAIT_S = 90.0
Entities = dict[str, dict[str, Any]]


class Broker:
    """mosquitto without persistence on one port; `restart` makes it forget everything."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self.address = Address("127.0.0.1", 0)

    async def start(self) -> None:
        started = await self._stack.enter_async_context(broker.start(None, self.address.port or None, directory=self._folder))
        self.address = started.address

    async def stop(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def house(folder: Path, config: dict[str, object], silent: str = "") -> AsyncIterator[tuple[Home, Broker, Device]]:
    """Broker, Home Assistant and a device; the message with the signal `silent` never comes."""
    messages = demo_car().messages
    ids = frozenset(m.arbitration_id for m in messages if silent in [signal.name for signal in m.signals])
    for name in "broker", "device":
        (folder / name).mkdir()
    server = Broker(folder / "broker")
    await server.start()
    home = Home(folder / "home", server.address.port)
    try:
        await home.start()
        async with device(folder / "device", server.address, config, ids) as made:
            yield home, server, made
    finally:
        await home.stop()
        await server.stop()


async def until(home: Home, holds: Callable[[Entities], bool]) -> Entities:
    """The entities as soon as `holds` is true of them."""
    deadline = asyncio.get_running_loop().time() + WAIT_S
    while True:
        entities = await home.entities()
        if holds(entities):
            return entities
        assert asyncio.get_running_loop().time() < deadline, entities
        await asyncio.sleep(0.5)


def have_values(*names: str) -> Callable[[Entities], bool]:
    return lambda entities: all(entities.get(name, {}).get("state", "") not in ("", "unknown", "unavailable") for name in names)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 280))  # type: ignore[arg-type]


def test_home_assistant_shows_entities_of_signals_that_have_a_value_and_no_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        silent = "Vehicle.Powertrain.TractionBattery.ChargingState"
        async with house(tmp_path, CONFIG, silent) as (home, _, _):
            entities = await until(home, have_values(SPEED, SOC, MOVING))
            await asyncio.sleep(2)
            assert CHARGING not in await home.entities()
            assert entities[MOVING]["state"] in ("on", "off")
            soc = entities[SOC]
            assert 0 < float(soc["state"]) <= 100
            assert soc["attributes"] == {
                "quality": "valid", "source": "broadcast", "state_class": "measurement", "unit_of_measurement": "%",
                "device_class": "battery", "friendly_name": SOC,
            }  # fmt: skip
            assert entities[SPEED]["attributes"]["device_class"] == "speed"

    run(scenario)


def test_home_assistant_has_all_values_again_after_a_broker_restart_and_after_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        names = SPEED, SOC, MOVING, CHARGING
        async with house(tmp_path, CONFIG) as (home, server, _):
            await until(home, have_values(*names))
            await server.stop()
            await until(home, lambda entities: entities[SOC]["state"] == "unavailable")
            await server.start()
            await until(home, have_values(*names))
            await home.stop()
            await home.start()
            entities = await until(home, have_values(*names))
            assert entities[CHARGING]["state"] == "Idle"

    run(scenario)


def test_home_assistant_has_no_entity_left_of_a_signal_that_was_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path, CONFIG) as (home, _, made):
            await until(home, have_values(SPEED, SOC, MOVING, CHARGING))
            await made.configure(CONFIG | {"state": {"Vehicle.Speed": 200}})
            await until(home, lambda entities: set(entities) == {SPEED})
            await until(home, have_values(SPEED))
            await home.stop()
            assert home.registered() == {"pigtail_car1_Vehicle-Speed"}
            await home.start()
            assert set(await until(home, have_values(SPEED))) == {SPEED}

    run(scenario)
