"""`pigtail diag`: what a mechanic reads, from a device that answers as SPEC section 4 has it, with no car behind it."""

import ast
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from host_tools import cli
from host_tools.commands import diag
from host_tools.control import NoReply
from host_tools.diag import answers, lines, parameters
from host_tools.diag.at_once import AtOnce
from host_tools.diag.client import Client, Ecu, Refused
from host_tools.diag.descriptions import CODES, DROPPED, MUTED, NOT_ASKED, failure
from host_tools.diag.firmware import Failure, code_text, codes
from host_tools.errors import BrokerError, InputError
from host_tools.paths import FIRMWARE
from host_tools.reader import Reply
from host_tools.signals.find import find
from host_tools.sim import broker
from tests.host.device_at_broker import HANGS_S, KEY, done, served

PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]
ECUS = [["engine", 0x7E0, 0x7E8], ["battery", 0x7E4, 0x7EC], ["door", 0x18DA40F1, 0x18DAF140], ["all", 0x7DF, None]]
ENGINE, BATTERY, DOOR = Ecu("engine", 0x7E0, 0x7E8), Ecu("battery", 0x7E4, 0x7EC), Ecu("door", 0x18DA40F1, 0x18DAF140)
GATE = {
    "open": True, "muted": "", "sent": 2, "refused": {"vehicle": 3}, "ecus": ECUS,
    "log": [[1500, 0x7E0, "0319028d00000000"], [500, 0x7E0, "3000000000000000"]], "isotp": {"unasked": 2, "no_answer": 7},
}  # fmt: skip
MEMORY = "59028d" + "0420002f" + "c100870c" + "1a2b3c08"
NOT_KEPT = dict.fromkeys([("engine", "07"), ("engine", "0a")], "negative 11")
VIN = b"KMHK381GFLU000001".hex()


@dataclass
class Car:
    """`says`: (ECU's name, request) to the answer in hex, or why there is none; what is not in it is not answered."""

    says: dict[tuple[str, str], str]
    gate: dict[str, object] = field(default_factory=lambda: dict(GATE))
    heard: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def answer(self, command: Mapping[str, Any]) -> dict[str, object]:
        """The device's reply."""
        name, given = command["command"], command["arguments"]
        self.heard.append((name, given))
        if name == "gate":
            log, skip = self.gate["log"], given["skip"]
            assert isinstance(log, list)
            end = max(0, len(log) - skip)
            return done(command, result=self.gate | {"log": log[max(0, end - 16) : end]})
        if name in ("allow", "unmute"):
            return done(command)
        if given.get("ecu") == "all" and ("all", given["request"]) not in self.says:
            told_by = {ecu: self.says.get((ecu, given["request"]), "no_answer") for ecu in ("engine", "battery")}
            answers = {ecu: {"failure": told} if told.startswith("n") else told for ecu, told in told_by.items()}
            return done(command, result={"answers": answers})
        told = self.says.get((given["ecu"], given["request"]), "no_answer")
        if told == "too_long":
            return {"id": command["id"], "command": name, "ok": False, "reason": told, "text": ""}
        if name == "clear" and not told.startswith("no"):
            self.says[given["ecu"], "19028d"] = "59028d"
        try:
            bytes.fromhex(told)
        except ValueError:
            return {"id": command["id"], "command": name, "ok": False, "reason": "failed", "text": told}
        return done(command, result={"answer": told} if name == "ask" else {})


class Beside(Client):
    """Has the car beside it, without a broker."""

    def __init__(self, car: Car) -> None:
        super().__init__("kona", self._told)
        self.car = car

    async def _told(self, command: str, arguments: Mapping[str, object]) -> Reply:
        told = self.car.answer({"id": "x", "command": command, "arguments": dict(arguments)})
        return Reply("kona", "x", command, bool(told["ok"]), told.get("result", {}), told.get("reason", ""), told.get("text", ""))  # type: ignore[arg-type]


def said(car: Car, verb: Callable[..., Awaitable[list[dict[str, Any]]]], kind: Callable[..., Any], *ecus: Ecu) -> list[str]:
    """The lines of a verb."""

    async def run() -> list[dict[str, Any]]:
        return await verb(Beside(car), ecus)

    rows = asyncio.run(run())
    assert json.loads(json.dumps(rows)) == rows
    return list(lines.told(rows, kind))


def test_trouble_codes_as_a_mechanic_reads_them() -> None:
    without = dict.fromkeys([("engine", "0a"), ("battery", "0a")], "negative 11")
    car = Car(without | {("engine", "19028d"): MEMORY, ("battery", "19028d"): "59028d", ("door", "19028d"): "negative 11"})
    assert said(car, answers.dtcs, lines.dtcs, ENGINE, BATTERY, DOOR) == [
        "engine (7E0): 3 trouble codes",
        "  P0420     catalyst system efficiency below threshold, bank 1                confirmed, pending, test failed",
        "  U0100-87  lost communication with engine control module A: missing message  confirmed, pending",
        "  P1A2B-3C" + " " * 68 + "confirmed",
        "battery (7E4): no trouble codes",
        "door (18DA40F1): refused, it does not have this service (11)",
    ]


def test_codes_by_sae_j1979_where_there_is_no_uds() -> None:
    for refusal in "negative 11", "no_answer":
        says = {("engine", "19028d"): refusal, ("engine", "03"): "4302042001710000", ("engine", "07"): "47010171"}
        car = Car(says | {("engine", "0a"): "4a010420"})
        assert said(car, answers.dtcs, lines.dtcs, ENGINE) == [
            "engine (7E0): 2 trouble codes",
            "  P0420     catalyst system efficiency below threshold, bank 1  confirmed, permanent",
            "  P0171     system too lean, bank 1                             confirmed, pending",
        ]


@pytest.mark.parametrize(("tx_id", "is_obd"), [(0x7DF, 0), (0x7E0, 1), (0x7E7, 1), (0x7E8, 0), (0x18DA10F1, 1), (0x18DAFEF1, 1),
                                               (0x18DA10F0, 0), (0x18DB10F1, 0), (0x8DA10F1, 0)])  # fmt: skip
def test_ids_that_obd_has(tx_id: int, is_obd: int) -> None:
    assert Ecu("x", tx_id, 0).is_obd == bool(is_obd)


def test_codes_by_sae_j1979_at_29_bits() -> None:
    says = {("door", "19028d"): "negative 11", ("door", "03"): "43010420", ("door", "07"): "4700"}
    assert said(Car(says), answers.dtcs, lines.dtcs, DOOR) == [
        "door (18DA40F1): 1 trouble code", "  P0420     catalyst system efficiency below threshold, bank 1  confirmed",
    ]  # fmt: skip
    assert said(Car({("door", "19028d"): "59028d"}), answers.dtcs, lines.dtcs, DOOR) == ["door (18DA40F1): no trouble codes"]
    lost = {("door", "19028d"): "59028d", ("door", "0a"): "wrong_sn"}
    assert "permanent codes could not be read" in said(Car(lost), answers.dtcs, lines.dtcs, DOOR)[1]


def test_codes_by_kwp_of_older_cars() -> None:
    old = {("door", "19028d"): "negative 11", ("door", "1800ff00"): "5803" + "0420e0" + "c10060" + "017130"}
    assert said(Car(old), answers.dtcs, lines.dtcs, DOOR) == [
        "door (18DA40F1): 3 trouble codes",
        "  P0420     catalyst system efficiency below threshold, bank 1  present, lamp on",
        "  U0100     lost communication with engine control module A     present",
        "  P0171     system too lean, bank 1                             not present now",
    ]
    assert said(Car(old), answers.snapshot, lines.snapshot, DOOR) == [
        "door (18DA40F1): no snapshot in what could be read",
        "  snapshots could not be read: KWP keeps them in a form of the maker's",
    ]  # fmt: skip
    none = Car(old | {("door", "1800ff00"): "5800"})
    assert said(none, answers.snapshot, lines.snapshot, DOOR) == ["door (18DA40F1): no snapshot"]
    for refusal, words in (
        ("service", "it has no UDS, and to ask by KWP (18) is for the owner to allow, in `requests.services`"),
        ("negative 11", "refused, it does not have this service (11)"),
    ):
        car = Car(old | {("door", "1800ff00"): refusal})
        assert said(car, answers.dtcs, lines.dtcs, DOOR) == [f"door (18DA40F1): {words}"]
    only = old | {("door", "19028d"): "service"}  # an owner who allows KWP alone
    assert said(Car(only), answers.dtcs, lines.dtcs, DOOR)[0] == "door (18DA40F1): 3 trouble codes"
    none = Car(only | {("door", "1800ff00"): "service"})
    assert said(none, answers.dtcs, lines.dtcs, DOOR) == [f"door (18DA40F1): {failure('service', 0)}"]


def test_codes_of_an_ecu_that_only_tells_all_it_can_have() -> None:
    car = Car({("battery", "19028d"): "negative 12", ("battery", "190a"): "590aff" + "04200050" + "c1008708"} | NOT_KEPT)
    assert said(car, answers.dtcs, lines.dtcs, BATTERY)[1:2] == [
        "  U0100-87  lost communication with engine control module A: missing message  confirmed"
    ]
    assert len(answered := said(car, answers.dtcs, lines.dtcs, BATTERY)) == 3 and "permanent" in answered[2]


@pytest.mark.parametrize("lost", ["buffer_overflow", "too_long"])
def test_more_codes_than_there_is_room_for_are_counted(lost: str) -> None:
    told = said(Car({("door", "19028d"): lost, ("door", "19018d"): "5901ff0100c8"}), answers.dtcs, lines.dtcs, DOOR)
    assert told == [
        "door (18DA40F1): no trouble codes in what could be read", f"  200 trouble codes could not be read: {failure(lost, 0)}",
    ]  # fmt: skip
    assert said(Car({("door", "19028d"): lost}), answers.dtcs, lines.dtcs, DOOR) == [f"door (18DA40F1): {failure(lost, 0)}"]


def test_permanent_codes_beside_those_of_uds() -> None:
    car = Car({("engine", "19028d"): "59028d04200028", ("engine", "0a"): "4a0204200171"})
    assert said(car, answers.dtcs, lines.dtcs, ENGINE)[1:] == [
        "  P0420     catalyst system efficiency below threshold, bank 1  confirmed, permanent",
        "  P0171     system too lean, bank 1                             permanent",
    ]


def test_codes_that_could_not_be_read_are_not_said_to_be_none() -> None:
    says = {("engine", "19028d"): "negative 11", ("engine", "03"): "4300"}
    car = Car(says | {("engine", "07"): "wrong_sn", ("engine", "0a"): "muted"})
    told = said(car, answers.dtcs, lines.dtcs, ENGINE)
    assert told[:2] == [
        "engine (7E0): no trouble codes in what could be read",
        "  pending codes could not be read: a frame of its answer was lost",
    ]
    assert told[2].startswith("  permanent codes could not be read: asking is muted") and len(told) == 3
    car = Car({("engine", "19028d"): "59028d04200008", ("engine", "0a"): "negative 22"})
    assert said(car, answers.dtcs, lines.dtcs, ENGINE)[2:] == [
        "  permanent codes could not be read: refused, conditions are not right (22)"
    ]


@pytest.mark.parametrize("refusal", ["negative 11", "negative 12", "negative 31"])
def test_service_that_an_ecu_does_not_have_keeps_no_codes(refusal: str) -> None:
    says = {("engine", "19028d"): refusal, ("engine", "03"): "4300", ("engine", "07"): refusal, ("engine", "0a"): refusal}
    assert said(Car(says), answers.dtcs, lines.dtcs, ENGINE) == ["engine (7E0): no trouble codes"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shut", "the gate is shut: it opens once the device has heard the bus"), ("muted", "asking is muted"),
        ("vehicle", "the vehicle is not awake"), ("other_tester", "another tester"), ("no_answer", "no answer"),
        ("negative 22", "refused, conditions are not right (22)"), ("negative 9a", "refused (9A)"), ("what", "what"),
    ],
)  # fmt: skip
def test_why_there_is_no_answer(text: str, words: str) -> None:
    (line,) = said(Car({("door", "19028d"): text}), answers.dtcs, lines.dtcs, DOOR)
    assert line.startswith(f"door (18DA40F1): {words}")


def test_gate_that_is_shut_is_not_asked_again_by_other_services() -> None:
    car = Car({("engine", "19028d"): "shut"})
    said(car, answers.dtcs, lines.dtcs, ENGINE)
    assert len(car.heard) == 1


def test_ecu_that_the_schedule_is_asking_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Waking(Car):
        def answer(self, command: Mapping[str, Any]) -> dict[str, object]:
            told = super().answer(command)
            self.says["engine", "22f190"] = "62f19041"
            return told

    monkeypatch.setattr("host_tools.diag.client._PAUSE_S", 0)
    for reason in "under_way", "ecu_budget", "budget", "queue":
        car = Waking({("engine", "22f190"): reason})
        assert asyncio.run(Beside(car).ask(ENGINE, b"\x22\xf1\x90")) == b"\x62\xf1\x90A"
    car = Car({("engine", "22f190"): "under_way"})
    with pytest.raises(Failure, match="under_way"):
        asyncio.run(Beside(car).ask(ENGINE, b"\x22\xf1\x90"))
    assert len(car.heard) == 6


@pytest.mark.parametrize("gone", [NoReply("no reply from kona"), BrokerError("the connection ended")])
def test_device_that_does_not_reply_loses_nothing_that_it_told(gone: Exception) -> None:
    class Leaving(Beside):
        silent, asked = range(0), 0

        async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
            self.asked += 1
            if self.asked in self.silent:
                raise gone
            return await super()._send(command, arguments)

    says = {(name, "19028d"): "59028d" for name in ("engine", "battery", "door")}
    says |= dict.fromkeys([("engine", "0a"), ("door", "0a")], "4a00")
    told, silence = "engine (7E0): no trouble codes", "battery (7E4): the device did not reply"
    for silent, last, asked in (
        (range(3, 4), "door (18DA40F1): no trouble codes", 5),
        (range(3, 9), "door (18DA40F1): the device did not reply", 4),  # and is not asked a third time
    ):
        client = Leaving(Car(says))
        client.silent = silent
        rows = asyncio.run(answers.dtcs(client, [ENGINE, BATTERY, DOOR] + [DOOR] * (len(silent) > 1)))
        assert list(lines.told(rows, lines.dtcs))[:3] == [told, silence, last] and client.asked == asked


def test_answer_that_has_no_room_in_a_reply_loses_nothing_of_the_others() -> None:
    car = Car({("door", "19028d"): "too_long", ("door", "22f190"): "62f190" + VIN, ("battery", "22f190"): "too_long"})
    assert said(car, answers.dtcs, lines.dtcs, DOOR) == [
        "door (18DA40F1): its answer is longer than a reply of the device has room for"
    ]
    assert said(car, answers.vin, lines.vin, BATTERY, DOOR) == ["KMHK381GFLU000001  from door (18DA40F1)"]


@pytest.mark.parametrize("answer", ["59", "5902", "59028d0420", "43", "4303042001"])
def test_answer_that_is_none_is_said_to_be_none(answer: str) -> None:
    car = Car({("engine", "19028d"): answer})
    assert said(car, answers.dtcs, lines.dtcs, ENGINE) == ["engine (7E0): its answer cannot be read"]


def test_names_from_the_network_do_not_steer_the_terminal() -> None:
    odd = Ecu("en\x1b[31mgine", 0x7E0, 0x7E8)
    assert "\x1b" not in said(Car({}), answers.dtcs, lines.dtcs, odd)[0]


def test_vin_of_the_first_that_tells_it_with_its_calibrations() -> None:
    calibrations = b"CAL-1".ljust(16, b"\0") + b"CAL-2".ljust(16)
    says = {("battery", "0902"): "490201" + VIN, ("battery", "0904"): "490402" + calibrations.hex()}
    assert said(Car(says), answers.vin, lines.vin, ENGINE, BATTERY, DOOR) == [
        "KMHK381GFLU000001  from battery (7E4)", "  calibration CAL-1", "  calibration CAL-2",
    ]  # fmt: skip
    says = {("door", "22f190"): "62f190" + VIN}
    assert said(Car(says), answers.vin, lines.vin, ENGINE, DOOR) == ["KMHK381GFLU000001  from door (18DA40F1)"]
    assert said(Car({}), answers.vin, lines.vin, ENGINE, DOOR) == ["engine (7E0): no answer", "door (18DA40F1): no answer"]


@pytest.mark.parametrize("blank", ["490201" + "ff" * 17, "490201" + "00" * 17, "490200"])
def test_blank_number_is_none_and_the_next_is_asked(blank: str) -> None:
    told = "engine (7E0): it was never told its vehicle's number"
    for says in {("engine", "0902"): blank}, {("engine", "0902"): blank, ("engine", "22f190"): "62f190" + "ff" * 17}:
        car = Car(says | {("battery", "22f190"): "62f190" + VIN})
        assert said(car, answers.vin, lines.vin, ENGINE, BATTERY) == ["KMHK381GFLU000001  from battery (7E4)"]
        assert said(Car(says), answers.vin, lines.vin, ENGINE, BATTERY) == [told, "battery (7E4): no answer"]
    says = {("engine", "0902"): blank, ("engine", "22f190"): "62f190" + VIN}
    assert said(Car(says), answers.vin, lines.vin, ENGINE) == ["KMHK381GFLU000001  from engine (7E0)"]


def test_calibrations_that_are_lost_are_told() -> None:
    says = {("engine", "0902"): "490201" + VIN, ("engine", "0904"): "wrong_sn"}
    assert said(Car(says), answers.vin, lines.vin, ENGINE)[1:] == [
        "  calibrations could not be read: a frame of its answer was lost"
    ]


def test_parameters_are_those_of_the_bit_masks_by_name() -> None:
    says = {("engine", "0100"): "4100" + "08180001", ("engine", "0120"): "4120" + "80000000"}
    assert said(Car(says), answers.supported, lines.supported, ENGINE) == [
        "engine (7E0): 4 parameters of service 01", "  05  CoolantTemperature", "  0C  EngineSpeed", "  0D  Speed",
        "  21  DistanceWithMIL",
    ]  # fmt: skip


def test_freeze_frame_by_sae_j1979() -> None:
    says = NOT_KEPT | {
        ("engine", "19028d"): "negative 11", ("engine", "03"): "43010420", ("engine", "020000"): "420000" + "48180000",
        ("engine", "020200"): "4202000420", ("engine", "020500"): "4205005a", ("engine", "020c00"): "420c001af8",
        ("engine", "020d00"): "420d0032",
    }  # fmt: skip
    assert said(Car(says), answers.snapshot, lines.snapshot, ENGINE) == [
        "engine (7E0): P0420  catalyst system efficiency below threshold, bank 1",
        "  CoolantTemperature           50 celsius", "  EngineSpeed                  1726 rpm",
        "  Speed                        50 km/h",
    ]  # fmt: skip
    lost = says | {("engine", "020c00"): "no_answer", ("engine", "020d00"): "negative 31"}
    assert said(Car(lost), answers.snapshot, lines.snapshot, ENGINE) == [
        "engine (7E0): P0420  catalyst system efficiency below threshold, bank 1",
        "  CoolantTemperature           50 celsius",
        "  EngineSpeed (0C) of the freeze frame could not be read: no answer",
    ]
    lost = says | {("engine", "020200"): "wrong_sn"}
    assert said(Car(lost), answers.snapshot, lines.snapshot, ENGINE) == [
        "engine (7E0): no snapshot in what could be read",
        "  the freeze frame could not be read: a frame of its answer was lost",
    ]
    empty = says | {("engine", "020200"): "4202000000"}
    assert said(Car(empty), answers.snapshot, lines.snapshot, ENGINE) == ["engine (7E0): no snapshot"]


def test_snapshot_by_uds_is_the_maker_s_bytes() -> None:
    says = {("door", "19028d"): "59028d" + "c100870c" + "04200008", ("door", "1904c10087ff"): "5904c100870c" + "0101" + "010264"}
    says |= {("door", "1906c10087ff"): "5906c100870c" + "0105", ("door", "1906042000ff"): "negative 31"}
    assert said(Car(says | {("door", "1904042000ff"): "negative 31"}), answers.snapshot, lines.snapshot, DOOR) == [
        "door (18DA40F1): U0100-87  lost communication with engine control module A: missing message",
        "  record 1: 01 02 64",
        "  extended data: 01 05",
        "door (18DA40F1): P0420  catalyst system efficiency below threshold, bank 1",
        "  nothing was kept with it",
    ]


def test_snapshot_is_taken_apart_by_what_its_identifiers_say_now() -> None:
    first, second = "0102" + "010c1af8" + "01057b" + "0201" + "010c0000", "0102" + "01057c" + "010dff00"
    says = {("door", "19028d"): "59028d" + "c100870c" + "04200008", ("door", "1904c10087ff"): "5904c100870c" + first}
    says |= {("door", "1904042000ff"): "590404200008" + second, ("door", "1906c10087ff"): "negative 11"}
    car = Car(says | {("door", "22010c"): "62010c0bb8", ("door", "220105"): "62010550", ("door", "22010d"): "62010d00000000"})
    told = said(car, answers.snapshot, lines.snapshot, DOOR)
    assert told[1:4] == ["  record 1 010C: 1A F8", "  record 1 0105: 7B", "  record 2 010C: 00 00"]
    assert told[5:] == ["  record 1: 01 05 7C 01 0D FF 00"]  # 010D is longer now than all that follows, so nothing is sure
    assert [request for _, request in asked(car) if request[:2] == "22"] == ["22010c", "220105", "22010d"]


def test_extended_data_that_an_ecu_does_not_have_are_asked_for_once() -> None:
    says = {("door", "19028d"): "59028d" + "c100870c" + "04200008"}
    says |= {("door", f"1904{code}ff"): f"5904{code}080101020101" for code in ("c10087", "042000")}
    car = Car(says | {("door", "1906c10087ff"): "negative 12"})
    assert said(car, answers.snapshot, lines.snapshot, DOOR)[1::2] == ["  record 1: 02 01 01"] * 2
    assert [request for _, request in asked(car)][2:] == ["1904c10087ff", "220201", "1906c10087ff", "1904042000ff"]
    told = said(Car(says | {("door", "1906042000ff"): "wrong_sn"}), answers.snapshot, lines.snapshot, DOOR)[4:]
    assert told == [f"  the extended data of {code} could not be read: {why}" for code, why in (
        ("U0100-87", "no answer"), ("P0420", "a frame of its answer was lost"))]  # fmt: skip


@pytest.mark.parametrize("refusal", ["negative 11", "negative 12"])
def test_ecu_whose_snapshots_cannot_be_asked_for_is_not_said_to_keep_none(refusal: str) -> None:
    says = {("door", "19028d"): "59028d" + "c100870c" + "04200008", ("door", "1904c10087ff"): refusal}
    assert said(Car(says), answers.snapshot, lines.snapshot, DOOR) == [
        "door (18DA40F1): no snapshot in what could be read",
        f"  snapshots could not be read: {failure('negative', int(refusal[-2:], 16))}",
    ]
    says = {("engine", "19028d"): "59028d04200008", ("engine", "1904042000ff"): refusal, ("engine", "020c00"): "420c001af8"}
    says |= NOT_KEPT | {("engine", "020200"): "4202000420", ("engine", "020000"): "42000000100000"}
    assert said(Car(says), answers.snapshot, lines.snapshot, ENGINE) == [
        "engine (7E0): P0420  catalyst system efficiency below threshold, bank 1", "  EngineSpeed                  1726 rpm",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [("no_answer", "no answer"), ("negative 21", "refused, it is busy (21)")])
def test_snapshot_that_is_not_told_leaves_the_others(text: str, words: str) -> None:
    says = {("door", "19028d"): "59028d" + "c100870c" + "04200008", ("door", "1904c10087ff"): text}
    says |= {("door", "1904042000ff"): "5904042000080101020101", ("door", "1906042000ff"): "negative 11"}
    told = said(Car(says), answers.snapshot, lines.snapshot, DOOR)
    assert told[1:] == ["  record 1: 02 01 01", f"  the snapshot of U0100-87 could not be read: {words}"]


def test_parameters_of_which_a_part_is_lost() -> None:
    car = Car({("engine", "0100"): "4100" + "08000001", ("engine", "0120"): "wrong_sn"})
    assert said(car, answers.supported, lines.supported, ENGINE)[2:] == [
        "  parameters of service 01 from 21 on could not be read: a frame of its answer was lost"
    ]


def test_parameter_without_a_formula_or_cut_short_is_hex() -> None:
    assert parameters.decode(0xC8, b"\1\2") == [parameters.Value(0xC8, "", "01 02", "")]
    assert parameters.decode(0x0C, b"\x1a") == [parameters.Value(0x0C, "", "1a", "")]
    assert [value.value for value in parameters.decode(0x0C, b"\x1a\xf8")] == [1726]


def test_descriptions_are_of_codes_that_there_are() -> None:
    for text in CODES:
        number = "PCBU".index(text[0]) << 22 | int(text[1]) << 20 | int(text[2:], 16) << 8
        assert code_text(number) == text
    assert "generic" not in failure("negative", 0x31)


def test_device_s_own_reader_raises_our_failure() -> None:
    with pytest.raises(Failure) as caught:
        codes(b"\x59\x02\xff\x01")
    assert caught.value.code == "form"


VEHICLE = """
[vehicle]
name = "planted"
version = "1"
vehicle = "any"
model_years = "all"
source = "none"
tried = "never"
[[ecus]]
name = "battery"
tx_id = 0x7E4
rx_id = 0x7EC
[[requests]]
ecu = "battery"
request = "220101"
period_ms = 1000
[[requests.signals]]
path = "Vehicle.Level"
datatype = "float"
unit = "percent"
start = 8
length = 16
scale = 0.5
range = [0, 100]
purpose = "x"
[[requests.signals]]
path = "Vehicle.Mode"
datatype = "string"
start = 24
length = 8
labels = { 2 = "fast" }
purpose = "x"
[[requests.signals]]
path = "Vehicle.Late"
datatype = "uint8"
start = 32
length = 8
purpose = "x"
optional = true
"""


def test_values_of_an_identifier_that_the_profile_names(tmp_path: Path) -> None:
    (tmp_path / "planted.toml").write_text(VEHICLE)
    profile = find(tmp_path / "planted.toml", 1000, pytest.fail)
    answer = "620101ff012c02"
    car = Car({("battery", "220101"): answer, ("engine", "220101"): answer, ("battery", "220102"): "62010201"})

    async def read(client: Client, ecus: list[Ecu]) -> list[dict[str, Any]]:
        return await answers.read(client, ecus, [b"\1\1", b"\1\2"], profile)

    assert said(car, read, lines.read, BATTERY) == [
        "battery (7E4) 0101: FF 01 2C 02", "  Vehicle.Level                150 percent  out of range",
        "  Vehicle.Mode                 fast", "battery (7E4) 0102: 01",
    ]  # fmt: skip
    car.says["battery", "220101"] = "620101ff00c802"
    assert said(car, read, lines.read, BATTERY)[1] == "  Vehicle.Level                100 percent"
    assert said(car, read, lines.read, ENGINE) == ["engine (7E0) 0101: FF 01 2C 02", "engine (7E0) 0102: no answer"]


def test_several_identifiers_and_parameters_of_each() -> None:
    says = {("engine", "22f190"): "62f190" + VIN, ("engine", "010c"): "410c1af8", ("battery", "22f187"): "62f18741"}
    car = Car(says | {("engine", "22f187"): "negative 31", ("battery", "010c"): "41", ("engine", "01c8"): "41c80102"})

    async def read(client: Client, ecus: list[Ecu]) -> list[dict[str, Any]]:
        return await answers.read(client, ecus, [b"\xf1\x87", b"\xf1\x90", b"\x0c", b"\xc8"])

    assert said(car, read, lines.read, ENGINE, BATTERY) == [
        "engine (7E0) F187: refused, it does not have this, or not now (31)",
        f"engine (7E0) F190: {bytes.fromhex(VIN).hex(' ').upper()}  'KMHK381GFLU000001'",
        "engine (7E0) 0C: 1A F8", "  EngineSpeed                  1726 rpm", "engine (7E0) C8: 01 02", "battery (7E4) F187: 41",
        "battery (7E4) F190: no answer", "battery (7E4) 0C: its answer cannot be read", "battery (7E4) C8: no answer",
    ]  # fmt: skip


def test_whom_a_verb_asks() -> None:
    client = Beside(Car({}))
    assert [ecu.name for ecu in asyncio.run(client.ecus(None))] == ["engine", "battery", "door"]
    assert [ecu.name for ecu in asyncio.run(client.ecus("door"))] == ["door"]
    for name, known in ("nobody", "engine, battery, door"), ("all", "engine, battery$"):  # those of 11 bits
        with pytest.raises(InputError, match=f"give one of {known}"):
            asyncio.run(client.ecus(name))
    assert asyncio.run(client.whom("all")) == (Ecu("all", 0x7DF, None), [ENGINE, BATTERY])
    assert asyncio.run(client.whom("door")) == (None, [DOOR])
    with pytest.raises(InputError, match="its profile names no ecus"):
        asyncio.run(Beside(Car({}, GATE | {"ecus": []})).ecus(None))


def at_once(car: Car, verb: Callable[..., Awaitable[list[dict[str, Any]]]], kind: Callable[..., Any]) -> list[str]:
    """The lines of a verb that asks engine and battery with one request."""
    rows = asyncio.run(verb(AtOnce(Beside(car), Ecu("all", 0x7DF, None)), [ENGINE, BATTERY]))
    return list(lines.told(rows, kind))


def asked(car: Car) -> list[tuple[object, object]]:
    return [(given["ecu"], given["request"]) for name, given in car.heard if name == "ask"]


def test_all_are_asked_at_once_and_each_one_s_answer_is_told() -> None:
    car = Car({("engine", "19028d"): "59028d0420002f", ("engine", "0a"): "4a00", ("battery", "03"): "43010a80"})
    assert at_once(car, answers.dtcs, lines.dtcs) == [
        "engine (7E0): 1 trouble code",
        "  P0420     catalyst system efficiency below threshold, bank 1  confirmed, pending, test failed",
        "battery (7E4): 1 trouble code",
        "  P0A80     replace hybrid battery pack  confirmed",
    ]
    assert asked(car) == [("all", request) for request in ("19028d", "0a", "03", "07")]
    car = Car({("engine", "0902"): "490201" + VIN, ("battery", "22f190"): "62f190" + VIN})
    assert at_once(car, answers.every_vin, lines.vin) == [
        "KMHK381GFLU000001  from engine (7E0)", "KMHK381GFLU000001  from battery (7E4)",
    ]  # fmt: skip
    assert asked(car) == [("all", request) for request in ("0902", "0904", "22f190")]
    car = Car({("engine", "0100"): "410008000000", ("battery", "0100"): "410000100000"})
    assert at_once(car, answers.supported, lines.supported) == [
        "engine (7E0): 1 parameter of service 01", "  05  CoolantTemperature",
        "battery (7E4): 1 parameter of service 01", "  0C  EngineSpeed",
    ]  # fmt: skip


def test_who_keeps_silent_when_all_are_asked_has_no_answer() -> None:
    car = Car({("engine", "0100"): "410008000000"})
    assert at_once(car, answers.supported, lines.supported)[2:] == ["battery (7E4): no answer"]


def test_gate_that_refuses_the_functional_request_is_not_asked_again_for_each() -> None:
    car = Car({("all", "0100"): "muted"})
    told = at_once(car, answers.supported, lines.supported)
    assert [line.split(":")[0] for line in told] == ["engine (7E0)", "battery (7E4)"]
    assert all("asking is muted" in line for line in told) and asked(car) == [("all", "0100")]


def test_answers_that_have_no_room_in_a_reply_are_asked_for_one_by_one() -> None:
    each = {(ecu, "19028d"): "59028d" for ecu in ("engine", "battery")}
    car = Car(each | {("all", "19028d"): "too_long", ("all", "0a"): "negative 11"})
    assert at_once(car, answers.dtcs, lines.dtcs) == ["engine (7E0): no trouble codes", "battery (7E4): no trouble codes"]
    assert asked(car) == [("all", "19028d"), ("engine", "19028d"), ("all", "0a"), ("battery", "19028d")]


@pytest.mark.parametrize("answers", [7, {"engine": 7}, {"engine": {"failure": 7}}, {"engine": "x"}])
def test_answers_of_all_that_no_device_sends(answers: object) -> None:
    class Odd(Beside):
        async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
            return Reply("kona", "x", command, True, {"answers": answers}, "", "")

    with pytest.raises(Refused, match="replies what no device does"):
        asyncio.run(Odd(Car({})).ask_all(ENGINE, b"\x03"))


@pytest.mark.parametrize(("reason", "words"), [("unknown_command", "newer firmware"), ("expired", "to ask: expired late")])
def test_device_that_refuses_the_command(reason: str, words: str) -> None:
    class Old(Beside):
        async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
            return Reply("kona", "x", command, False, {}, reason, "late")

    with pytest.raises(Refused, match=words):
        asyncio.run(Old(Car({})).ask(ENGINE, b"\x03"))


def test_reply_that_no_device_sends() -> None:
    class Odd(Beside):
        async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
            return Reply("kona", "x", command, True, {"answer": 7}, "", "")

    with pytest.raises(Refused, match="replies what no device does"):
        asyncio.run(Odd(Car({})).ask(ENGINE, b"\x03"))


def test_gate_is_told_as_a_garage_wants_it() -> None:
    told = list(lines.gate(GATE | {"muted": "dtc"}, 1_700_000_000))
    assert told[0] == "gate open, muted: a trouble code came after asking began; 2 frames sent since the device started"
    assert told[1] == "  may ask engine at 7E0, answers at 7E8"
    assert told[4] == "  may ask all at 7DF, many answer"
    assert told[5].startswith("  refused 3 times: the vehicle is not awake")
    assert told[6:8] == ["  answers, 7 times: no answer", "  answers, 2 times: a message that was not awaited"]
    schedule = {"answered": 120, "failed": 2, "dropped": 1, "rare": 0, "short": 0}
    assert list(lines.gate(GATE | schedule))[5] == (
        "  by schedule: 120 requests answered, 2 requests not answered, 1 request given up"
    )
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_700_000_000 - 1.5))
    assert told[8] == f"  {date}  7E0  03 19 02 8D 00 00 00 00" and len(told) == 10


def test_reasons_why_a_gate_is_muted_all_have_words() -> None:
    sources = [(FIRMWARE / "pigtail" / place).read_text() for place in ("can/tx_guard.py", "diag/watch.py")]
    assert set(re.findall(r'mute\("(\w+)"\)', "".join(sources))) == MUTED.keys()


def test_gate_of_a_firmware_that_does_not_tell_what_it_dropped() -> None:
    before = {name: value for name, value in GATE.items() if name != "isotp"}
    assert not any("answers, " in line for line in lines.gate(before))
    before["log"] = [[-400_000_000, 0x7E0, "0319028d00000000"]]  # as its ticks wrapped
    assert list(lines.gate(before))[-1] == "  date unknown         7E0  03 19 02 8D 00 00 00 00"


def test_reasons_why_something_was_dropped_all_have_words() -> None:
    source = (FIRMWARE / "pigtail" / "diag" / "isotp.py").read_text()
    reasons = ast.literal_eval(source[source.index("_REASONS = ") :].split(" = ")[1].split(")")[0] + ")")
    assert set(reasons) <= {*DROPPED, *NOT_ASKED}


class Asking(Beside):
    """A device whose gate has let `sent` frames through, and `more` before each reply but the first, a second later each."""

    def __init__(self, sent: int, more: int = 0) -> None:
        super().__init__(Car({}))
        self.at, self.more, self.replies, self.asks = [n * 10 for n in range(sent)], more, 0, 0x7E0

    async def _told(self, command: str, arguments: Mapping[str, object]) -> Reply:
        now, skip = 100_000 + self.replies * 1_000, arguments["skip"]
        if self.replies:
            self.at += [now] * self.more
        self.replies += 1
        assert isinstance(skip, int) and skip >= 0
        log = [[now - at, self.asks, f"{n:016x}"] for n, at in enumerate(self.at)][-32:]
        end = max(0, len(log) - skip)
        told = GATE | {"sent": len(self.at), "log": log[max(0, end - 8) : end]}
        return Reply("kona", "x", command, True, told, "", "")


@pytest.mark.parametrize("sent", [0, 2, 8, 9, 20, 32, 33, 421])
def test_log_of_the_gate_is_read_page_by_page(sent: int) -> None:
    told = asyncio.run(Asking(sent).gate())
    assert told["log"] == [[100_000 - n * 10, 0x7E0, f"{n:016x}"] for n in range(max(0, sent - 32), sent)]
    assert (told["ecus"], told["sent"], told["overwritten"]) == (ECUS, sent, 0)


@pytest.mark.parametrize(("sent", "more", "overwritten"), [
    (421, 3, 12), (421, 1, 4), (421, 6, 21), (421, 7, 24), (421, 8, 24), (421, 14, 24), (421, 50, 24), (9, 3, 0), (20, 3, 0),
    (20, 12, 12),
])  # fmt: skip
def test_log_of_a_gate_that_goes_on_sending_has_each_frame_once_at_its_time(sent: int, more: int, overwritten: int) -> None:
    told = asyncio.run(Asking(sent, more).gate())
    first = max(0, sent - 32) + overwritten
    assert told["log"] == [[100_000 - n * 10, 0x7E0, f"{n:016x}"] for n in range(first, sent)]
    assert (told["sent"], told["overwritten"]) == (sent, overwritten)
    words = f"  newer ones overwrote {overwritten} frames before these while the log was read"
    assert (words in lines.gate(told)) == bool(overwritten)


@pytest.mark.parametrize("after", [0, 20, 421, 424])
def test_log_of_a_device_that_restarts_while_it_is_read_is_told_as_that(after: int) -> None:
    class Restarts(Asking):
        async def _told(self, command: str, arguments: Mapping[str, object]) -> Reply:
            reply = await super()._told(command, arguments)
            self.at, self.asks = [1] * after, 0x7E4
            return reply

    with pytest.raises(Refused, match="kona was restarted while its log was read: try again"):
        asyncio.run(Restarts(421).gate())


def test_device_whose_owner_has_allowed_nothing() -> None:
    class Quiet(Beside):
        async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
            return Reply("kona", "x", command, False, {}, "bad_arguments", "requests are not allowed")

    with pytest.raises(Refused, match="kona asks nothing: its owner must allow it first"):
        asyncio.run(Quiet(Car({})).ecus(None))


def pigtail(url: str, tmp_path: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    (tmp_path / "key").write_text(KEY.hex())
    place = ["--broker", url, "--device", "kona", "--command-key", str(tmp_path / "key")]
    return subprocess.run([*PIGTAIL, "diag", *place, *arguments], capture_output=True, text=True, timeout=HANGS_S, input=typed)


def test_command_line_over_a_broker(tmp_path: Path) -> None:
    says = {("engine", "19028d"): MEMORY, ("engine", "14ffffff"): "54", ("engine", "0a"): "negative 11"}
    car = Car(says | {("battery", "220101"): "620101" + b"Hi".hex(), ("battery", "19028d"): "59028d"})

    async def use(running: broker.Broker) -> None:
        async def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
            return await asyncio.to_thread(pigtail, running.url, tmp_path, *arguments, typed=typed)

        ran = await run("dtcs", "--ecu", "engine")
        assert ran.returncode == 0 and "U0100-87  lost communication" in ran.stdout, ran.stderr
        ran = await run("dtcs", "--ecu", "battery")  # its permanent ones are not told
        assert ran.returncode == 1 and "permanent codes could not be read: no answer" in ran.stdout, ran.stderr
        del car.says["battery", "19028d"]
        ran = await run("--json", "dtcs")
        told = json.loads(ran.stdout)["ecus"]
        assert ran.returncode == 1 and told[0]["codes"][0]["code"] == "P0420" and told[1]["failure"] == "no answer"
        ran = await run("dtcs", "--ecu", "all")  # the battery keeps silent, which is no failure where all are asked
        assert ran.returncode == 0 and "P0420" in ran.stdout and "battery (7E4): no answer" in ran.stdout, ran.stderr
        ran = await run("clear", "--ecu", "all", "--yes")
        assert ran.returncode == 2 and "all is several at once" in ran.stderr
        ran = await run("read", "0101", "F187", "--ecu", "battery")
        assert (ran.returncode, ran.stdout) == (1, "battery (7E4) 0101: 48 69  'Hi'\nbattery (7E4) F187: no answer\n")
        ran = await run("read", "0101", "--ecu", "battery")
        assert (ran.returncode, ran.stdout) == (0, "battery (7E4) 0101: 48 69  'Hi'\n")
        ran = await run("clear", "--ecu", "engine", typed="battery\n")
        assert (ran.returncode, ran.stdout) == (1, "") and "nothing was cleared" in ran.stderr
        assert "clear" not in [name for name, _ in car.heard]
        ran = await run("clear", "--ecu", "engine", typed="engine\n")
        assert (ran.returncode, ran.stdout) == (0, "engine (7E0): no trouble codes\n"), ran.stderr
        assert ("clear", {"ecu": "engine", "request": "14ffffff"}) in car.heard
        car.says |= {("door", "19028d"): "negative 11", ("door", "1800ff00"): "58010420e0"}
        ran = await run("clear", "--ecu", "door", "--yes")
        assert ran.returncode == 1 and ran.stderr.endswith("by KWP 2000, and pigtail does not clear them by that\n")
        for verb, command in ("allow", {"requests": True}), ("forbid", {"requests": False}), ("unmute", {}):
            ran = await run(verb)
            assert (ran.returncode, car.heard[-1]) == (0, ("unmute" if verb == "unmute" else "allow", command))
        ran = await run("gate")
        assert ran.returncode == 0 and ran.stdout.startswith("gate open; 2 frames sent since")

    served(lambda command: [car.answer(command)], tmp_path, use)


@pytest.mark.parametrize("verb", [*diag.VERBS, *diag.OTHERS])
def test_who_waits_for_an_answer_sees_a_sign_of_life_and_none_at_the_prompt(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    waited: list[bool] = []
    asked: list[bool] = []

    @contextmanager
    def working(words: str) -> Iterator[None]:
        turns.append(words)
        yield
        turns.pop()

    class Seen(Beside):
        async def _told(self, command: str, arguments: Mapping[str, object]) -> Reply:
            waited.append(turns == ["waiting for kona"])
            return await super()._told(command, arguments)

    def prompt(*words: object, **how: object) -> str:
        asked.append(not turns)
        return "engine"

    car = Car({("engine", "19028d"): MEMORY, ("engine", "14ffffff"): "54", ("engine", "22f190"): "62f190" + VIN})
    monkeypatch.setattr(diag, "carrier", lambda way, wait_s: nullcontext(("kona", Seen(car).send)))
    monkeypatch.setattr(diag, "working", working)
    monkeypatch.setattr(diag.click, "prompt", prompt)
    with pytest.raises(SystemExit):
        cli.main(["diag", "--ecu", "engine", verb, *(["F190"] if verb == "read" else [])])
    assert waited and all(waited) and asked == ([True] if verb == "clear" else [])
    assert verb != "clear" or [name for name, _ in car.heard].index("clear") < len(car.heard) - 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["read"], "read takes identifiers"), (["read", "F19"], "'F19' is no identifier"), (["read", "wxyz"], "'wxyz' is no"),
        (["read", "0x1F"], "'0x1F' is no"), (["read", "1_23"], "'1_23' is no"), (["read", "+123"], "'+123' is no"),
        (["read", "F190", "١٢٣٤"], "'١٢٣٤' is no"), (["read", "F190 "], "'F190 ' is no"), (["read", ""], "'' is no"),
        (["dtcs", "F190"], "the other verbs take none"), (["clear"], "say with --ecu"), (["dance"], "'dance' is not one of"),
        (["dtcs", "--device", "a/b"], "a/b"), (["gate"], "broker"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    ran = pigtail("mqtt://127.0.0.1:1", tmp_path, *arguments)  # the last one is good, but there is no broker
    assert ran.returncode == 2 and ran.stdout == "" and words in ran.stderr
    assert ran.stderr.startswith("pigtail: error: ") and ran.stderr.count("\n") == 1
