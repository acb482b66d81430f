"""Vehicle files: the demo car, and what must be refused by name; finding a profile by name or file."""

from pathlib import Path

import pytest

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import vehicle
from host_tools.signals.find import find, names
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import Profile

DBC = """VERSION "1"

NS_ :

BS_:

BU_: A

BO_ 256 M: 8 A
 SG_ Speed : 0|16@1+ (0.01,0) [0|250] "km/h" A
 SG_ Open : 16|1@1+ (1,0) [0|1] "" A
 SG_ Torque : 17|7@1- (1,0) [0|0] "km/h" A
 SG_ Long : 24|41@1+ (1,0) [0|0] "" A

"""
TOML = """
[vehicle]
name = "car"
version = "1"
vehicle = "A car"
dbc = "car.dbc"

[[signals]]
dbc = "M.Speed"
path = "Vehicle.Speed"
unit = "km/h"
datatype = "float"
period_ms = 100
purpose = "driving"

[[signals]]
dbc = "M.Open"
path = "Vehicle.Body.Trunk.Rear.IsOpen"
datatype = "boolean"
on_change = true
purpose = "access"
"""


def load(tmp_path: Path, text: str) -> Profile:
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.toml").write_text(text)
    return vehicle.load(tmp_path / "car.toml", print)


def test_a_vehicle_file(tmp_path: Path) -> None:
    profile = load(tmp_path, TOML)
    assert (profile.name, profile.version, profile.vehicle) == ("car", "1", "A car")
    speed, trunk = profile.signals
    assert (speed.name, speed.unit, speed.scale, speed.period_ms) == ("Vehicle.Speed", "km/h", 0.01, 100)
    assert (trunk.name, trunk.start, trunk.period_ms) == ("Vehicle.Body.Trunk.Rear.IsOpen", 16, 0)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('version = "1"', 'version = "1"\nmotor = "x"', 'unknown key "motor"'),
        ("period_ms = 100", "perod_ms = 100", 'signal 1: unknown key "perod_ms"'),
        ("[vehicle]", "top = 1\n[vehicle]", 'unknown key "top"'),
        ('version = "1"\n', "", '"version" is missing'),
        ('version = "1"', "version = 1", '"version" must be of type str'),
        ('purpose = "access"', "", 'signal 2: "purpose" is missing'),
        ('purpose = "access"', 'purpose = ""', "empty purpose"),
        ("M.Speed", "M.Sped", 'signal 1: the DBC has no signal "M.Sped"'),
        ("M.Speed", "N.Speed", 'no signal "N.Speed"'),
        ("M.Speed", "Speed", 'no signal "Speed"'),
        ("M.Speed", "M.Long", '"M.Long" cannot be sampled: beyond the end'),
        ('"Vehicle.Speed"', '"Speed"', '"Speed" is no VSS path'),
        (
            '"Vehicle.Speed"',
            '"Vehicle.Body.Trunk.Rear.IsOpen"',
            "Vehicle.Body.Trunk.Rear.IsOpen is in it twice",
        ),
        ('unit = "km/h"', 'unit = "mph"', 'in "mph" here and in "km/h" in the DBC'),
        ('unit = "km/h"\n', "", 'in "" here and in "km/h" in the DBC'),
        ('"float"', '"real"', '"real" is no datatype'),
        ('"float"', '"uint16"', "Vehicle.Speed is no uint16"),
        (
            'M.Speed"\npath = "Vehicle.Speed"\nunit = "km/h"\ndatatype = "float"',
            'M.Torque"\npath = "Vehicle.T"\nunit = "km/h"\ndatatype = "uint8"',
            "Vehicle.T is no uint8",
        ),
        ('"float"', '"boolean"', "Vehicle.Speed is no boolean"),
        ('"boolean"', '"string"', "IsOpen is no string"),
        ("period_ms = 100", "period_ms = 0", "period_ms 0 is not in 1 to"),
        ("period_ms = 100", "period_ms = true", '"period_ms" must be of type int'),
        ("period_ms = 100", "period_ms = 100\non_change = true", "either period_ms or on_change"),
        ("on_change = true", "on_change = false", "either period_ms or on_change"),
        ("on_change = true", "", "either period_ms or on_change"),
        ("car.dbc", "none.dbc", "none.dbc: cannot be read"),
        ("[vehicle]", "[vehicle", "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in TOML
    with pytest.raises(InputError) as caught:
        load(tmp_path, TOML.replace(old, new))
    assert text in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["signals = 1\n[vehicle]", "vehicle = 1\nsignals = []", "vehicle=1"])
def test_tables_of_another_shape_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        load(tmp_path, text)


def test_the_demo_car() -> None:
    reports: list[str] = []
    profile = find("demo-ev", 0, reports.append)
    assert reports == [] and unpack(pack(profile)) == profile
    assert (len(profile.messages), len(profile.signals), profile.grid_ms) == (16, 51, 100)
    by_name = {signal.name: signal for signal in profile.signals}
    gear = by_name["Vehicle.Powertrain.Transmission.SelectedGear"]
    assert gear.labels[127] == "Drive" and gear.is_signed and gear.period_ms == 0
    assert {signal.byte_order for signal in profile.signals} == {"little_endian", "big_endian"}
    assert sum(message.is_extended_id for message in profile.messages) == 2
    assert not [name for name in by_name if "Counter" in name or "Checksum" in name]


def test_find_takes_files_and_lists_names(tmp_path: Path) -> None:
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.toml").write_text(TOML)
    assert find(tmp_path / "car.toml", 0, print).signals[0].name == "Vehicle.Speed"
    bare = find(str(tmp_path / "car.dbc"), 250, print)
    assert [(signal.name, signal.period_ms) for signal in bare.signals] == [
        ("M.Speed", 250),
        ("M.Open", 250),
        ("M.Torque", 250),
    ]
    assert names() == sorted(path.stem for path in VEHICLES.glob("*.toml"))
    with pytest.raises(InputError, match=r"no profile kona: .*demo-ev"):
        find("kona", 100, print)
    with pytest.raises(InputError, match="No such file"):
        find("nowhere.toml", 100, print)
