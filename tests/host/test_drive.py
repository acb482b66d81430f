"""The generated drive: timing, coding and physics of the demo car, and a bus filled up with other frames."""

from collections import defaultdict
from itertools import islice, pairwise, takewhile
from random import Random

import can
import cantools
import pytest

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals.find import find
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.sim import drive
from host_tools.sim.driver import CHARGE_LIMIT, CHARGE_WHEN_BELOW, CHARGING, STEP
from host_tools.sim.electric_car import (
    CAPACITY_AH,
    CELL_EMPTY,
    CELL_FULL,
    CELLS,
    RESISTANCE,
    ElectricCar,
)

DBC = cantools.database.load_file(VEHICLES / "demo-ev.dbc")  # strict: no overlaps, nothing overruns
JOURNEY_S = 460


def seconds(until: float, seed: int = 1) -> list[can.Message]:
    return list(takewhile(lambda frame: frame.timestamp < until, drive.frames(seed)))


@pytest.fixture(scope="module")
def journey() -> list[can.Message]:
    """Trips, a charging stop, parking."""
    return seconds(JOURNEY_S)


@pytest.fixture(scope="module")
def decoded(journey: list[can.Message]) -> dict[str, list[tuple[float, float]]]:
    """(time, value) by signal."""
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for frame in journey:
        message = DBC.get_message_by_frame_id(frame.arbitration_id)
        values = message.decode(bytes(frame.data), decode_choices=False)
        for name, value in values.items():
            series[f"{message.name}.{name}"].append((frame.timestamp, value))
    return series


def fingerprint(frames: list[can.Message]) -> list[tuple[float, int, bytes]]:
    return [(frame.timestamp, frame.arbitration_id, bytes(frame.data)) for frame in frames]


def test_a_seed_makes_the_same_drive_and_another_seed_another() -> None:
    assert fingerprint(seconds(20)) == fingerprint(seconds(20))
    assert fingerprint(seconds(20)) != fingerprint(seconds(20, seed=2))


def test_start_shifts_all_times() -> None:
    for plain, shifted in zip(islice(drive.frames(3), 2000), islice(drive.frames(3, 1e6), 2000), strict=True):
        assert shifted.timestamp == 1e6 + plain.timestamp
        assert shifted.data == plain.data


def assert_spaced(frames: list[can.Message]) -> None:
    for before, frame in pairwise(frames):
        least = drive.duration(len(frame.data), frame.is_extended_id)
        assert frame.timestamp - before.timestamp >= least - 1e-9


def test_no_two_frames_are_closer_than_a_frame_takes(journey: list[can.Message]) -> None:
    assert journey[0].timestamp > 0
    assert_spaced(journey)


def test_duration_of_the_longest_frames() -> None:
    # ISO 11898-1: 135 bits with an 11-bit id, 160 with 29, stuffed at worst and with the gap
    assert drive.duration(8, is_extended_id=False) == 135 / 500_000
    assert drive.duration(8, is_extended_id=True) == 160 / 500_000
    assert drive.duration(0, is_extended_id=False, bitrate=1_000_000) == 55 / 1_000_000


def test_every_message_keeps_its_period(journey: list[can.Message]) -> None:
    times = defaultdict(list)
    for frame in journey:
        times[frame.arbitration_id].append(frame.timestamp)
    assert times.keys() == {message.frame_id for message in DBC.messages}
    for message in DBC.messages:
        period, own = message.cycle_time / 1000, times[message.frame_id]
        assert abs(len(own) - JOURNEY_S / period) <= 1
        for number, time in enumerate(own):
            assert abs(time - own[0] - number * period) < 0.03 * period + 0.003


def test_frames_are_those_of_the_dbc(journey: list[can.Message]) -> None:
    for frame in journey[:30_000]:
        message = DBC.get_message_by_frame_id(frame.arbitration_id)
        assert (frame.is_extended_id, frame.dlc, frame.channel) == (
            message.is_extended_frame,
            message.length,
            "can0",
        )
        assert message.encode(message.decode(bytes(frame.data), decode_choices=False)) == bytes(frame.data)


def test_values_stay_within_the_ranges_and_tables_of_the_dbc(
    decoded: dict[str, list[tuple[float, float]]],
) -> None:
    for message in DBC.messages:
        for signal in message.signals:
            values = {value for _, value in decoded[f"{message.name}.{signal.name}"]}
            if signal.minimum is not None and signal.maximum is not None:
                assert signal.minimum <= min(values) and max(values) <= signal.maximum, signal.name
            if signal.choices:
                assert values <= signal.choices.keys(), signal.name


def test_counters_roll_and_checksums_hold(journey: list[can.Message]) -> None:
    last: dict[str, int] = {}
    checked = 0
    for frame in journey[:30_000]:
        message = DBC.get_message_by_frame_id(frame.arbitration_id)
        values = message.decode(bytes(frame.data), decode_choices=False)
        if f"{message.name}Counter" in values:
            counter = values[f"{message.name}Counter"]
            assert counter == (last.get(message.name, -1) + 1) % 16
            last[message.name] = counter
        if f"{message.name}Checksum" in values:
            # as the DBC's comment has it
            total = sum(frame.data[:-1]) + sum(frame.arbitration_id.to_bytes(4, "big"))
            assert values[f"{message.name}Checksum"] == 255 - total % 256
            checked += 1
    assert len(last) == 6 and checked > 20_000


def between(series: list[tuple[float, float]], start: float, end: float) -> list[float]:
    return [value for time, value in series if start <= time < end]


def spans(series: list[tuple[float, float]], wanted: float) -> list[tuple[float, float]]:
    """When a signal had a value without a break, for ten seconds or longer."""
    found, begun = [], None
    for time, value in [*series, (1e9, float("nan"))]:
        if value == wanted:
            begun, last = (time if begun is None else begun), time
        elif begun is not None:
            found.append((begun, last))
            begun = None
    return [(start, end) for start, end in found if end - start > 10]


def test_charge_falls_while_driving_and_rises_while_charging(
    decoded: dict[str, list[tuple[float, float]]],
) -> None:
    soc = decoded["BatteryCharge.StateOfCharge"]
    driving = spans(decoded["GearState.SelectedGear"], 127)
    charging = spans(decoded["Charger.State"], CHARGING)
    assert driving and charging
    assert all(between(soc, *span)[0] >= between(soc, *span)[-1] for span in driving)
    assert sum(between(soc, *span)[0] - between(soc, *span)[-1] for span in driving) >= 0.4
    for span in charging:
        values = between(soc, *span)
        assert values == sorted(values) and values[-1] - values[0] >= 1
        assert min(between(decoded["BatteryPower.PackCurrent"], span[0] + 8, span[1])) > 60


def test_power_is_voltage_times_current_on_the_wire(decoded: dict[str, list[tuple[float, float]]]) -> None:
    power = decoded["BatteryPower.PackPower"]
    product = [
        voltage * current
        for (_, voltage), (_, current) in zip(
            decoded["BatteryPower.PackVoltage"], decoded["BatteryPower.PackCurrent"], strict=True
        )
    ]
    for (_, told), computed in zip(power, product, strict=True):
        assert abs(told - computed) < 60  # W: 0.05 A at 400 V and 0.05 V at 400 A


def test_the_drive_has_stops_regeneration_and_no_leaps(decoded: dict[str, list[tuple[float, float]]]) -> None:
    speed = decoded["VehicleMotion.Speed"]
    assert max(value for _, value in speed) > 80
    stops = spans([(time, float(value == 0)) for time, value in speed], 1.0)
    assert len(stops) >= 3
    for (at, before), (then, after) in pairwise(speed):
        assert abs(after - before) / 3.6 / (then - at) < 4  # m/s^2, quantisation and jitter included
    braking = [
        current
        for (_, current), (_, torque) in zip(
            decoded["BatteryPower.PackCurrent"], decoded["MotorState.Torque"][::5], strict=False
        )
        if torque < -60
    ]
    assert max(braking) > 30  # A into the battery


def test_voltage_sags_under_load(decoded: dict[str, list[tuple[float, float]]]) -> None:
    pairs = list(zip(decoded["BatteryPower.PackVoltage"], decoded["BatteryPower.PackCurrent"], strict=True))
    loaded = [voltage for (_, voltage), (_, current) in pairs if current < -100]
    idle = [voltage for (_, voltage), (_, current) in pairs if abs(current) < 5]
    assert max(loaded) < min(idle) and all(250 < voltage < 410 for voltage in loaded + idle)


def test_low_voltage_follows_the_converter(decoded: dict[str, list[tuple[float, float]]]) -> None:
    ready = spans(decoded["GearState.DriveReady"], 1)
    volts = decoded["LowVoltage.BatteryVoltage"]
    assert all(13.9 < v < 14.5 for start, end in ready for v in between(volts, start + 3, end))
    assert min(value for _, value in volts) > 12.4


def test_motor_warms_up_and_everything_stays_cool_enough(
    decoded: dict[str, list[tuple[float, float]]],
) -> None:
    motor = [value for _, value in decoded["DriveTemperatures.Motor"]]
    outside = decoded["Climate.OutsideTemperature"][0][1]
    assert motor[-1] > outside + 3 and max(motor) < 120
    assert max(value for _, value in decoded["BatteryTemperatures.Hottest"]) < 50


def stored_joule(soc: float) -> float:
    """What the battery holds: its open voltage, linear in the charge, integrated."""
    empty, rise = CELLS * CELL_EMPTY, CELLS * (CELL_FULL - CELL_EMPTY)
    return CAPACITY_AH * 3600 * (empty * soc + rise * soc**2 / 2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_energy_balance(seed: int) -> None:
    car = ElectricCar(Random(seed))
    before, flowed, lost, exchanged = stored_joule(car.soc), 0.0, 0.0, 0.0
    for _ in range(30_000):
        car.step()
        flowed += car.voltage * car.current * STEP
        lost += car.current**2 * RESISTANCE * STEP
        exchanged += abs(car.power) * STEP
    assert abs(stored_joule(car.soc) - before - (flowed - lost)) < 1e-4 * exchanged
    assert lost < 0.1 * exchanged


def test_an_empty_battery_is_charged_to_its_limit() -> None:
    car = ElectricCar(Random(5))
    car.soc = CHARGE_WHEN_BELOW
    lowest = highest = car.soc
    for _ in range(500_000):
        car.step()
        lowest, highest = min(lowest, car.soc), max(highest, car.soc)
        if highest >= CHARGE_LIMIT and car.cockpit.gear == 127:
            break
    assert 0.1 < lowest < CHARGE_WHEN_BELOW and CHARGE_LIMIT <= highest < CHARGE_LIMIT + 0.01


def test_every_message_of_the_profile_is_on_the_bus(journey: list[can.Message]) -> None:
    profile = find("demo-ev", 0, lambda line: None)
    seen = {(frame.arbitration_id, frame.is_extended_id) for frame in journey[:1000]}
    assert all((message.arbitration_id, message.is_extended_id) in seen for message in profile.messages)


@pytest.mark.parametrize("rate", [500, 1500, 3000, 4000])
def test_load_fills_the_bus_up_to_the_rate(rate: int) -> None:
    plain = seconds(30)
    loaded = list(drive.load(iter(plain), rate))
    assert_spaced(loaded)
    assert abs(len(loaded) / 30 - rate) < 0.01 * rate
    second_by_second = [sum(s <= frame.timestamp < s + 1 for frame in loaded) for s in range(1, 29)]
    assert all(abs(count - rate) < 0.03 * rate for count in second_by_second)


def test_load_leaves_the_frames_of_the_source_as_they_are() -> None:
    plain = seconds(5)
    ids = {frame.arbitration_id for frame in plain}
    kept = [frame for frame in drive.load(iter(plain), 2000) if frame.arbitration_id in ids]
    assert fingerprint(kept) == fingerprint(seconds(5))


def test_load_uses_no_id_of_the_profile_or_the_demo_car() -> None:
    own = {frame.arbitration_id for frame in seconds(2)}
    free = sorted(set(range(0x800)) - own)[30:]  # a profile that leaves thirty ids
    profile = Profile("p", "", "", tuple(Message(n, False, "m", (Signal(f"s{n}", 0, 8),)) for n in free))
    fillers = {frame.arbitration_id for frame in drive.load(iter(seconds(2)), 3000, profile)} - own
    assert 20 <= len(fillers) <= 30 and not fillers & set(free)


def test_load_is_deterministic_and_seeded() -> None:
    def loaded(seed: int) -> list[tuple[float, int, bytes]]:
        return fingerprint(list(drive.load(iter(seconds(2)), 1000, seed=seed)))

    assert loaded(1) == loaded(1) != loaded(2)


def test_load_of_a_silent_a_busy_and_an_empty_source() -> None:
    silent = [can.Message(time, 1, False, data=bytes(8)) for time in (0.0, 10.0)]
    assert abs(len(list(drive.load(iter(silent), 1000))) - 10_000) <= 2
    busy = [can.Message(n / 2000, 1, False, data=bytes(8)) for n in range(4000)]
    assert len(list(drive.load(iter(busy), 1000))) == 4000
    # a busy second is not paid back by a silent one
    tail = [can.Message(busy[-1].timestamp + 1 + n / 100, 1, False, data=bytes(8)) for n in range(100)]
    assert abs(len(list(drive.load(iter(busy + tail), 1000))) - 4000 - 1900) < 0.06 * 2000
    assert list(drive.load(iter([]), 1000)) == []


def test_load_that_no_bus_carries_is_refused() -> None:
    for rate in (0, -1, 8182, 10_000):
        with pytest.raises(InputError, match="carries 1 to 8181"):
            drive.load(iter([]), rate)
