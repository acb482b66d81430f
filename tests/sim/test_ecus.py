"""Drives beside ECUs that would answer: a device that nobody allowed to ask sends nothing, and what is sent is in the report."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from host_tools.commands.sim import status
from host_tools.paths import ROOT
from host_tools.signals import pack
from host_tools.signals.asking import Asking, Ecu
from host_tools.sim.ecus.file import load, load_all
from host_tools.sim.faults import parse_all
from host_tools.sim.run import Simulation
from host_tools.sim.summary import lines
from tests.sim.drives import assert_books_balance, demo_car, drive

DEMO = ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"
MODE, NORMAL, SLEEP = 1024, 0, 1


def test_device_without_permission_sends_no_frame_and_acknowledges_none() -> None:
    troubles = parse_all(["bus-off@3", "no-ack@4:6", "error-passive@7:9"])
    report, simulation, _ = drive(12.0, ecus=load_all([DEMO]), faults=troubles, power_cuts=(5.0,))
    assert_books_balance(report)
    assert (report.frames_sent, report.frames_answered, report.acknowledging_from) == (0, 0, None)
    assert report.ecus == {"battery": {"asked": 0, "answered": 0}, "motor": {"asked": 0, "answered": 0}}
    assert not simulation.wire.log and report.alarms == 0 and status(report) == 0
    assert not [line for line in lines(report) if line.startswith(("sent", "alarms"))]


@pytest.mark.parametrize(("trouble", "reason"), [("bus-off@5", "bus_off"), ("error-passive@5:8", "transmit_errors")])
def test_device_with_permission_acknowledges_and_falls_silent_when_it_is_thrown_off_the_bus(trouble: str, reason: str) -> None:
    profile = replace(demo_car(), asking=Asking((Ecu("battery", 0x7E4, 0x7EC), Ecu("motor", 0x7E2, 0x7EA))))
    config = {"requests.profile": f"{pack.identity(pack.pack(profile)):08x}"}
    # the status is told every ten seconds, the last time after the trouble
    report, simulation, _ = drive(18.0, profile=profile, ecus=load_all([DEMO]), faults=parse_all([trouble]), config=config)
    assert_books_balance(report)
    assert report.acknowledging_from is not None and 0 < report.acknowledging_from < 5
    assert simulation.status["gate"] == {"open": False, "muted": reason, "sent": report.frames_sent, "refused": {}}


def test_frames_sent_stand_in_the_report_and_an_alarm_is_status_1(tmp_path: Path) -> None:
    locked = [replace(facts, alarm=((0.0, 60.0),)) for facts in load(DEMO)]

    def asks(simulation: Simulation) -> None:
        """As the device's controller would."""
        simulation.wire.take(struct.pack("<III8s", 20_000, SLEEP, MODE, b""))
        simulation.wire.take(struct.pack("<III8s", 30_000, NORMAL, MODE, b""))
        answer = simulation.wire.take(struct.pack("<III8s", 35_000, 0x7E4, 8, bytes.fromhex("0322f190")))
        at, rx_id, code, data = struct.unpack("<III8s", answer)
        assert (at, rx_id, code, data.hex()) == (35_120, 0x7EC, 8, "101462f190504947")

    report, _, _ = drive(8.0, {4.0: asks}, ecus=tuple(locked))
    assert (report.frames_sent, report.frames_sent_by_id, report.acknowledging_from) == (1, {"7E4": 1}, 3.0)
    assert report.ecus["battery"] == {"asked": 1, "answered": 1, "alarms": 1} and report.alarms == 1
    assert status(report) == 1 and status(replace(report, alarms=0)) == 0
    said = "\n".join(lines(report))
    assert "sent     1 frames (1 as 7E4), 0 in answer; acknowledging from 3.0 s on" in said
    assert "ecu      battery: 1 asked, 1 answered, 1 alarms" in said
    assert "alarms   1: ECUS WERE ASKED WHILE THAT SETS OFF THE ALARM" in said
