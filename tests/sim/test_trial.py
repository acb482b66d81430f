"""A change of the configuration over MQTT in a drive: it is kept where the broker is reached with it, and else taken back."""

import asyncio
import json

import pytest

from host_tools.config import remote
from host_tools.config.secrets import KEPT
from host_tools.errors import InputError
from host_tools.reader.connection import parse
from host_tools.sim import image
from host_tools.sim.run import Simulation
from tests.sim.drives import Act, assert_books_balance, demo_car, drive
from tests.sim.test_control import KEY, SPEED, Owner

LIMIT_S = 300.0  # firmware/pigtail/config/trial


def on_flash(simulation: Simulation) -> dict[str, object]:
    """/config.json, once nothing is on trial any more."""
    flash = simulation.board.folder / "flash.img"
    for trial in "/config.try", "/config.tried":
        with pytest.raises(FileNotFoundError):
            image.read(flash, trial)
    found: dict[str, object] = json.loads(image.read(flash, "/config.json"))
    return found


def test_change_with_which_the_broker_is_reached_is_kept() -> None:
    owner, kept = Owner(), []
    changes = {"set": {"batch_ms": 3000, "mqtt.keepalive_s": 60, "wifi.networks": None}}
    looks = {30.0: lambda simulation: kept.append(on_flash(simulation))}
    report, simulation, _ = drive(32.0, at={8.0: owner.sends("config", **changes), **looks}, speed=SPEED, config=KEY)
    assert_books_balance(report)
    assert owner.result() == {"version": 1} and report.restarts == 1 and report.samples_accounted_lost == 0
    assert simulation.status["config"] == 1 and "change" not in str(simulation.status["config_error"])
    assert (kept[0]["batch_ms"], kept[0]["mqtt.keepalive_s"], kept[0]["version"]) == (3000, 60, 1)


def test_configuration_is_told_in_parts_while_the_device_samples_and_its_key_is_not() -> None:
    told: list[dict[str, object]] = []
    tasks: list[asyncio.Task[None]] = []
    names = [signal.name for signal in demo_car().signals][:45]
    given = KEY | {"periods": dict.fromkeys(names, 1000), "wifi.networks": [["phone", "hunter22"]]}

    async def read(simulation: Simulation) -> None:
        address, key = parse(simulation.broker_url), bytes.fromhex(KEY["command.key"])
        told.append(await remote.read(address, simulation.device, key, 60.0, int(1000 * simulation._utc())))

    def reads(simulation: Simulation) -> None:
        tasks.append(asyncio.get_running_loop().create_task(read(simulation)))

    report, simulation, _ = drive(40.0, at={12.0: reads}, speed=SPEED, config=given)
    assert_books_balance(report)
    assert report.restarts == 0 and not simulation.status["restarts"], report.heap_peak
    (config,) = told
    assert config["periods"] == given["periods"] and config["wifi.networks"] == [["phone", KEPT]]
    assert config["command.key"] == KEPT and simulation.status["commands"]["run"] >= 3  # type: ignore[index]


def test_fault_46_mistyped_port_over_the_air_is_taken_back_and_the_owner_told() -> None:
    kept: list[dict[str, object]] = []
    told: list[str] = []
    ends = LIMIT_S + 150

    def changes(**given: object) -> Act:
        def act(simulation: Simulation) -> None:
            tasks.append(asyncio.get_running_loop().create_task(change(simulation, given)))

        return act

    async def change(simulation: Simulation, given: dict[str, object]) -> None:
        address, key = parse(simulation.broker_url), bytes.fromhex(KEY["command.key"])
        now_ms = int(1000 * simulation._utc())
        try:
            version = await remote.change(address, simulation.device, key, given, 60.0, now_ms)
            told.append(f"{version} is in force")
        except remote.NotKept as error:
            told.append(str(error))

    tasks: list[asyncio.Task[None]] = []
    at = {10.0: changes(batch_ms=3000), 60.0: changes(nope=1), 90.0: changes(**{"mqtt.port": 9})}
    at[ends - 5] = lambda simulation: kept.append(on_flash(simulation))
    report, simulation, _ = drive(ends, at=at, speed=8.0, config=KEY)
    assert_books_balance(report)
    assert report.restarts == 3 and simulation.status["config"] == 3
    assert (kept[0]["batch_ms"], kept[0]["version"]) == (3000, 3) and kept[0]["mqtt.port"] != 9
    assert told == [
        "1 is in force",
        "the old configuration is in force: the change was taken back: no broker could be reached with it",
    ]
    assert isinstance(tasks[1].exception(), InputError)
