"""power/vehicle: awake only when that is known."""

from fakes import Time
from pigtail.power import vehicle as vehicle_module
from pigtail.power.vehicle import Vehicle

TIME = Time(5).into(vehicle_module)
CHARGING = {"charging": (0, 0, [1, 2])}


class Values:
    def __init__(self):
        self.ticks = [8 << 28 | 5] * 2
        self.raw = [0, 0]
        self.quality = bytearray(2)


def states_of(states, ignition, mv=None):
    values = Values()
    return values, Vehicle(values, states, lambda: ignition, lambda: mv, 11_800, 13_200)


def test_ignition_alone():
    for ignition, state in (True, "awake"), (False, "asleep"), (None, "unknown"):
        assert states_of({}, ignition)[1].state() == state


def test_twelve_volts_say_that_it_is_charged_or_that_there_is_too_little():
    for ignition, mv, state in (
        (True, 12_400, "awake"), (True, 14_100, "awake"), (True, 11_799, "low"), (False, 12_400, "asleep"),
        (False, 13_199, "asleep"), (False, 13_200, "charging"), (False, 11_000, "low"), (None, 13_500, "unknown"),
        (None, 11_000, "low"),
    ):  # fmt: skip
        assert states_of({}, ignition, mv)[1].state() == state, (ignition, mv)


def test_charging_with_the_ignition_on():
    values, vehicle = states_of(CHARGING, True)
    for raw, state in (0, "awake"), (1, "charging"), (2, "charging"), (3, "awake"):
        values.raw[0] = raw
        assert vehicle.state() == state


def test_locked_hides_charging_and_a_low_battery_both():
    values, vehicle = states_of({"charging": (0, 0, [1]), "locked": (1, 1, [1])}, True)
    values.raw[0] = 1
    assert vehicle.state() == "charging"
    values.raw[1] = 1
    assert vehicle.state() == "locked"
    vehicle._battery_mv = lambda: 11_000
    assert vehicle.state() == "low"


def test_what_was_not_heard_is_not_known():
    for tick in 0, 15 << 28 | 5:
        values, vehicle = states_of(CHARGING, True)
        values.ticks[0] = tick
        assert vehicle.state() == "unknown"


def test_state_that_no_frame_has_told_for_five_seconds_is_not_known_nor_when_ticks_have_come_round():
    values, vehicle = states_of({"awake": (0, 0, [0])}, None)
    for heard_at in 5, (1 << 28) - 4000:
        values.ticks[0] = 8 << 28 | heard_at
        for age, state in (0, "awake"), (5000, "awake"), (5001, "unknown"), ((1 << 28) + 4000, "unknown"):
            TIME.now = heard_at + age
            assert vehicle.state() == state, age
    values.ticks[0] = 8 << 28 | TIME.now & 0x0FFFFFFF
    assert vehicle.state() == "awake"
    TIME.now = 5


def test_value_that_cannot_be_trusted_is_not_known():
    for quality in 1, 2, 3, 4:
        values, vehicle = states_of(CHARGING, True)
        values.quality[0] = quality
        assert vehicle.state() == "unknown"


def test_without_a_sense_of_the_ignition_a_signal_may_say_it():
    values, vehicle = states_of({"awake": (1, 1, [7])}, None)
    assert vehicle.state() == "unknown"
    values.raw[1] = 7
    assert vehicle.state() == "awake"
    values.ticks[1] = 15 << 28
    assert vehicle.state() == "unknown"
    assert states_of({"awake": (1, 1, [7])}, True)[1].state() == "awake"
