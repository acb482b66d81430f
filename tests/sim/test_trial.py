"""A change of the configuration over MQTT in a drive: it is kept where the broker is reached with it, and else taken back."""

import json

import pytest

from host_tools.sim import image
from host_tools.sim.run import Simulation
from tests.sim.drives import assert_books_balance, drive
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


def test_fault_46_mistyped_port_over_the_air_is_taken_back() -> None:
    owner, kept = Owner(), []
    looks = {LIMIT_S + 50: lambda simulation: kept.append(on_flash(simulation))}
    report, simulation, _ = drive(
        LIMIT_S + 52, at={12.0: owner.sends("config", set={"mqtt.port": 9}), **looks}, speed=8.0, config=KEY
    )
    assert_books_balance(report)
    assert owner.result() == {"version": 1} and report.restarts == 2
    assert simulation.status["config"] == 2
    assert simulation.status["config_error"] == "the change was taken back: no broker could be reached with it"
    assert kept[0]["mqtt.port"] != 9 and kept[0]["version"] == 2
