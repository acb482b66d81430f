"""Vehicle files: the demo car, and what must be refused by name; finding a profile by name or file."""

from pathlib import Path

import pytest

from host_tools.errors import InputError
from host_tools.paths import VEHICLES
from host_tools.signals import vehicle
from host_tools.signals.find import find, names
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import UNSAMPLED, Checksum, Counter, Profile, Selection

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
        ("period_ms = 100", "period_ms = 100\nmax_error = -1", "max_error must be above 0 and belongs to period_ms"),
        ("on_change = true", "on_change = true\nmax_error = 1", "max_error must be above 0 and belongs to period_ms"),
        ("period_ms = 100", 'period_ms = 100\nmax_error = "x"', '"max_error" must be made of numbers'),
        ("period_ms = 100", 'period_ms = 100\npriority = "high"', '"high" is no priority; known are alert, diagnostic'),
        ("period_ms = 100", "period_ms = 100\npriority = 1", '"priority" must be of type str'),
        ("period_ms = 100", "period_ms = 100\nrange = [5, 5]", '"range" must be [least, greatest]'),
        ("period_ms = 100", "period_ms = 100\nrange = [5]", '"range" must be [least, greatest]'),
        ("period_ms = 100", "period_ms = 100\nrange = [0, true]", '"range" must be made of numbers'),
        ("period_ms = 100", "period_ms = 100\nrange = [0, inf]", '"range" must be made of numbers'),
        ("period_ms = 100", f"period_ms = 100\nrange = [0, 1{'0' * 400}]", '"range" must be made of numbers'),
        ("period_ms = 100", f"period_ms = 1{'0' * 5000}", "not TOML: Exceeds the limit"),
        ("period_ms = 100", f"period_ms = {'[' * 5000}", "not TOML: "),
        ("period_ms = 100", "period_ms = 100\ndeadband = 1", "deadband must be above 0 and belongs to on_change"),
        ("on_change = true", "on_change = true\ndeadband = -1", "deadband must be above 0"),
        ("on_change = true", 'on_change = true\ndeadband = "x"', '"deadband" must be made of numbers'),
        ('"M.Open"\npath = "Vehicle.Body.Trunk.Rear.IsOpen"', '"M.Speed"\npath = "Vehicle.X"', "km/h"),
        ("car.dbc", "none.dbc", "none.dbc: cannot be read"),
        ("[vehicle]", "[vehicle", "not TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in TOML
    with pytest.raises(InputError) as caught:
        load(tmp_path, TOML.replace(old, new))
    assert text in str(caught.value) and "\n" not in str(caught.value)


GUARDED = """
[[messages]]
dbc = "M"
counter = "Torque"
counter_modulo = 15
checksum = "Sum"
checksum_rule = "sum8"
"""
MULTIPLEXED = """VERSION "1"

BU_: A

BO_ 256 M: 8 A
 SG_ Speed : 0|16@1+ (0.01,0) [0|250] "km/h" A
 SG_ Torque : 16|4@1- (1,0) [0|0] "km/h" A
 SG_ Sum : 24|8@1+ (1,0) [0|0] "" A
 SG_ Page M : 32|4@1+ (1,0) [0|0] "" A
 SG_ Sub m1M : 36|4@1+ (1,0) [0|0] "" A
 SG_ Open m2 : 40|1@1+ (1,0) [0|1] "" A

SG_MUL_VAL_ 256 Sub Page 1-3;
SG_MUL_VAL_ 256 Open Sub 2-2, 4-5;
"""


def test_signals_that_overlap_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "car.dbc").write_text(DBC.replace("Open : 16|1@1+", "Open : 15|1@1+"))
    (tmp_path / "car.toml").write_text(TOML)
    with pytest.raises(InputError, match=r"car.toml: Vehicle.Body.Trunk.Rear.IsOpen overlaps Vehicle.Speed in the message M$"):
        vehicle.load(tmp_path / "car.toml", print)


def test_a_signal_is_picked_once(tmp_path: Path) -> None:
    again = TOML[TOML.index("[[signals]]") : TOML.rindex("[[signals]]")].replace("Vehicle.Speed", "Vehicle.X")
    with pytest.raises(InputError, match='signal 3: "M.Speed" is picked twice'):
        load(tmp_path, TOML + again)


def load_guarded(tmp_path: Path, text: str) -> Profile:
    (tmp_path / "car.dbc").write_text(MULTIPLEXED)
    (tmp_path / "car.toml").write_text(text)
    return vehicle.load(tmp_path / "car.toml", print)


def test_ranges_deadbands_purposes_selectors_counters_and_checksums(tmp_path: Path) -> None:
    text = TOML.replace("period_ms = 100", "on_change = true\ndeadband = 0.5\nrange = [0, 200]")
    (message,) = load_guarded(tmp_path, text + GUARDED).messages
    found = {signal.name: signal for signal in message.signals}
    speed, trunk = found["Vehicle.Speed"], found["Vehicle.Body.Trunk.Rear.IsOpen"]
    assert (speed.valid, speed.deadband, speed.purpose) == ((0, 200), 0.5, "driving")
    assert trunk.selection == Selection("M.Sub", ((2, 2), (4, 5)))
    assert found["M.Sub"].selection == Selection("M.Page", ((1, 3),))
    hidden = {name for name, signal in found.items() if signal.period_ms == UNSAMPLED}
    assert hidden == {"M.Sub", "M.Page", "M.Torque", "M.Sum"}
    assert (message.counter, message.checksum) == (Counter("M.Torque", 15, 1), Checksum("M.Sum", "sum8"))


def test_priority_and_greatest_error(tmp_path: Path) -> None:
    text = TOML.replace("period_ms = 100", 'period_ms = 100\npriority = "diagnostic"\nmax_error = 0.5')
    speed, trunk = load(tmp_path, text).signals
    assert (speed.priority, speed.max_error, trunk.priority, trunk.max_error) == ("diagnostic", 0.5, "telemetry", 0)


def test_a_counter_takes_all_its_bits_unless_told_otherwise(tmp_path: Path) -> None:
    (message,) = load_guarded(tmp_path, TOML + GUARDED.replace("counter_modulo = 15\n", "")).messages
    assert message.counter == Counter("M.Torque", 16)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"M"', '"N"', "no signal of the message N is picked"),
        ('"Sum"', '"Sun"', 'the DBC has no signal "M.Sun"'),
        ('"sum8"', '"sum9"', 'there is no rule "sum9"; known are'),
        ('checksum_rule = "sum8"\n', "", '"checksum" needs "checksum_rule"'),
        ('counter = "Torque"\n', "", '"counter_modulo" needs "counter"'),
        ("= 15", "= 1", "no counter"),
        ("= 15", '= "x"', "must be of type int"),
        ("counter_modulo", "modulo", 'message 1: unknown key "modulo"'),
        ('"Sum"', '"Open"', "must be one of its integers, always there"),
    ],
)
def test_what_is_wrong_with_guards_is_refused_by_name(tmp_path: Path, old: str, new: str, text: str) -> None:
    assert old in GUARDED
    with pytest.raises(InputError) as caught:
        load_guarded(tmp_path, TOML + GUARDED.replace(old, new))
    assert text in str(caught.value) and "car.toml: " in str(caught.value)


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
