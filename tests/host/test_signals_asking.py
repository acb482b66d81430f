"""[[ecus]] and [states] of a vehicle file: read, carried by the packed profile, and what the device makes of them."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from on_device import run

from host_tools.errors import InputError
from host_tools.signals import asking
from host_tools.signals.asking import Asking, Ecu, State
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.signals.typed import FaultError

ECUS: list[dict[str, Any]] = [
    {"name": "engine", "tx_id": 0x7E0, "rx_id": 0x7E8},
    {"name": "battery", "tx_id": 0x18DA10F1, "rx_id": 0x18DAF110, "sessions": [3], "safe": ["charging"], "interval_ms": 500},
    {"name": "gateway", "tx_id": 0x6F1, "rx_id": 0x610, "prefix": 0x10},
    {"name": "slow", "tx_id": 0x7E3, "rx_id": 0x7EB, "block_size": 8, "st_min": 0xF5, "pad": 0xAA, "timeout_ms": 2000},
    {"name": "all", "tx_id": 0x7DF, "functional": True},
]
STATES = {"charging": {"signal": "Vehicle.B", "raw": [1, 2]}}
READ = Asking(
    (
        Ecu("engine", 0x7E0, 0x7E8),
        Ecu("battery", 0x18DA10F1, 0x18DAF110, True, None, (3,), ("charging",), 500),
        Ecu("gateway", 0x6F1, 0x610, prefix=0x10),
        Ecu("slow", 0x7E3, 0x7EB, block_size=8, st_min=0xF5, pad=0xAA, timeout_ms=2000),
        Ecu("all", 0x7DF, None),
    ),
    {"charging": State("Vehicle.B", (1, 2))},
)
LOADED = """
import json
import sys
from pigtail.signals.profile import Profile
from pigtail.signals.asking import load
ecus, states, requests = load(Profile(sys.argv[1]))
print(json.dumps(ecus))
print(states)
for request in requests:
    print(request)
"""
REQUESTS = [
    {"ecu": "engine", "request": "010d", "period_ms": 1000, "windows": [[0x800, 2]]},
    {
        "ecu": "battery", "request": "220101", "period_ms": 5000, "priority": 2, "while": ["awake", "charging"],
        "windows": [[0x801, 3], [0x802, 11]],
    },
]


def profile(whom: Asking = READ) -> Profile:
    a = Signal("Vehicle.A", start=0, length=48, period_ms=100)
    b = Signal("Vehicle.B", start=0, length=8, period_ms=100)
    return Profile("p", "1", "car", (Message(0x100, False, "A", (a,)), Message(0x200, False, "B", (b,))), whom)


def test_tables_are_read() -> None:
    assert asking.read({"ecus": ECUS, "states": STATES}) == READ
    assert asking.read({}) == Asking()
    assert asking.read({"ecus": [{"name": "x", "tx_id": 5, "rx_id": 6, "is_extended_id": True}]}).ecus[0].is_extended_id


def test_packed_profile_carries_them() -> None:
    assert unpack(pack(profile())).asking == READ
    assert b"ecus" not in json.dumps(asking.told(Asking())).encode()


def test_what_has_its_default_leaves_the_packed_profile_as_it_was() -> None:
    plain = {"block_size": 0, "st_min": 0, "pad": 0, "timeout_ms": 1000}
    assert asking.told(asking.read({"ecus": [ECUS[0] | plain]})) == {"ecus": [ECUS[0]]}


def test_device_loads_the_same(tmp_path: Path) -> None:
    (tmp_path / "profile.bin").write_bytes(pack(profile()))
    (tmp_path / "script.py").write_text(LOADED)
    said = run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin")]).splitlines()
    assert json.loads(said[0]) == asking.told(READ)["ecus"]
    assert said[1:] == ["{'charging': (1, 2, [1, 2])}"]


def test_device_loads_the_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "told", lambda whom, told=asking.told: told(whom) | {"requests": REQUESTS})
    (tmp_path / "profile.bin").write_bytes(pack(profile()))
    (tmp_path / "script.py").write_text(LOADED)
    assert run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin")]).splitlines()[2:] == [
        "('engine', b'\\x01\\r', 1000, 0, ('awake',), (2048, 2))",
        "('battery', b'\"\\x01\\x01', 5000, 2, ('awake', 'charging'), (2049, 3, 2050, 11))",
    ]


@pytest.mark.parametrize("changes", [{"ecu": "all"}, {"ecu": "nobody"}, {"period_ms": 0}, {"request": ""}])
def test_device_refuses_a_request_that_the_tools_would_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    requests = [REQUESTS[0] | changes]
    monkeypatch.setattr(asking, "told", lambda whom, told=asking.told: told(whom) | {"requests": requests})
    (tmp_path / "profile.bin").write_bytes(pack(profile()))
    (tmp_path / "script.py").write_text(f"try:\n{textwrap.indent(LOADED, '    ')}except (ValueError, KeyError): print('refused')")
    assert run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin")]).splitlines() == ["refused"]


def test_device_refuses_a_prefix_and_none_behind_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = ECUS[0] | {"name": "twin", "rx_id": 0x7AA, "prefix": 3}
    monkeypatch.setattr(asking, "told", lambda whom, told=asking.told: told(whom) | {"ecus": [*ECUS, twin]})
    (tmp_path / "profile.bin").write_bytes(pack(profile()))
    (tmp_path / "script.py").write_text(f"try:\n{textwrap.indent(LOADED, '    ')}except ValueError as e: print(e)")
    said = run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin")]).splitlines()
    assert said == ["two ecus have one tx_id, with a prefix and without"]


def test_device_loads_a_profile_that_allows_nothing(tmp_path: Path) -> None:
    (tmp_path / "profile.bin").write_bytes(pack(profile(Asking())))
    (tmp_path / "script.py").write_text(LOADED)
    assert run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin")]).splitlines() == ["[]", "{}"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tx_id": 1 << 29}, "ecu 1: \"tx_id\" must be below 0x20000000"),
        ({"rx_id": 0x800}, "ecu 1: \"rx_id\" must be below 0x800"),
        ({"rx_id": 0x7E3}, 'ecu 1: "rx_id" 0x7E3 is an id of requests (ISO 15765-4)'),
        ({"tx_id": 0x18DA10F2, "rx_id": 0x18DA20F1}, 'ecu 1: "rx_id" 0x18DA20F1 is an id of requests (ISO 15765-4)'),
        ({"tx_id": "7E0"}, "ecu 1: \"tx_id\" must be of type int"),
        ({"functional": True}, 'ecu 1: it needs either an "rx_id" or functional = true'),
        ({"functional": 1}, 'ecu 1: "functional" must be true or false'),
        ({"sessions": [2]}, 'ecu 1: "sessions" must be made of 1 to 0x7F, and never 2'),
        ({"sessions": [0x83]}, 'ecu 1: "sessions" must be made of 1 to 0x7F'),
        ({"sessions": ["3"]}, 'ecu 1: "sessions" must be a list of int'),
        ({"safe": ["driving"]}, 'ecu 1: "safe" takes locked, asleep, charging'),
        ({"prefix": 256}, 'ecu 1: "prefix" must be one byte'),
        ({"interval_ms": 10}, 'ecu 1: "interval_ms" must be in 50 to 3600000'),
        ({"block_size": 256}, 'ecu 1: "block_size" must be in 0 to 255'),
        ({"block_size": 0.5}, 'ecu 1: "block_size" must be of type int'),
        ({"st_min": -1}, 'ecu 1: "st_min" must be in 0 to 249'),
        ({"st_min": 0xFA}, 'ecu 1: "st_min" must be in 0 to 249'),
        ({"st_min": 128}, 'ecu 1: "st_min" must be 0 to 127 (ms) or 0xF1 to 0xF9 (100 to 900 us): the others are reserved'),
        ({"st_min": 0xF0}, 'ecu 1: "st_min" must be 0 to 127 (ms) or 0xF1 to 0xF9'),
        ({"pad": 256}, 'ecu 1: "pad" must be in 0 to 255'),
        ({"pad": "AA"}, 'ecu 1: "pad" must be of type int'),
        ({"timeout_ms": 49}, 'ecu 1: "timeout_ms" must be in 50 to 9900'),
        ({"timeout_ms": 9901}, 'ecu 1: "timeout_ms" must be in 50 to 9900'),
        ({"functional": True, "rx_id": None, "pad": 0}, 'ecu 1: "pad" is for an ECU that answers alone'),
        ({"speed": 1}, 'ecu 1: unknown key "speed"'),
    ],
)
def test_faults_of_an_ecu_are_named(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(FaultError) as caught:
        asking.read({"ecus": [{key: value for key, value in (ECUS[0] | changes).items() if value is not None}]})
    assert str(caught.value).startswith(fault)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"ecus": [ECUS[0], ECUS[0] | {"name": "twin", "rx_id": 0x7AA}]}, "two ecus have the same tx_id"),
        ({"ecus": [ECUS[0], ECUS[0] | {"name": "twin", "tx_id": 0x7A2}]}, "two ecus have the same rx_id"),
        ({"ecus": [ECUS[0], ECUS[0] | {"tx_id": 0x7A2, "rx_id": 0x7AA}]}, "two ecus have the same name"),
        ({"ecus": [ECUS[0], ECUS[0] | {"name": "twin", "rx_id": 0x7AA, "prefix": 3}]}, "two ecus have the same tx_id, with"),
        ({"ecus": [ECUS[0] | {"tx_id": n} for n in range(17)]}, "17 ecus; a device takes 16"),
        ({"ecus": [7]}, '"ecus" must be a list of dict'),
        ({"states": {"parked": {}}}, 'states: "parked" is none; known are locked, charging, awake'),
        ({"states": {"locked": {"signal": "Vehicle.B"}}}, 'states.locked: "raw" is missing'),
        ({"states": {"locked": {"signal": "Vehicle.B", "raw": [True]}}}, 'states.locked: "raw" must be a list of int'),
    ],
)
def test_faults_of_the_tables_are_named(content: dict[str, object], fault: str) -> None:
    with pytest.raises(FaultError) as caught:
        asking.read(content)
    assert str(caught.value).startswith(fault)


def test_state_that_goes_by_no_signal_of_the_profile() -> None:
    with pytest.raises(InputError, match=r"profile p: the state charging goes by Vehicle\.C, which is none of its signals"):
        profile(replace(READ, states={"charging": State("Vehicle.C", (1,))}))
