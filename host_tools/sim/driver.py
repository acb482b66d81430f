"""The driver of the demo electric car: one script for ever, of trips with stops, parking and charging."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

STEP = 0.01  # s, of the script and of the physics

ACCELERATION = 2.2  # m/s^2
CHARGE_LIMIT, CHARGE_WHEN_BELOW, CHARGE_CHANCE = 0.8, 0.2, 0.5
PARK, DRIVE = 126, 127  # VSS's selected gear
IDLE, CHARGING, INITIALISING, TERMINATING = 0, 1, 10, 12  # VSS's charging states


@dataclass
class Cockpit:
    """Between driver and car: what the driver does, and what the instruments show."""

    speed: float = 0.0  # shown, m/s
    soc: float = 0.0  # shown
    target_speed: float = 0.0
    turn: float = 0.0  # steering wheel, degrees, left positive
    gear: int = PARK
    ready: bool = False
    door_open: bool = False
    locked: bool = True
    cable: bool = False
    charging_state: int = IDLE
    indicator: int = 0  # -1 right, 1 left
    begins_trip: bool = False  # for one step


def script(cockpit: Cockpit, rng: Random) -> Iterator[None]:
    """Each step of the driver: get in, drive some legs with stops between, park, charge at times, get out, again."""
    while True:
        yield from _get_in(cockpit)
        for _ in range(rng.randint(3, 5)):
            yield from _leg(cockpit, rng)
        yield from _park(cockpit)
        if cockpit.soc < CHARGE_WHEN_BELOW:
            yield from _charge(cockpit, CHARGE_LIMIT)
        elif rng.random() < CHARGE_CHANCE:
            yield from _charge(cockpit, min(CHARGE_LIMIT, cockpit.soc + rng.uniform(0.02, 0.05)))
        yield from _get_out(cockpit, rng)


def _wait(seconds: float) -> Iterator[None]:
    for _ in range(round(seconds / STEP)):
        yield


def _get_in(cockpit: Cockpit) -> Iterator[None]:
    cockpit.locked = False
    yield from _wait(1.0)
    cockpit.door_open = True
    yield from _wait(1.5)
    cockpit.door_open = False
    yield from _wait(0.8)
    cockpit.ready = cockpit.begins_trip = True
    yield
    cockpit.begins_trip = False
    yield from _wait(1.2)
    cockpit.gear, cockpit.locked = DRIVE, True
    yield from _wait(0.5)


def _leg(cockpit: Cockpit, rng: Random) -> Iterator[None]:
    """From one stop to the next: a speed limit held for a while, a turn at times, then a red light."""
    limit = rng.choice([30, 50, 50, 50, 70, 100, 120]) / 3.6
    cockpit.target_speed = limit * rng.uniform(0.93, 1.03)
    yield from _wait(limit / ACCELERATION + rng.uniform(6, 30))
    if rng.random() < 0.6:
        yield from _turn(cockpit, rng.choice([-1, 1]), rng.uniform(70, 160))
    cockpit.target_speed = 0.0
    while cockpit.speed > 0:
        yield
    yield from _wait(rng.uniform(2, 12))


def _turn(cockpit: Cockpit, side: int, angle: float) -> Iterator[None]:
    cockpit.indicator, cockpit.target_speed = side, 20 / 3.6
    while cockpit.speed > 22 / 3.6:
        yield
    cockpit.turn = side * angle
    yield from _wait(3.5)
    cockpit.turn, cockpit.indicator, cockpit.target_speed = 0.0, 0, 45 / 3.6
    yield from _wait(6)


def _park(cockpit: Cockpit) -> Iterator[None]:
    cockpit.gear = PARK
    yield from _wait(1.5)
    cockpit.ready = False
    yield from _wait(1.0)


def _charge(cockpit: Cockpit, until_soc: float) -> Iterator[None]:
    cockpit.cable = True
    yield from _wait(2.0)
    cockpit.charging_state = INITIALISING
    yield from _wait(3.0)
    cockpit.charging_state = CHARGING
    while cockpit.soc < until_soc:
        yield
    cockpit.charging_state = TERMINATING
    yield from _wait(3.0)
    cockpit.charging_state = IDLE
    yield from _wait(1.0)
    cockpit.cable = False


def _get_out(cockpit: Cockpit, rng: Random) -> Iterator[None]:
    cockpit.locked, cockpit.door_open = False, True
    yield from _wait(2.0)
    cockpit.door_open = False
    yield from _wait(0.7)
    cockpit.locked = True
    yield from _wait(rng.uniform(5, 15))
