"""One request for several identifiers: what the device's tables make of whole answers, and of such as lack one."""

from pathlib import Path

from differential.device import decoded

from host_tools.signals import vehicle
from host_tools.signals.profile import Profile

CAR = """
[vehicle]
name = "car"
version = "1"
vehicle = "A car"

[[ecus]]
name = "battery"
tx_id = 0x7E4
rx_id = 0x7EC

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


ANSWERS = (
    "62 f40c1af8 f40d85 0101060504030201",
    "62 f40c0004 f40d02",
    "62 f40d11 0101a1a2a3a4a5a6",
    "62 f40c0008 0101b1b2b3b4b5b6",
    "62 f40d21",
)


def compiled(folder: Path) -> Profile:
    (folder / "car.toml").write_text(CAR)
    return vehicle.load(folder / "car.toml", print)


def test_several_identifiers_in_one_request_are_told_apart_by_themselves_on_the_device(tmp_path: Path) -> None:
    """Whole answers; answers in which the ECU has left one out, which moves those behind it."""
    profile = compiled(tmp_path)
    (request,) = profile.asking.requests
    assert [window.at for window in request.windows] == [1, 5, 8]
    rounds = [
        [(window.virtual_id, False, answer[window.at :][:8]) for window in request.windows if len(answer) > window.at]
        for answer in map(bytes.fromhex, ANSWERS)
    ]
    got = []
    for raw, _, _ in decoded(tmp_path, profile, rounds):
        found = dict(zip([field.signal.name for field in profile.fields], raw, strict=True))
        got.append((found["Vehicle.Speed"], found["Vehicle.Soc"]))
    assert got == [(0x1AF8, 5), (4, 2), (4, 2), (8, 2), (8, 2)]
    wide = [i for i, field in enumerate(profile.fields) if field.signal.name == "Vehicle.Wide"]
    assert [next(iter(decoded(tmp_path, profile, rounds[:1])))[0][i] for i in wide] == [0x03040506, 0x0102]
