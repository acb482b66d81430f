"""The cars in firmware/vehicles: whole, true to the public files that they were written from, and tried as they say."""

import tomllib
from pathlib import Path

import can
import pytest

from host_tools import logs
from host_tools.paths import ROOT, VEHICLES
from host_tools.signals import dbc, find
from host_tools.signals.check import check
from host_tools.signals.frames import Frames
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import UNSAMPLED, Signal

DATA = ROOT.parent / "shared" / "data"
PUBLIC = {
    "kona-ev": DATA / "kona-ev" / "pcan.dbc",
    "tesla-model-3": DATA / "dbc" / "Model3CAN.dbc",
    "toyota-tss2": DATA / "dbc" / "toyota_nodsu_pt_generated.dbc",
    "scion-fr-s": DATA / "frs" / "sample_can_spec.dbc",
}
UNITS = {
    ("km", "m"): 1000, ("mi", "m"): 1609.344, ("m/s", "km/h"): 3.6, ("rad/s", "degrees/s"): 57.2957795,
}  # fmt: skip
# put together from two signals; a raw pedal value made a share of its greatest
OWN_WAY = {"Vehicle.Powertrain.TractionBattery.Range", "Vehicle.Chassis.Accelerator.PedalPosition"}


@pytest.mark.parametrize("name", find.names())
def test_a_car_is_the_same_packed_and_unpacked(name: str) -> None:
    profile = find.find(name, 0, print)
    assert unpack(pack(profile)) == profile


@pytest.mark.parametrize("name", find.names())
def test_a_car_says_where_it_comes_from_and_what_was_tried(name: str) -> None:
    reports: list[str] = []
    profile = find.find(name, 0, reports.append)
    head = tomllib.loads((VEHICLES / f"{name}.toml").read_text())["vehicle"]
    assert reports == [] and profile.name == name
    assert all(head[key] for key in ("model_years", "source", "tried"))
    assert all(signal.purpose for signal in profile.signals if signal.period_ms != UNSAMPLED)
    assert not any(signal.purpose for signal in profile.signals if signal.period_ms == UNSAMPLED)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no public DBC files: {DATA} is absent")
@pytest.mark.parametrize("name", PUBLIC)
def test_a_car_has_the_bits_and_scales_of_its_source(name: str) -> None:
    source = find.profile(dbc.load(PUBLIC[name], lambda _: None), name, 0, lambda _: None)
    public = {(message.key, bits(signal)): signal for message in source.messages for signal in message.signals}
    for message in find.find(name, 0, print).messages:
        for signal in message.signals:
            if signal.name not in OWN_WAY and signal.length > 1:
                theirs = public[message.key, bits(signal)]
                assert (signal.is_signed, bool(signal.selection)) == (theirs.is_signed, bool(theirs.selection))
                factor = UNITS.get((theirs.unit.lower(), signal.unit), 1)
                assert signal.scale == pytest.approx(theirs.scale * factor, rel=1e-6), signal.name
                assert signal.offset == pytest.approx(theirs.offset * factor), signal.name
                assert signal.labels.keys() <= theirs.labels.keys() or name == "scion-fr-s"


def bits(signal: Signal) -> tuple[int, int, str]:
    return signal.start, signal.length, signal.byte_order


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recording: {DATA} is absent")
def test_the_kona_was_tried_as_it_says() -> None:
    log = DATA / "kona-ev" / "kona2019_230112-7_pcan0_ccan1.log.gz"
    result, _ = check(logs.read(log, "0"), find.find("kona-ev", 0, print), frozenset())
    assert (result.frames, result.ids, result.known_ids) == (24263, 101, 15)
    assert round(100 * result.known_frames / result.frames, 1) == 22.2
    wrong = {s.name: (s.out_of_range, s.values) for s in result.signals if s.out_of_range}
    assert wrong == {
        "Vehicle.Acceleration.Lateral": (170, 679),
        "Vehicle.Acceleration.Longitudinal": (170, 679),
        "Vehicle.AngularVelocity.Yaw": (170, 679),
        "Vehicle.Chassis.SteeringWheel.Angle": (39, 863),
        "Vehicle.LowVoltageBattery.CurrentVoltage": (3, 70),
    }
    guards = {guard.signal: (guard.frames, guard.wrong) for guard in result.guards}
    assert guards == {"Drive.Counter": (1084, 1), "Steering.Counter": (863, 0)}
    named = find.named(PUBLIC["kona-ev"])
    whole, _ = check(logs.read(log, "0"), find.find(PUBLIC["kona-ev"], 0, lambda _: None), named)
    assert whole.known_frames == 24262


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no recording: {DATA} is absent")
def test_the_scion_was_tried_as_it_says() -> None:
    result, _ = check(
        logs.read(DATA / "frs" / "can_sample.log.gz"), find.find("scion-fr-s", 0, print), frozenset()
    )
    assert (result.frames, result.known_frames, result.ids, result.known_ids) == (82558, 33502, 35, 7)
    assert not result.has_failed and all(guard.wrong == 0 for guard in result.guards)
    assert all(signal.values for signal in result.signals)
    assert sum(signal.is_constant for signal in result.signals) == 1


def frame(data: str) -> Frames:
    message = can.Message(arbitration_id=0x7E8, is_extended_id=False, data=bytes.fromhex(data))
    return Frames([message], find.find("obd2", 0, print))


@pytest.mark.parametrize(
    ("data", "name", "value"),
    [
        ("04410C1AF8000000", "EngineSpeed", 1726),
        ("0341057B00000000", "CoolantTemperature", 83),
        ("0341068000000000", "ShortTermFuelTrim1", 0),
        ("0641018300000000", "Status.IsMILOn", 1),
        ("0641018300000000", "Status.DTCCount", 3),
        ("044132FFFF000000", "EVAPVaporPressure", -0.25),
        ("04415D6900000000", "FuelInjectionTiming", 0),
        ("0641348000800000", "O2WR.Sensor1.Lambda", 1),
        ("0641348000800000", "O2WR.Sensor1.Current", 0),
        ("03415BFF00000000", "HybridBatteryRemaining", 100),
    ],
)
def test_obd_values_by_the_standards_examples(data: str, name: str, value: float) -> None:
    profile, frames = find.find("obd2", 0, print), frame(data)
    (message,) = profile.messages
    heard = {s.name: frames.values(message, s).physical for s in message.signals if s.period_ms != UNSAMPLED}
    heard = {key: values for key, values in heard.items() if len(values)}
    assert heard[f"Vehicle.OBD.{name}"][0] == pytest.approx(value, abs=1e-9)
    assert len(heard) <= 2


def test_obd_values_are_not_read_from_other_services() -> None:
    profile, frames = find.find("obd2", 0, print), frame("04620C1AF8000000")
    (message,) = profile.messages
    assert not any(len(frames.values(message, s).raw) for s in message.signals if s.period_ms != UNSAMPLED)


def test_files_stand_beside_each_other() -> None:
    assert {path.suffix for path in Path(VEHICLES).iterdir()} == {".dbc", ".toml"}
