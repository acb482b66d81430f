"""OBDb's signal sets: what is taken, left out and doubted, and the standard parameters of `obd2` beside theirs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from host_tools.commands.signals import command
from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.signals import obd, obdb
from host_tools.signals.asking import Ecu
from host_tools.signals.profile import Profile

SETS = ROOT.parent / "shared" / "data" / "obd"
SIGNAL: dict[str, Any] = {"id": "SOC", "fmt": {"bix": 8, "len": 8, "max": 100, "div": 2, "unit": "percent"}}
COMMAND: dict[str, Any] = {"hdr": "7E4", "rax": "7EC", "fcm1": True, "cmd": {"22": "0101"}, "freq": 1, "signals": [SIGNAL]}


def loaded(folder: Path, *commands: object) -> tuple[Profile, list[str]]:
    path, lines = folder / "set.json", list[str]()
    path.write_text(json.dumps({"commands": commands}))
    return obdb.load(path, lines.append), lines


def form(**changes: object) -> dict[str, Any]:
    return COMMAND | {"signals": [SIGNAL | {"fmt": SIGNAL["fmt"] | changes}]}


@pytest.mark.parametrize(
    ("changes", "ecu"),
    [
        ({}, Ecu("7E4", 0x7E4, 0x7EC)),
        ({"hdr": "7C0", "rax": None}, Ecu("7C0", 0x7C0, 0x7C8)),
        ({"hdr": "6F1", "rax": "607", "eax": "07"}, Ecu("6F1-07", 0x6F1, 0x607, prefix=7, rx_prefix=0xF1)),
        ({"hdr": "750", "rax": "758", "eax": "2A", "tst": "2A"}, Ecu("750-2A", 0x750, 0x758, prefix=0x2A, rx_prefix=0x2A)),
        ({"hdr": "DA10", "rax": "DAF110"}, Ecu("18DA10F1", 0x18DA10F1, 0x18DAF110, True)),
        ({"hdr": "DA10", "rax": None}, Ecu("18DA10F1", 0x18DA10F1, 0x18DAF110, True)),
        ({"hdr": "FC00", "rax": "FE007B", "pri": "17", "tst": "7B"}, Ecu("17FC007B", 0x17FC007B, 0x17FE007B, True)),
    ],
)
def test_ecus_are_found_by_header_and_answer(changes: dict[str, object], ecu: Ecu, tmp_path: Path) -> None:
    table = {key: value for key, value in (COMMAND | changes).items() if value is not None}
    profile, lines = loaded(tmp_path, table)
    assert profile.asking.ecus == (ecu,) and lines == []


def test_signal_has_its_scale_unit_texts_and_range(tmp_path: Path) -> None:
    plain = SIGNAL | {"id": "DOOR", "fmt": {"bix": 3, "len": 1, "max": 1, "unit": "noyes"}}
    mode = SIGNAL | {"id": "MODE", "fmt": {"bix": 16, "len": 8, "map": {"1": {"description": "Drive", "value": "D"}}}}
    range_ = SIGNAL | {"id": "RANGE", "fmt": {"bix": 24, "len": 8, "max": 255, "nullmax": 255, "add": 0, "unit": "kilometers"}}
    profile, lines = loaded(tmp_path, COMMAND | {"signals": [SIGNAL, plain, mode, range_], "freq": 0.25})
    found = {signal.name: signal for signal in profile.signals}
    assert lines == [] and all(signal.period_ms == 250 and signal.source == "diagnostic" for signal in profile.signals)
    assert (found["SOC"].scale, found["SOC"].unit, found["SOC"].valid) == (0.5, "percent", (0.0, 100.0))
    assert (found["DOOR"].labels, found["DOOR"].unit) == ({0: "no", 1: "yes"}, "")
    assert found["MODE"].labels == {1: "D"} and found["RANGE"].valid == (0.0, 254.0)


def test_range_that_is_only_rounded_is_none(tmp_path: Path) -> None:
    profile, _ = loaded(tmp_path, form(max=127.4))
    assert profile.signals[0].valid is None


@pytest.mark.parametrize(
    ("bad", "line"),
    [
        (COMMAND | {"cmd": {"2E": "010100"}}, 'command 2 (7E4 2E010100) left out: "2E010100" cannot be asked: its service is'),
        (COMMAND | {"cmd": {"22": "01"}}, 'command 2 (7E4 2201) left out: "2201" cannot be asked: service 22 takes'),
        (COMMAND | {"cmd": {"22": "xy"}}, 'command 2 (7E4 22xy) left out: "request" must be bytes in hexadecimal'),
        (COMMAND | {"cmd": {}}, 'command 2 (7E4 ) left out: its "cmd" is no single service'),
        (COMMAND | {"hdr": "7DF"}, "command 2 (7DF 220101) left out: 7DF asks all ECUs at once"),
        (COMMAND | {"hdr": "DB33"}, "command 2 (DB33 220101) left out: 18DB33F1 asks all ECUs at once"),
        (COMMAND | {"hdr": "car"}, 'command 2 (car 220101) left out: its "hdr" is no hexadecimal number'),
        ({key: COMMAND[key] for key in COMMAND if key != "rax"} | {"hdr": "FC00"}, "command 2 (FC00 220101) left out: it does"),
        (COMMAND | {"hdr": "7E5", "rax": "FFFF"}, 'command 2 (7E5 220101) left out: ecu 1: "rx_id" must be below 0x800'),
        (COMMAND | {"freq": 0}, 'command 2 (7E4 220101) left out: its "freq" is no time in seconds'),
        (COMMAND | {"color": 1}, 'command 2 (7E4 220101) left out: its "color" is not known'),
        (COMMAND, "request 7E4 220101 left out: it is asked already"),
        (COMMAND | {"rax": "7EE"}, "request 7E4 220101 left out: 7E4 answers at another id before"),
        (COMMAND | {"hdr": "7E3", "rax": "7EC"}, "request 7E3 220101 left out: 7E4 answers at that id before"),
        (7, "command 2 left out: it is no object"),
        (form(blsb=True), 'signal SOC of 220101 left out: its "blsb" is not known'),
        (form(len=65), "signal SOC of 220101 left out: signal SOC: 65 bits from bit 0 do not fit"),
        (form(len=64, bix=4), "signal SOC of 220101 left out: its 64 bits lie in 9 bytes; 8 can be read"),
        (form(mul=1e200, div=1e-200), 'signal SOC of 220101 left out: its "mul" is no number that can be used'),
        (form(max=10**400), 'signal SOC of 220101 left out: its "max" is no number that can be used'),
        (form(unit=["V"]), 'signal SOC of 220101 left out: "unit" must be of type str'),
        (form(map={"1": 5}), 'signal SOC of 220101 left out: its "map" is not made as {"1": {"value": "ON"}}'),
        (form(map={"on": {"value": "ON"}}), 'signal SOC of 220101 left out: its "map" is not made as {"1": {"value": "ON"}}'),
        (form(map={"1" * 5000: {"value": "ON"}}), 'signal SOC of 220101 left out: its "map" is not made as'),
        (COMMAND | {"freq": 10**400}, 'command 2 (7E4 220101) left out: its "freq" is no time in seconds'),
        (form(div=0), 'signal SOC of 220101 left out: its "div" is no number that can be used'),
        (COMMAND | {"signals": [{"fmt": {"len": 8}}]}, 'signal 1 of 220101 left out: it has no "id"'),
        (COMMAND | {"signals": [{"id": "X", "fmt": {}}]}, 'signal X of 220101 left out: its "fmt" has no "len"'),
        (COMMAND | {"signals": [{"id": "X"}]}, 'signal X of 220101 left out: it has no "fmt"'),
    ],
)
def test_what_cannot_be_taken_is_told_in_a_line_and_the_rest_is_taken(bad: object, line: str, tmp_path: Path) -> None:
    profile, lines = loaded(tmp_path, COMMAND, bad)
    assert [signal.name for signal in profile.signals] == ["SOC"]
    assert lines[0].startswith(line) and "\n" not in lines[0]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"div": 1, "max": 65535, "unit": "volts"}, "it reaches 65535 V: is a divisor missing?"),
        ({"div": 1, "max": 20000, "unit": "celsius"}, "it reaches 20000 celsius: is a divisor missing?"),
        ({"div": 10, "max": 6553.5, "unit": "amps"}, "a current that is never negative: is it signed?"),
    ],
)
def test_known_defects_are_doubted_by_what_is_plausible(changes: dict[str, object], line: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, form(len=16, **changes))[1] == [f"signal SOC (220101): {line}"]


def test_plausible_values_are_not_doubted(tmp_path: Path) -> None:
    current = {"unit": "amps"}
    for more in ({"unit": "volts"}, current | {"sign": True}, current | {"add": -3276}, {"unit": "kilometers", "div": 1}):
        assert loaded(tmp_path, form(**{"len": 16, "div": 10, "max": 6553.5} | more))[1] == []


def test_names_that_are_taken_get_their_request(tmp_path: Path) -> None:
    profile, lines = loaded(tmp_path, COMMAND, COMMAND | {"cmd": {"22": "0102"}})
    assert [signal.name for signal in profile.signals] == ["SOC", "SOC_220102"]
    assert lines == ["signal SOC of 220102 is now SOC_220102: the name is taken"]


def test_more_than_a_device_takes(tmp_path: Path) -> None:
    many = [COMMAND | {"cmd": {"22": f"{n:04X}"}} for n in range(256)]
    profile, lines = loaded(tmp_path, *many)
    assert len(profile.messages) == 255 and lines[-1] == "request 7E4 2200FF left out: a device reads 255 parts of answers"
    profile, lines = loaded(tmp_path, *(COMMAND | {"hdr": f"7{n:02X}", "rax": f"6{n:02X}"} for n in range(17)))
    assert len(profile.asking.ecus) == 16 and lines[-1] == "request 710 220101 left out: a device takes 16 ecus"


@pytest.mark.parametrize("key", ["mul", "div", "add", "min", "max", "nullmin", "nullmax", "len", "bix"])
def test_peers_comma_for_a_decimal_point_in_a_signal_set_is_refused(key: str, tmp_path: Path) -> None:
    profile, lines = loaded(tmp_path, COMMAND, form(**{key: "2,5"}) | {"cmd": {"22": "0102"}})
    assert [(signal.name, signal.scale, signal.valid) for signal in profile.signals] == [("SOC", 0.5, (0.0, 100.0))]
    assert lines[0].startswith("signal SOC of 220102 left out: ") and f'"{key}"' in lines[0] and "\n" not in lines[0]
    (tmp_path / "set.json").write_text(json.dumps({"commands": [form(**{key: 2.5})]}).replace("2.5", "2,5"))
    with pytest.raises(InputError, match="not JSON"):
        obdb.load(tmp_path / "set.json", lines.append)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not JSON"),
        ("[]", 'no OBDb signal set: it has no list "commands"'),
        ('{"commands": []}', 'no OBDb signal set: it has no list "commands"'),
        ('{"commands": [{}]}', "no command of it can be asked"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_files_that_are_no_signal_set(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text(text)
    with pytest.raises(InputError, match=fault):
        obdb.load(path, lambda line: None)
    with pytest.raises(InputError, match="cannot be read"):
        obdb.load(tmp_path / "none.json", lambda line: None)


def test_compile_takes_a_vehicle_and_a_signal_set(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps({"commands": [COMMAND]}))
    said = CliRunner().invoke(command, ["compile", "demo-ev", str(tmp_path / "set.json"), "-o", str(tmp_path / "car.bin")])
    assert said.exit_code == 0 and "1 request" in said.stdout
    shown = CliRunner().invoke(command, ["show", str(tmp_path / "car.bin")]).stdout
    assert "7E4 220101[4]" in shown and "Vehicle.Speed" in shown


@pytest.mark.skipif(not SETS.is_dir(), reason=f"no signal sets: {SETS} is absent")
def test_example_in_the_documentation_is_what_is_told(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "signals.md").read_text()
    example = page.split("$ pigtail signals compile signalset.json -o ev6.bin\n")[1].split("```")[0].splitlines()
    said = CliRunner().invoke(command, ["compile", str(SETS / "Kia-EV6" / "signalset.json"), "-o", str(tmp_path / "ev6.bin")])
    *lines, last = example
    assert said.stderr.splitlines() == lines and said.stdout.strip().endswith(last)


@pytest.mark.skipif(not SETS.is_dir(), reason=f"no signal sets: {SETS} is absent")
def test_standard_parameters_are_those_of_obdb_but_for_its_known_defects() -> None:
    """In each place that both know; a defect is told and the standard's scale taken."""
    lines: list[str] = []
    taken = {signal.name: signal for signal in obdb.load(SETS / "SAEJ1979" / "signalset.json", lines.append).signals}
    assert (taken["LONGFT2"].offset, taken["EQ_RAT"].scale) == (-100, 2 / 65536)
    corrected = {line.split()[1]: line.split("it says ")[1].split(", SAE")[0] for line in lines if "which is taken" in line}
    trims = {name for name, formula in corrected.items() if formula == "unsigned × 0.78125 - 128"}
    assert trims == {
        "SHRTFT1", "LONGFT1", "SHRTFT2", "SHRTFT4", "LONGFT2", "LONGFT4", "SHRTFT11", "SHRTFT21", "SHRTFT22", "EGR_ERR",
        "STSO2FT1", "LGSO2FT1", "STSO2FT2", "LGSO2FT2", "EGR_A_ERR", "EGR_B_ERR",
    }  # fmt: skip
    assert {name: corrected[name] for name in corrected.keys() - trims} == {
        "O2S11_VOLT": "unsigned × 0.00012201074",  # 1 / 8196 for 8 / 65536
        "EQ_RAT": "unsigned × 3.0518044e-05",  # 2 / 65535
        "FUEL_TIMING": "unsigned × 0.0078125 - 38665",  # (raw - 26880) / 128 is meant
    }


@pytest.mark.skipif(not SETS.is_dir(), reason=f"no signal sets: {SETS} is absent")
def test_standard_parameters_lie_where_obdb_has_them() -> None:
    theirs: dict[bytes, set[tuple[int, int]]] = {}
    for table in json.loads((SETS / "SAEJ1979" / "signalset.json").read_text())["commands"]:
        places = theirs.setdefault(bytes.fromhex("01" + table["cmd"]["01"]), set())
        places.update((signal["fmt"].get("bix", 0), signal["fmt"]["len"]) for signal in table["signals"])
    ours = {name: (request, (value.start, value.signal.length)) for name, (request, value) in obd.catalogue().items()}
    only_ours = {name for name, (request, place) in ours.items() if request in theirs and place not in theirs[request]}
    assert only_ours == {  # OBDb has no second byte there
        "ShortTermO2Trim3", "LongTermO2Trim3", "ShortTermO2Trim4", "LongTermO2Trim4", "ShortTermFuelTrim3", "LongTermFuelTrim3",
    }  # fmt: skip
    missing = {request.hex().upper() for request in theirs} - {request.hex().upper() for request, _ in ours.values()}
    assert missing == {
        "0102", "0103", "0112", "0113", "011D", "011E", "0141", "015F", "0165",  # bits and names, no values
        "016B",  # either of two scales, by bits that are not certain
    }
