"""[[requests]] of a vehicle file: the example in the documentation, standard values by name, and what must be refused."""

import re
from pathlib import Path

import can
import pytest
from click.testing import CliRunner

from host_tools.commands.signals import command
from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.signals import find, vehicle
from host_tools.signals.check import check
from host_tools.signals.merge import merge
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import ON_CHANGE, Profile, Signal
from host_tools.signals.requests import Request, Window

PAGE = ROOT / "docs" / "signals.md"
HEAD = """
[vehicle]
name = "car"
version = "1"
vehicle = "A car"

[[ecus]]
name = "battery"
tx_id = 0x7E4
rx_id = 0x7EC
safe = ["charging"]

[[ecus]]
name = "all"
tx_id = 0x7DF
functional = true
"""
REQUEST = """
[[requests]]
ecu = "battery"
request = "220101"
period_ms = 1000

[[requests.signals]]
path = "Vehicle.Soc"
start = 32
length = 8
scale = 0.5
unit = "percent"
datatype = "float"
range = [0, 100]
purpose = "energy"
"""
WIDE = REQUEST.replace("32\nlength = 8", "4\nlength = 64").replace("range = [0, 100]", "")
OBD = """
[[requests]]
ecu = "battery"
obd = ["EngineSpeed"]
period_ms = 500
"""


def load(text: str, folder: Path) -> Profile:
    (folder / "car.toml").write_text(text)
    return vehicle.load(folder / "car.toml", print)


def of(text: str, name: str, folder: Path) -> tuple[Request, Signal]:
    """The only request, and one of its signals."""
    profile = load(text, folder)
    (request,) = profile.asking.requests
    return request, {signal.name: signal for signal in profile.signals}[name]


def test_request_is_read_with_its_signals(tmp_path: Path) -> None:
    request, signal = of(HEAD + REQUEST, "Vehicle.Soc", tmp_path)
    assert request == Request("battery", bytes.fromhex("220101"), 1000, 0, ("awake",), (Window(0x800, 7),))
    plain = Signal("Vehicle.Soc", 0, 8, scale=0.5, unit="percent", period_ms=1000, valid=(0, 100), purpose="energy")
    assert (signal.source, {**vars(signal), "source": "broadcast"}) == ("diagnostic", vars(plain))


def test_signals_may_be_told_on_change_have_texts_and_be_optional(tmp_path: Path) -> None:
    more = REQUEST.replace("range = [0, 100]", 'on_change = true\ndeadband = 1\nlabels = { 0 = "empty" }\noptional = true')
    second = more.replace("Vehicle.Soc", "Vehicle.Other").replace("start = 32", "start = 0").split("[[requests.signals]]")[1]
    text = HEAD + more + "\n[[requests.signals]]" + second.replace("optional = true", 'byte_order = "little_endian"')
    profile = load(text, tmp_path)
    assert profile.asking.requests[0].windows == (Window(0x800, 3), Window(0x801, 7))
    assert [(s.period_ms, s.labels, s.deadband) for s in profile.signals] == 2 * [(ON_CHANGE, {0: "empty"}, 1)]
    assert unpack(pack(profile)) == profile


def test_standard_values_are_asked_for_by_name(tmp_path: Path) -> None:
    names = '["EngineSpeed", "Status.IsMILOn", "Status.DTCCount", "TotalRunTime.PTO", "ShortTermFuelTrim1", "ShortTermFuelTrim3"]'
    profile = load(HEAD + OBD.replace('["EngineSpeed"]', names), tmp_path)
    windows = {one.request.hex(): [window.at for window in one.windows] for one in profile.asking.requests}
    assert windows == {"010c": [2], "0101": [2], "017f": [11], "0106": [2, 3]}
    shipped = {signal.name: signal for signal in find.find("obd2", 0, print).signals}
    for signal in profile.signals:
        if signal.name in shipped:
            theirs = shipped[signal.name]
            assert (signal.scale, signal.offset, signal.unit) == (theirs.scale, theirs.offset, theirs.unit)
            assert (signal.purpose, signal.period_ms, signal.source) == ("diagnosis", 500, "diagnostic")


def test_state_by_what_is_asked_would_never_be_known(tmp_path: Path) -> None:
    state = '\n[states.charging]\nsignal = "Vehicle.Soc"\nraw = [1]\n'
    (tmp_path / "car.toml").write_text(HEAD + REQUEST + state)
    with pytest.raises(InputError, match="^profile car: Vehicle.Soc is asked in a known state only: charging cannot go by it$"):
        find.find(tmp_path / "car.toml", 0, print)


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('ecu = "battery"', 'ecu = "motor"', 'request 1: "motor" is none of the ecus that answer alone; those are battery'),
        ('ecu = "battery"', 'ecu = "all"', 'request 1: "all" is none of the ecus that answer alone'),
        ('"220101"', '"2E0101"', 'request 1: "2E0101" cannot be asked: its service is none that the device'),
        ('"220101"', '"1902FF"', 'request 1: "1902FF" cannot be asked: its service reads no values'),
        ('"220101"', '"22010102"', 'request 1: "22010102" cannot be asked: service 22 takes one identifier'),
        ('"220101"', f'"22{"01" * 300}"', 'request 1: "22010101'),
        ('"220101"', '"22 01 zz"', 'request 1: "request" must be bytes in hexadecimal'),
        ('"220101"', '""', 'request 1: "" cannot be asked'),
        ("period_ms = 1000", "period_ms = 99", 'request 1: "period_ms" must be in 100 to 3600000'),
        ("period_ms = 1000", "", 'request 1: "period_ms" is missing'),
        ("period_ms = 1000", 'period_ms = 1000\nwhile = ["locked"]', 'request 1: "while" takes the states in which asking'),
        ("period_ms = 1000", "period_ms = 1000\nwhile = []", 'request 1: "while" takes the states in which asking'),
        ("period_ms = 1000", "period_ms = 1000\npriority = 256", 'request 1: "priority" must be in 0 to 255'),
        ("period_ms = 1000", "period_ms = 1000\nspeed = 1", 'request 1: unknown key "speed"'),
        ('datatype = "float"', 'datatype = "uint8"', "request 1: signal 1: Vehicle.Soc is no uint8 by its bits and scale"),
        ("length = 8", "length = 65", "request 1: signal 1: signal Vehicle.Soc: 65 bits from bit 0 do not fit"),
        ("start = 32", "start = -1", 'request 1: signal 1: "start" must not be negative'),
        ("start = 32", "", 'request 1: signal 1: "start" is missing'),
        ("scale = 0.5", "scale = 0", 'request 1: signal 1: "scale" must not be 0'),
        ("scale = 0.5", 'byte_order = "motorola"', 'request 1: signal 1: "byte_order" is big_endian or little_endian'),
        ("scale = 0.5", 'labels = { a = "x" }', 'request 1: signal 1: "labels" must be texts by raw value'),
        ("scale = 0.5", "is_signed = 1", 'request 1: signal 1: "is_signed" must be true or false'),
        ("scale = 0.5", "period_ms = 5", 'request 1: signal 1: unknown key "period_ms"'),
        ("scale = 0.5", "on_change = false", "request 1: signal 1: on_change is true or left out"),
        ('"Vehicle.Soc"', '"soc"', 'request 1: signal 1: "soc" is no VSS path'),
    ],
)
def test_mistakes_are_one_line_and_status_2(before: str, after: str, fault: str, tmp_path: Path) -> None:
    refused(HEAD + REQUEST.replace(before, after), fault, tmp_path)


def refused(text: str, fault: str, folder: Path) -> None:
    (folder / "car.toml").write_text(text)
    said = CliRunner().invoke(command, ["compile", str(folder / "car.toml"), "-o", str(folder / "car.bin")])
    assert isinstance(said.exception, InputError) and "\n" not in str(said.exception)
    assert str(said.exception).startswith(f"{folder / 'car.toml'}: {fault}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEAD + REQUEST.split("[[requests.signals]]")[0], 'request 1: "signals" is missing'),
        (HEAD + REQUEST.split("[[requests.signals]]")[0] + "signals = []", "the request 220101 has no signals"),
        (HEAD + WIDE, "Vehicle.Soc cannot be read: its 64 bits lie in 9 bytes; 8 can be read"),
        (HEAD + REQUEST + REQUEST.replace("Vehicle.Soc", "Vehicle.Other"), "battery is asked twice for 220101"),
        (HEAD + OBD.replace("EngineSpeed", "Warp"), 'request 1: "Warp" is no standard value'),
        (HEAD + OBD.replace('"EngineSpeed"', '["EngineSpeed"]'), 'request 1: "[\'EngineSpeed\']" is no standard value'),
        (HEAD + OBD.replace('"EngineSpeed"', ""), 'request 1: "obd" is empty'),
        (HEAD + OBD + 'request = "010C"', 'request 1: unknown key "request"'),
        (HEAD, '"signals" is missing'),
        (HEAD + "[[requests]]\n", 'request 1: "ecu" is missing'),
        (HEAD + REQUEST + REQUEST.split("period_ms = 1000")[1].replace("Soc", "Too"), "Vehicle.Too overlaps Vehicle.Soc in"),
        (HEAD + OBD + '[[parameters]]\nrequest = "0168"\n', 'parameter 1: "signals" is missing'),
    ],
)
def test_mistakes_of_whole_tables_are_one_line(text: str, fault: str, tmp_path: Path) -> None:
    refused(text, fault, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("scale = 0.5", "scale = 0,5", "not TOML|TOML"),
        ("scale = 0.5", 'scale = "0,5"', "\"scale\" must be"),
        ("scale = 0.5", "scale = [0,5]", "\"scale\" must be"),
        ("scale = 0.5", "scale = 0.5\noffset = -19,47", "TOML"),
        ("scale = 0.5", 'scale = 0.5\noffset = "-19,47"', "\"offset\" must be"),
        ("[0, 100]", "[0, 100,5]", "\"range\" must be"),
        ("[0, 100]", "[0,5, 100]", "\"range\" must be"),
        ("[0, 100]", '[0, "100,5"]', "\"range\" must be"),
        ("period_ms = 1000", "period_ms = 1000,5", "TOML"),
        ("period_ms = 1000", 'period_ms = "1000,5"', "\"period_ms\" must be"),
    ],
)
def test_peers_comma_for_a_decimal_point_in_a_request_is_refused(old: str, new: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        load(HEAD + REQUEST.replace(old, new), tmp_path)
    assert "\n" not in str(caught.value)


def test_profiles_are_merged_with_what_they_ask(tmp_path: Path) -> None:
    lines: list[str] = []
    asked = load(HEAD + REQUEST, tmp_path)
    again = load(HEAD + REQUEST + OBD, tmp_path)
    demo, extra = (find.find(name, 0, print) for name in ("demo-ev", "demo-ev-diagnostics"))
    profile = merge([demo, asked, again], lines.append)
    assert lines == ["request battery 220101 of car left out: it is asked already"]
    windows = [(one.request.hex(), one.windows[0].virtual_id) for one in profile.asking.requests]
    assert windows == [("220101", 0x800), ("010c", 0x801)]
    assert unpack(pack(profile)) == profile
    with pytest.raises(Exception, match="the ECU battery of car is another one before it"):
        merge([extra, load((HEAD + REQUEST).replace("0x7EC", "0x7ED"), tmp_path)], print)
    with pytest.raises(InputError, match="the ECU other of car has battery's tx_id and another rx_id"):
        merge([extra, load((HEAD + REQUEST).replace("0x7EC", "0x7EE").replace('"battery"', '"other"'), tmp_path)], print)
    both = merge([demo, extra], print)
    assert len(both.asking.requests) == 3 and demo.messages == tuple(m for m in both.messages if not m.is_window)


def test_one_ecu_under_two_names_is_asked_under_the_first(tmp_path: Path) -> None:
    lines: list[str] = []
    asked = load(HEAD + REQUEST, tmp_path)
    other = (HEAD + REQUEST + REQUEST.replace("220101", "220102").replace("Soc", "Soh")).replace('"battery"', '"other"')
    profile = merge([asked, load(other, tmp_path)], lines.append)
    assert lines == [
        "ECU other of car is battery before it, and asked as that says",
        "request battery 220101 of car left out: it is asked already",
    ]
    assert [(one.ecu, one.request.hex()) for one in profile.asking.requests] == [("battery", "220101"), ("battery", "220102")]
    assert [ecu.name for ecu in profile.asking.ecus] == ["battery", "all"] and unpack(pack(profile)) == profile


def test_what_is_safe_for_an_ecu_by_its_other_name_only_is_left_out(tmp_path: Path) -> None:
    lines: list[str] = []
    charging = REQUEST.replace("period_ms = 1000", 'period_ms = 1000\nwhile = ["charging"]')
    careful = load((HEAD + REQUEST).replace('safe = ["charging"]', ""), tmp_path)
    other = (HEAD + charging.replace("220101", "220102").replace("Soc", "Soh")).replace('"battery"', '"other"')
    profile = merge([careful, load(other, tmp_path)], lines.append)
    assert lines[-1] == "request battery 220102 of car left out: battery is not said to be safe to ask while charging"
    assert [one.request.hex() for one in profile.asking.requests] == ["220101"]


def test_check_of_a_recording_leaves_out_what_is_asked_for(tmp_path: Path) -> None:
    profile = merge([find.find("demo-ev", 0, print), load(HEAD + REQUEST, tmp_path)], print)
    result, _ = check([can.Message(arbitration_id=0x7EC, is_extended_id=False, data=bytes(8))], profile, frozenset())
    assert "Vehicle.Soc" not in [signal.name for signal in result.signals] and not any("[" in name for name in result.unheard)


SEVERAL = """
[[requests]]
ecu = "battery"
request = "22F40CF40D0101"
sizes = [2, 1, 6]
period_ms = 500

[[requests.signals]]
identifier = "F40C"
path = "Vehicle.Speed"
start = 0
length = 16
scale = 0.25
unit = "rpm"
datatype = "float"
purpose = "x"

[[requests.signals]]
identifier = "F40D"
path = "Vehicle.Soc"
start = 1
length = 7
datatype = "uint8"
purpose = "x"

[[requests.signals]]
identifier = "0101"
path = "Vehicle.Wide"
start = 0
length = 48
byte_order = "little_endian"
datatype = "uint64"
purpose = "x"
"""


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("sizes = [2, 1, 6]\n", "", 'request 1: "sizes" must tell the bytes of each of the 3 identifiers\' data, 1 to 6'),
        ("[2, 1, 6]", "[2, 1]", 'request 1: "sizes" must tell the bytes of each of the 3'),
        ("[2, 1, 6]", "[2, 1, 7]", 'request 1: "sizes" must tell the bytes of each of the 3'),
        ('"F40C"\n', '"F40B"\n', 'request 1: signal 1: "identifier" must be one of the request\'s: F40C, F40D, 0101'),
        ('identifier = "F40D"\n', "", 'request 1: signal 2: "identifier" must be one of the request\'s'),
        ("start = 1\n", "start = 2\n", "Vehicle.Soc cannot be read: it lies beyond the 1 bytes of F40D"),
        ("22F40CF40D0101", "22F40CF40DF40C", 'request 1: "22F40CF40DF40C" cannot be asked: it has an identifier twice'),
    ],
)
def test_mistakes_with_several_identifiers_are_one_line(before: str, after: str, fault: str, tmp_path: Path) -> None:
    refused(HEAD + SEVERAL.replace(before, after), fault, tmp_path)


def test_one_identifier_takes_no_sizes_and_names_none(tmp_path: Path) -> None:
    sizes = REQUEST.replace('"220101"', '"220101"\nsizes = [2]')
    refused(HEAD + sizes, 'request 1: "sizes" is for requests with several identifiers', tmp_path)
    named = REQUEST.replace("start = 32", 'start = 32\nidentifier = "0101"')
    fault = 'request 1: signal 1: "identifier" must be one of the request\'s: none: the request has a single one'
    refused(HEAD + named, fault, tmp_path)


def test_example_in_the_documentation_compiles(tmp_path: Path) -> None:
    section = PAGE.read_text().split("## Signals that must be asked for")[1].split("\n## ")[0]
    (text,) = re.findall(r"```toml\n(.*?)```", section, re.S)
    profile = load(HEAD.split("[[ecus]]")[0] + text, tmp_path)
    assert [one.request.hex() for one in profile.asking.requests] == ["220101", "010c", "0105"]
    shown = CliRunner().invoke(command, ["show", str(tmp_path / "car.toml")]).stdout
    (table,) = re.findall(r"```\n\$ pigtail signals show battery.toml\n(.*?)```", section, re.S)
    assert shown.split("\n\n")[0].strip() == table.strip()
