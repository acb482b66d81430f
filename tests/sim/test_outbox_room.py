"""The room that the outbox leaves on the heap, see firmware/pigtail/assembly.py: enough for all that comes after it, and not so
much that a device with TLS and a command key finds fault with what nobody has set."""

import pytest

from host_tools.sim.security import MUTUAL, SERVER
from tests.sim.drives import assert_books_balance, drive
from tests.sim.test_control import KEY, NAMES, SPEED, Owner

TOO_MANY = {"outbox.bytes": 1 << 20}  # so all that there are
LEAST_BLOCK = 2048  # docs/health.md: below, a device is near its end


@pytest.mark.parametrize(("tls", "config"), [("", {}), ("", KEY), (SERVER, {}), (SERVER, KEY), (MUTUAL, KEY)])
def test_device_that_nobody_told_how_much_to_keep_in_ram_finds_no_fault_with_it(tls: str, config: dict[str, object]) -> None:
    report, simulation, _ = drive(8.0, tls=tls, config=config)
    assert_books_balance(report)
    assert simulation.status["config_error"] is None and not simulation.status["restarts"]


def test_default_for_which_there_is_no_room_is_no_fault_and_one_that_was_set_is() -> None:
    for given, told in ({}, None), ({"outbox.bytes": 4096}, "outbox.bytes: no room for as many, 1024 in use"):
        report, simulation, _ = drive(8.0, config=KEY | given, heap="120k")
        assert_books_balance(report)
        assert simulation.status["config_error"] == told


@pytest.mark.parametrize(("tls", "config"), [("", {}), (SERVER, {}), (MUTUAL, {})])
def test_largest_outbox_leaves_room_for_a_drive(tls: str, config: dict[str, object]) -> None:
    report, simulation, _ = drive(20.0, tls=tls, config=config | TOO_MANY, outages=((6.0, 12.0),))
    assert_books_balance(report)
    assert_room_was_enough(simulation.status, simulation.console)
    assert report.restarts == report.samples_accounted_lost == 0


@pytest.mark.parametrize("tls", ["", MUTUAL])
def test_largest_outbox_leaves_room_for_commands_and_for_a_change_that_is_tried(tls: str) -> None:
    owner = Owner()
    changes = {"batch_ms": 3000, "wifi.networks": [["phone", "hunter22"]]}
    asks = {8.0: owner.sends("snapshot", signals=list(NAMES)), 12.0: owner.sends("config", set=changes)}
    report, simulation, _ = drive(34.0, asks | {28.0: owner.sends("ping")}, speed=SPEED, tls=tls, config=KEY | TOO_MANY)
    assert_books_balance(report)
    assert_room_was_enough(simulation.status, simulation.console)
    assert [reply.ok for reply in owner.replies] == [True] * 3 and simulation.status["config"] == 1


def assert_room_was_enough(status: dict[str, object], console: str) -> None:
    assert "MemoryError" not in console and not status["restarts"] and not status["errors"]
    assert "outbox.bytes: no room for as many" in str(status["config_error"])
    assert int(str(status["heap_block"])) >= LEAST_BLOCK
