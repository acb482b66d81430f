"""Drives with questions: what is polled, what a mechanic reads, and the mutes, against the virtual ECUs."""

import heapq
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import can
import pytest

from host_tools.paths import ROOT
from host_tools.reader.batch import Sample
from host_tools.signals import find, vehicle
from host_tools.signals.asking import Ecu
from host_tools.signals.merge import merge
from host_tools.signals.profile import Profile
from host_tools.sim import scenario
from host_tools.sim.ecus.file import load, load_all
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from tests.sim.drives import assert_books_balance, demo_car, drive

DEMO = ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"
KEY = "5a" * 32
HEAP_PEAK = 126_000  # docs/diagnostics.md
PIGTAIL = Path(sys.executable).with_name("pigtail")
ASKED = {
    "Vehicle.Powertrain.TractionBattery.CellVoltage.Cell1": (3.69, 3.71),
    "Vehicle.Powertrain.TractionBattery.CellVoltage.Cell12": (3.69, 3.71),
    "Vehicle.Powertrain.ElectricMotor.StatorTemperature": (19, 70),
    "Vehicle.OBD.HybridBatteryRemaining": (0, 100),
}


def asked_car() -> Profile:
    """The demo car, with what its ECUs are asked for."""
    return merge([find.find(name, 1000, print) for name in ("demo-ev", "demo-ev-diagnostics")], print)


def asking(seconds: float, profile: Profile | None = None, **settings: object) -> tuple[Report, Simulation, list[Sample]]:
    profile = profile or asked_car()
    config = scenario.permission(profile) | dict(settings.pop("config", {}))  # type: ignore[call-overload]
    return drive(seconds, profile=profile, **{"ecus": load_all([DEMO]), "config": config} | settings)  # type: ignore[arg-type]


def diagnostic(samples: list[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.source == "diagnostic":
            found.setdefault(sample.name, []).append(sample)
    return found


TOGETHER = """
[vehicle]
name = "together"
version = "1"
vehicle = "The demo's battery"

[[ecus]]
name = "battery"
tx_id = 0x7E4
rx_id = 0x7EC
safe = ["locked"]

[[requests]]
ecu = "battery"
request = "2201010110"
sizes = [2, 1]
period_ms = 500
while = ["awake", "locked"]

[[requests.signals]]
identifier = "0101"
path = "Vehicle.Charge"
start = 0
length = 16
scale = 0.1
unit = "percent"
datatype = "float"
purpose = "energy"

[[requests.signals]]
identifier = "0110"
path = "Vehicle.IsCharging"
start = 0
length = 8
datatype = "uint8"
purpose = "energy"
"""


def test_two_identifiers_are_read_by_one_request(tmp_path: Path) -> None:
    (tmp_path / "car.toml").write_text(TOGETHER)
    report, _, samples = asking(30.0, vehicle.load(tmp_path / "car.toml", print))
    assert_books_balance(report)
    found = diagnostic(samples)
    assert found.keys() == {"Vehicle.Charge", "Vehicle.IsCharging"}
    assert all(64 <= sample.value <= 82 for sample in found["Vehicle.Charge"])
    assert {sample.value for sample in found["Vehicle.IsCharging"]} == {0, 1}
    assert len(found["Vehicle.Charge"]) >= 20 and report.frames_sent_by_id.keys() == {"7E4"}


def test_device_that_asks_has_room_for_what_an_outage_left() -> None:
    report, simulation, _ = asking(60.0, outages=((4.0, 40.0),))
    assert_books_balance(report)
    assert report.restarts == 0 and "MemoryError" not in simulation.console
    assert report.samples_delivered == report.samples_taken > 8000
    assert simulation.status["config_error"] is None and simulation.status["gate"]["answered"] > 5


def test_locked_car_is_not_asked_and_its_alarm_stays_silent() -> None:
    locked = tuple(replace(facts, alarm=((0.0, 60.0),)) for facts in load(DEMO))

    def ignition_off(simulation: Simulation) -> None:
        simulation.board.ignition(False)

    report, simulation, _ = asking(14.0, ecus=locked, at={0.1: ignition_off})
    assert report.alarms == 0 and report.frames_sent == 0
    assert simulation.status["gate"]["open"]


def test_code_that_appears_after_polling_began_mutes_it_for_good() -> None:
    report, simulation, _ = asking(100.0, speed=8.0)  # U0100-87 comes at 20 s, the codes are read once a minute
    gate = simulation.status["gate"]
    assert gate["muted"] == "dtc" and not gate["open"]
    assert 55 < max(frame.timestamp for frame in simulation.wire.log) < 75
    assert_books_balance(report)


@pytest.mark.parametrize(("ident", "wide"), [(0x7DF, False), (0x7E0, False), (0x18DB33F1, True)])
def test_fault_36_scanner_that_asks_where_the_profile_does_not_silences_it(ident: int, wide: bool) -> None:
    began, profile = 6.0, asked_car()
    assert ident not in {ecu.tx_id for ecu in profile.asking.ecus}
    vin = can.Message(began, ident, wide, data=bytes.fromhex("0209020000000000"))
    frames = heapq.merge(scenario.frames(()), [vin], key=lambda frame: frame.timestamp)
    report, simulation, _ = asking(12.0, profile, speed=1.0, frames=frames)
    sent = [frame.timestamp for frame in simulation.wire.log]
    assert len(sent) > 3 and began - 1.5 < max(sent) < began + 0.5
    gate = simulation.status["gate"]
    assert gate["open"] and gate["muted"] == "" and gate["refused"]["other_tester"] > 0
    assert_books_balance(report)


def test_another_profile_than_the_one_that_was_allowed_sends_nothing() -> None:
    report, simulation, _ = asking(8.0, config={"requests.profile": "0badc0de"})
    assert (report.frames_sent, report.acknowledging_from, simulation.status["gate"]) == (0, None, None)
    assert simulation.status["config_error"] == "requests.profile: is not the profile in force; allow requests again"


def test_schedule_that_has_no_room_is_told_and_not_begun() -> None:
    report, simulation, _ = asking(10.0, config={"command.key": KEY})
    assert report.frames_sent == 0 and "answered" not in simulation.status["gate"]
    assert simulation.status["config_error"] == "requests: no room for the schedule, only to ask by hand"


def test_question_by_hand_is_answered_beside_a_schedule_where_the_device_says_that_there_is_room(tmp_path: Path) -> None:
    consoles: list[Console] = []

    def begin(simulation: Simulation) -> None:
        consoles.append(Console(simulation, tmp_path, [["dtcs"]]))
        consoles[0].start()

    report, simulation, samples = asking(40.0, speed=1.0, at={4.0: begin}, config={"command.key": KEY}, heap="136k")
    consoles[0].join(60)
    assert consoles[0].said[0][0] == 0 and "P0420" in consoles[0].said[0][1]
    assert simulation.status["gate"]["answered"] > 20 and diagnostic(samples).keys() == ASKED.keys()
    assert "MemoryError" not in simulation.console
    assert_books_balance(report)


def test_fault_33_commands_to_a_device_that_may_not_ask_put_no_frame_on_the_bus(tmp_path: Path) -> None:
    verbs = [["dtcs"], ["vin"], ["--yes", "--ecu", "motor", "clear"], ["gate"], ["unmute"]]
    consoles: list[Console] = []

    def begin(simulation: Simulation) -> None:
        consoles.append(Console(simulation, tmp_path, verbs))
        consoles[0].start()

    report, simulation, _ = drive(30.0, {4.0: begin}, asked_car(), 1.0, ecus=load_all([DEMO]), config={"command.key": KEY})
    consoles[0].join(60)
    assert [code for code, _ in consoles[0].said] and not any(code == 0 for code, _ in consoles[0].said)
    assert (report.frames_sent, report.acknowledging_from, simulation.status["gate"]) == (0, None, None)
    assert simulation.status["commands"]["refused"]["bad_arguments"] >= len(verbs)


class Console(threading.Thread):
    """Runs `pigtail diag` for one verb after another against a simulation, as a person would."""

    def __init__(self, simulation: Simulation, folder: Path, verbs: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self._simulation = simulation
        self._key = folder / "key"
        self._key.write_text(KEY)
        self._verbs = verbs
        self.said: list[tuple[int, str]] = []

    def run(self) -> None:
        for verb in self._verbs:
            device = ["--broker", self._simulation.broker_url, "--device", self._simulation.device]
            command = [str(PIGTAIL), "diag", *device, "--command-key", str(self._key), "--wait", "30", *verb]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            self.said.append((done.returncode, done.stdout))


def test_what_a_mechanic_reads_with_pigtail_diag(tmp_path: Path) -> None:
    verbs = [["dtcs"], ["vin"], ["--yes", "--ecu", "motor", "clear"], ["gate"], ["forbid"]]
    consoles: list[Console] = []

    def begin(simulation: Simulation) -> None:
        consoles.append(Console(simulation, tmp_path, verbs))
        consoles[0].start()

    quiet = replace(demo_car(), asking=replace(asked_car().asking, requests=()))
    report, simulation, _ = asking(70.0, quiet, speed=1.0, at={4.0: begin}, config={"command.key": KEY})
    deadline = time.monotonic() + 60
    while consoles[0].is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    codes, vin, cleared, gate, forbidden = consoles[0].said
    assert codes[0] == 0 and "P0420" in codes[1] and "catalyst system efficiency below threshold" in codes[1]
    assert vin == (0, "PIGTAIL0DEMO00001  from battery (7E4)\n")
    assert cleared[0] == 0 and "P0420" in cleared[1] and "permanent" in cleared[1] and "confirmed" not in cleared[1]
    assert gate[0] == 0 and "04 14 FF FF FF" in gate[1]
    assert forbidden[0] == 0
    assert report.frames_sent > 0 and simulation.status["gate"] is None
    assert_books_balance(report)


def test_all_ecus_are_asked_with_one_request_where_the_profile_allows_the_functional_id(tmp_path: Path) -> None:
    verbs = [["--ecu", "all", verb] for verb in ("dtcs", "vin", "supported", "snapshot")]
    whom = replace(asked_car().asking, requests=())
    quiet = replace(demo_car(), asking=replace(whom, ecus=(*whom.ecus, Ecu("all", 0x7DF, None))))
    consoles: list[Console] = []

    def begin(simulation: Simulation) -> None:
        consoles.append(Console(simulation, tmp_path, verbs))
        consoles[0].start()

    report, _, _ = asking(30.0, quiet, speed=1.0, at={2.0: begin}, config={"command.key": KEY})
    consoles[0].join(60)
    codes, vin, supported, snapshot = consoles[0].said
    assert codes[0] == 0 and re.search(r"battery \(7E4\): .* trouble code", codes[1])
    assert "motor (7E2): 1 trouble code" in codes[1] and "P0420" in codes[1]
    assert vin[0] == 0 and vin[1].splitlines()[0] == "PIGTAIL0DEMO00001  from battery (7E4)"
    assert "PIGTAIL0DEMO00001  from motor (7E2)\n  calibration PIGTAIL-MOTOR-01" in vin[1]
    assert supported[0] == 0 and "motor (7E2): " in supported[1] and "EngineSpeed" in supported[1]
    assert "battery (7E4): no answer" in supported[1]  # it has none of SAE J1979's parameters, and says nothing to who asks all
    assert snapshot[0] == 2  # of one ECU, or of one after the other
    asked = report.frames_sent_by_id
    assert asked["7DF"] == report.ecus["battery"]["asked"] == report.ecus["motor"]["asked"] > 4
    assert_books_balance(report)
    assert report.alarms == 0
