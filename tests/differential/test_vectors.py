"""The real answers of OBDb's vectors, frame by frame through `diag/isotp` on the 32-bit port, against its payloads and values.

OBDb's values are its own decoder's, with defects that the data's README names. Ours are taken as published definitions say: those
of SAE J1979 by `vehicles/obd2.dbc`, the makers' by OBDb's signal sets, unclamped.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import cantools
import pytest
from on_device import run

from host_tools.paths import FIRMWARE, ROOT

OBD = ROOT.parent / "shared" / "data" / "obd"
SCRIPT = Path(__file__).parent / "answers_on_device.py"
EXTENDED = 1 << 29
VEHICLES = {"BMW-i3": 776, "Kia-EV6": 412, "Toyota-RAV4-Prime": 174, "Volkswagen-ID.4": 4288}  # clean cases
# The standard values in these vectors by OBDb's names, and in our DBC. It has the current of PID 34 in A, OBDb in mA, and nothing
# of PID 01's monitors, 1C's names, 9A and A6.
STANDARD = {
    "MIL": "IsMILOn", "DTC_CNT": "DTCCount", "LOAD_PCT": "EngineLoad", "ECT": "CoolantTemperature", "RPM": "EngineSpeed",
    "VSS": "Speed", "SHRTFT1": "ShortTermFuelTrim1", "MAF": "MAF", "TP": "ThrottlePosition", "CLR_DIST": "DistanceSinceDTCClear",
    "LAMBDA11_CURRENT": "O2WRSensor1Lambda", "VPWR": "ControlModuleVoltage",
    "EQ_RAT": "CommandedEquivalenceRatio", "APP_D": "AcceleratorPositionD", "BAT_SOC": "HybridBatteryRemaining",
    "EOT": "OilTemperature", "FUEL_RATE": "FuelRate",
}  # fmt: skip
# Of what the README names as wrong these vectors have the values that OBDb clamps to their range, so many by vehicle; each stands
# in its vector's `clamped`, unclamped. (The fuel trims' offset is wrong in the signal set but right in the values, as is ours.)
CLAMPED = {"BMW-i3": 16, "Kia-EV6": 0, "Toyota-RAV4-Prime": 0, "Volkswagen-ID.4": 206}
OTHER_FACTOR = {"EQ_RAT": 65536 / 65535}  # OBDb has 2 / 65535 where SAE J1979 has 2 / 65536; the README does not name it

Case = dict[str, Any]
Result = dict[str, Any]


def ask_the_device(folder: Path, cases: list[Case], heap: str = "128k") -> list[Result]:
    """What `answers_on_device.py` says to each case."""
    (folder / "cases").write_text("".join(json.dumps(case) + "\n" for case in cases))
    run([str(SCRIPT), str(folder / "cases"), str(folder / "out")], heap)
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


def vectors(vehicle: str) -> list[Case]:
    path = OBD / vehicle / "vectors.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no {path}: OBDb's vectors are not here")
    with gzip.open(path, "rt") as lines:
        return [case for case in map(json.loads, lines) if case["clean"]]


def case_for_the_device(vector: Case) -> Case:
    """Channels for the ids that answered; extended addresses as the command says, F1 where it does not."""
    is_wide = vector["id_bits"] == 29
    marks = dict(part.split("=") for part in vector["command_id"].partition("|")[2].split(",") if part)
    prefix = int(marks.get("ta", "F1"), 16) if vector["ext_addr"] else None
    ids = list(dict.fromkeys(int(rx, 16) for rx, _ in vector["payload"]))
    frames = [[n, int(rx, 16) | (EXTENDED if is_wide else 0), data] for n, (rx, data) in enumerate(vector["frames"])]
    return {"channels": [[rx, is_wide, prefix] for rx in ids], "request": vector["request"], "frames": frames}


def is_an_answer(payload: str, request: str) -> bool:
    """Whether it repeats the service and the identifier."""
    return payload.startswith(f"{int(request[:2], 16) | 0x40:02X}{request[2:]}")


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_vectors_payloads_are_equal(vehicle: str, tmp_path: Path) -> None:
    cases = vectors(vehicle)
    assert len(cases) == VEHICLES[vehicle]
    for vector, result in zip(cases, device_results(vehicle, tmp_path), strict=True):
        told = [[f"{rx:X}", data.upper()] for _, rx, data in result["all"]]
        assert told == [[rx.lstrip("0"), data] for rx, data in vector["payload"]], vector
        assert result["failed"] == [], vector


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_vectors_answers_are_those_to_the_request(vehicle: str, tmp_path: Path) -> None:
    for vector, result in zip(vectors(vehicle), device_results(vehicle, tmp_path), strict=True):
        first: dict[str, str] = {}
        for rx, payload in vector["payload"]:
            if is_an_answer(payload, vector["request"]):
                first.setdefault(rx, payload)
        assert [answer.upper() for answer in result["answers"]] == list(first.values()), vector
        dropped = len(vector["payload"]) - len(first)
        assert result["counts"]["unmatched"] + result["counts"]["unasked"] == dropped, vector


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_vectors_values_are_equal_but_for_known_defects(vehicle: str, tmp_path: Path) -> None:
    compared = clamped = 0
    for vector, result in zip(vectors(vehicle), device_results(vehicle, tmp_path), strict=True):
        answer = bytes.fromhex(result["answers"][-1])  # of several ECUs OBDb takes the last one's
        definitions = signals_of(vector)
        for name, expected in vector["expected"].items():
            is_standard = vector["def_source"] != "vehicle"
            data = answer[len(vector["request"]) // 2 :]
            ours: float | str
            if is_standard and name in STANDARD:
                ours = standard(STANDARD[name], answer) * OTHER_FACTOR.get(name, 1)
            else:
                ours = decoded(definitions[name], data)
            compared += 1
            if not is_equal(ours, expected):
                clamped += 1
                assert is_equal(ours, vector["clamped"].get(name)), (name, vector)
                form = definitions[name]
                assert isinstance(ours, float)
                assert not form.get("min", 0) <= ours <= form["max"], (name, vector)
    assert clamped == CLAMPED[vehicle]
    assert compared >= VEHICLES[vehicle]


_results: dict[str, list[Result]] = {}


def device_results(vehicle: str, folder: Path) -> list[Result]:
    """Of all clean cases of a vehicle; the device is asked once."""
    if vehicle not in _results:
        _results[vehicle] = ask_the_device(folder, [case_for_the_device(vector) for vector in vectors(vehicle)])
    return _results[vehicle]


def is_equal(ours: float | str, theirs: float | str | None) -> bool:
    """OBDb rounds to seven digits."""
    if isinstance(ours, str) or isinstance(theirs, str) or theirs is None:
        return ours == theirs
    return abs(ours - theirs) <= 1e-5 * max(1, abs(theirs))


@cache
def standard_values() -> Any:
    database: Any = cantools.database.load_file(str(FIRMWARE / "vehicles" / "obd2.dbc"))
    return database.get_message_by_name("Response")


def standard(name: str, answer: bytes) -> float:
    """The value by our DBC, which has whole frames."""
    frame = (bytes([len(answer)]) + answer).ljust(8, b"\0")
    return float(standard_values().decode(frame, decode_choices=False)[name])


@cache
def signal_set(name: str) -> list[Case]:
    commands: list[Case] = json.loads((OBD / name / "signalset.json").read_text())["commands"]
    return commands


def signals_of(vector: Case) -> Case:
    """{name: format} of the signals in an answer to the vector's request."""
    source = vector["vehicle"] if vector["def_source"] == "vehicle" else "SAEJ1979"
    found = {}
    for command in signal_set(source):
        service, identifier = next(iter(command["cmd"].items()))
        if service + identifier == vector["request"]:
            found.update({signal["id"]: signal["fmt"] for signal in command["signals"]})
    return found


def decoded(form: Case, data: bytes) -> float | str:
    """The value by OBDb's definition: bits from the first byte's highest on; not clamped."""
    first, length = form.get("bix", 0), form["len"]
    raw = int.from_bytes(data, "big") >> (len(data) * 8 - first - length) & (1 << length) - 1
    if form.get("sign") and raw >> length - 1:
        raw -= 1 << length
    if "map" in form:
        return str(form["map"].get(str(raw), {}).get("value", raw))
    return float(raw * form.get("mul", 1) / form.get("div", 1) + form.get("add", 0))
