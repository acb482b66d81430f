"""[[requests]]: what a profile says of them, the windows of their answers, and what the device and the reader make of those."""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from batch_encoder import Encoder
from decoder_example import load_decoder
from on_device import run

from host_tools.errors import InputError
from host_tools.reader import decode
from host_tools.reader.bulk import decode_all
from host_tools.reader.events import QUALITIES
from host_tools.signals import answer, services
from host_tools.signals.answer import Asked, Value
from host_tools.signals.asking import Asking, Ecu
from host_tools.signals.pack import identity, pack, unpack
from host_tools.signals.profile import SOURCES, Message, Profile, Signal
from host_tools.signals.requests import Request, Window
from host_tools.signals.tables import HEADER
from host_tools.signals.typed import FaultError

BMS = Ecu("bms", 0x7E4, 0x7EC, safe=("charging",))
LOADED = """
import sys
from array import array
from pigtail.can import filters
from pigtail.control.snapshot import snapshot
from pigtail.signals.profile import Profile
from pigtail.signals.table import Table
from pigtail.signals.values import Values
p = Profile(sys.argv[1])
values = Values(p)
table = Table(p, values)
slots = bytearray(16)
words = array("I", [0])
def hear(ident, data):
    slots[0:4] = ident.to_bytes(4, "little")
    slots[4:8] = (len(data) << 28 | 1).to_bytes(4, "little")
    slots[8:16] = data + bytes(8 - len(data))
    table.decode(slots, 1)
answer = bytes.fromhex(sys.argv[2])
for window in sys.argv[3:]:
    ident, at = (int(n) for n in window.split("@"))
    hear(ident, answer[at : at + 8])
print(list(values.raw), p.messages - p.windows, values.messages_heard(), table.unknown)
print([i for i, mask, flags in filters.wanted(p, (), 1)])
known = [snapshot(p, values, {"x": (s, "x", 8, False, False, 1, 0)})["x"] for s in range(p.signals)]
print([told and told["source"] for told in known])
"""


def value(name: str, start: int, length: int, **more: object) -> Value:
    return Value(start, Signal(name, 0, length, "big_endian", **{"period_ms": 1000} | more))  # type: ignore[arg-type]


def battery() -> Profile:
    """A broadcast message, one of 29 bits, and a request whose answer takes three windows."""
    values = (
        value("Vehicle.Soc", 8, 8), value("Vehicle.Current", 80, 16, is_signed=True), value("Vehicle.Cells", 96, 48),
        value("Vehicle.Last", 200, 1),
    )  # fmt: skip
    asked = Asked(Request("bms", bytes.fromhex("220101"), 1000, 3, ("awake", "charging")), values)
    requests, windows = answer.compiled([asked])
    speed = Message(0x100, False, "A", (Signal("Vehicle.Speed", 0, 8, period_ms=100),))
    wide = Message(0x18FF1234, True, "B", (Signal("Vehicle.Wide", 0, 8, period_ms=100),))
    return Profile("p", "1", "car", (speed, *windows, wide), Asking((BMS,), {}, requests))


def head(profile: Profile) -> dict[str, object]:
    packed = pack(profile)
    size = HEADER.unpack_from(packed)[6]
    found: dict[str, object] = json.loads(zlib.decompress(packed[-4 - size : -4]).split(b"\n")[0])
    return found


def test_head_tells_the_device_what_to_ask_and_where_the_windows_are() -> None:
    assert head(battery())["requests"] == [
        {"ecu": "bms", "request": "220101", "period_ms": 1000, "priority": 3, "while": ["awake", "charging"],
         "windows": [[0x800, 4], [0x801, 13], [0x802, 28]]},
    ]  # fmt: skip


def test_defaults_are_left_out_of_the_head() -> None:
    requests, windows = answer.compiled([Asked(Request("bms", b"\x01\x0c", 100), (value("Vehicle.X", 0, 16),))])
    profile = Profile("p", "1", "car", tuple(windows), Asking((BMS,), {}, requests))
    assert head(profile)["requests"] == [{"ecu": "bms", "request": "010C", "period_ms": 100, "windows": [[0x800, 2]]}]


def test_packed_profile_carries_requests_and_sources() -> None:
    profile = battery()
    assert unpack(pack(profile)) == profile
    assert [signal.source for signal in unpack(pack(profile)).signals] == ["broadcast", *4 * ["diagnostic"], "broadcast"]


def test_device_decodes_the_windows_and_keeps_them_apart_from_the_bus(tmp_path: Path) -> None:
    (tmp_path / "profile.bin").write_bytes(pack(battery()))
    (tmp_path / "script.py").write_text(LOADED)
    data = bytes(range(1, 30))
    data = data[:10] + b"\xff\x38" + bytes.fromhex("A1A2A3A4A5A6") + data[18:25] + b"\x80"
    payload = (b"\x62\x01\x01" + data).hex()
    windows = [f"{w.virtual_id}@{w.at}" for w in battery().asking.requests[0].windows]
    said = run([str(tmp_path / "script.py"), str(tmp_path / "profile.bin"), payload, *windows]).splitlines()
    low = 0xA3A4A5A6 - (1 << 32)
    assert said == [f"[0, 2, -200, {low}, {0xA1A2}, 1, 0] 2 0 0", f"[256, {0x18FF1234}]", str([None, *5 * ["diagnostic"], None])]


def test_reader_says_diagnostic_from_the_first_sample_on_and_after_a_mark() -> None:
    """All three readers: one batch, many at once, and the reference decoder."""
    profile = battery()
    readings = {(tick, 0): tick for tick in range(30)} | {(10, 1): 5, (20, 1): 7}  # by tick and field
    encoder = Encoder(profile, ticks=30, readings=readings, events=[(1, 1500, 2, 0)])
    encoder.profile_hash = identity(pack(profile))
    payload = encoder.encode()
    said = [(one.name, one.quality, one.source) for one in decode(payload, profile).samples]
    asked = [one for one in said if one[0] == "Vehicle.Soc"]
    assert asked == [("Vehicle.Soc", "valid", "diagnostic"), ("Vehicle.Soc", "stale", "diagnostic")]
    assert {one for one in said if one[0] != "Vehicle.Soc"} == {("Vehicle.Speed", "valid", "broadcast")}
    decoder = load_decoder()
    assert [(s["name"], s["quality"], s["source"]) for s in decoder.decode(decoder.Profile(pack(profile)), payload)[1]] == said
    columns = decode_all([(payload, profile)] * 30).columns
    coded = zip(columns.signal, columns.quality, columns.source, strict=True)
    found = [(profile.signals[signal].name, QUALITIES[quality], SOURCES[source]) for signal, quality, source in coded]
    assert found == 30 * said


def test_windows_hold_as_many_values_as_eight_bytes_and_a_row_can() -> None:
    bits = (*(value(f"Vehicle.B{n}", n, 1) for n in range(64)), value("Vehicle.Again", 0, 8))
    requests, windows = answer.compiled([Asked(Request("bms", b"\x21\x01", 1000), bits)])
    assert [len(message.signals) for message in windows] == [64, 1]
    assert requests[0].windows == (Window(0x800, 2), Window(0x801, 9))


def test_little_endian_values_are_found_too() -> None:
    signal = Signal("Vehicle.X", 0, 12, "little_endian", period_ms=100)
    _, (window,) = answer.compiled([Asked(Request("bms", bytes.fromhex("22F190"), 100), (Value(20, signal),))])
    assert window.name == "bms 22F190[5]" and (window.signals[0].start, window.signals[0].byte_order) == (4, "little_endian")


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (value("Vehicle.X", 4, 64), "Vehicle.X cannot be read: its 64 bits lie in 9 bytes; 8 can be read"),
        (value("Vehicle.X", 8 * 510, 8), "Vehicle.X cannot be read: it lies beyond byte 512 of the answer"),
    ],
)
def test_values_that_no_window_can_hold(found: Value, fault: str) -> None:
    with pytest.raises(FaultError, match=fault):
        answer.compiled([Asked(Request("bms", bytes.fromhex("220101"), 100), (found,))])


def test_request_without_signals() -> None:
    with pytest.raises(FaultError, match="the request 220101 has no signals"):
        answer.compiled([Asked(Request("bms", bytes.fromhex("220101"), 100), ())])


def test_windows_that_are_in_no_request() -> None:
    profile = battery()
    for requests in ((), (replace(profile.asking.requests[0], windows=(Window(0x800, 4),)),)):
        with pytest.raises(InputError, match="its requests and the ids from 0x800 on do not fit each other"):
            replace(profile, asking=replace(profile.asking, requests=requests))


def test_services_are_those_of_the_gate() -> None:
    assert set(services.REPEATED) <= set(services.reads())
    assert services.fault(b"\x22\x01\x01") == services.fault(b"\x01\x0c") == services.fault(b"\x21\x01\x02") == ""
    for request in (b"\x2e\x01\x01", b"\x11\x01", b"\x27\x01", b"", b"\x31\x01"):
        assert services.fault(request) == "its service is none that the device's gate lets pass"
    assert services.fault(b"\x19\x02\xff") == "its service reads no values"
    assert services.fault(b"\x22\x01\x01\x01\x02") == "" and services.fault(b"\x22\1\1\1\1") == "it has an identifier twice"
    assert services.fault(b"\x21\x01\x01\x01") == "service 21 takes one identifier of 1 bytes at a time"
