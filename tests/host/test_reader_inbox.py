"""The inbox: messages in any order, foreign, twice, half or forged."""

import json
from dataclasses import replace

import pytest
from batch_encoder import Encoder

from host_tools.errors import InputError
from host_tools.reader import (
    BatchEvent,
    FramesLost,
    Gap,
    Happened,
    ProfileSeen,
    Reply,
    Status,
    Totals,
    Trouble,
)
from host_tools.reader.inbox import Event, Inbox
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal

SPEED = Signal("speed", 0, 32, period_ms=100, purpose="driving")
GEAR = Signal("gear", 32, 3, purpose="driving")
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (SPEED,)),))
PACKED = pack(PROFILE)
HASH = identity(PACKED)


def topic(kind: str, device: str = "kona") -> str:
    return f"pigtail/v1/{device}/{kind}"


PROFILE_TOPIC = topic(f"profile/{HASH:08x}")


def batch(first: int, count: int, boot: int = 1, profile_hash: int = HASH) -> bytes:
    readings = {(tick, 0): tick for tick in range(first, first + count)}
    return Encoder(PROFILE, profile_hash, boot=boot, first=first, start=first, ticks=count, readings=readings).encode()


def filled(device: str | None = None) -> Inbox:
    inbox = Inbox(device)
    assert [type(event) for event in inbox.receive(PROFILE_TOPIC, PACKED)] == [ProfileSeen]
    return inbox


def sequences(events: list[Event]) -> list[list[int]]:
    return [[sample.sequence for sample in event.batch.samples] for event in events if isinstance(event, BatchEvent)]


def test_batch_behind_its_profile():
    (event,) = filled().receive(topic("telemetry"), batch(0, 3))
    assert isinstance(event, BatchEvent)
    assert (event.device, event.size) == ("kona", len(batch(0, 3)))
    assert sequences([event]) == [[0, 1, 2]]


def test_batch_twice_is_counted_and_makes_no_event():
    inbox = filled()
    assert len(list(inbox.receive(topic("telemetry"), batch(0, 3)))) == 1
    assert list(inbox.receive(topic("telemetry"), batch(0, 3))) == []
    assert inbox.accounts["kona"].totals() == Totals(received=3, duplicates=3)


def test_overlapping_batches_yield_each_sample_once():
    inbox = filled()
    events = [e for first, n in ((0, 3), (5, 3), (1, 9)) for e in inbox.receive(topic("telemetry"), batch(first, n))]
    assert sequences(events) == [[0, 1, 2], [5, 6, 7], [3, 4, 8, 9]]
    assert inbox.accounts["kona"].duplicates == 5


def test_same_sequences_of_another_boot_or_device_are_new():
    inbox = filled()
    other = topic(f"profile/{HASH:08x}", "zoe"), PACKED
    messages = [
        other, (topic("telemetry"), batch(0, 3)), (topic("telemetry"), batch(0, 3, boot=2)),
        (topic("telemetry", "zoe"), batch(0, 3)),
    ]  # fmt: skip
    events = [event for message in messages for event in inbox.receive(*message)]
    assert sequences(events) == [[0, 1, 2]] * 3


def test_batches_before_their_profile_are_held_and_come_in_order():
    inbox = Inbox()
    for first in (0, 3, 0):
        assert list(inbox.receive(topic("telemetry"), batch(first, 3))) == []
    assert list(inbox.receive(topic("telemetry", "zoe"), batch(0, 1))) == []
    events = list(inbox.receive(PROFILE_TOPIC, PACKED))
    assert sequences(events) == [[0, 1, 2], [3, 4, 5]]
    assert [held[0] for held in inbox.held] == ["zoe"]
    assert inbox.accounts["kona"].duplicates == 3


def test_held_batches_are_bounded_and_the_oldest_is_reported():
    inbox = Inbox(held_batches=2)
    events = [e for first in (0, 3, 6) for e in inbox.receive(topic("telemetry"), batch(first, 3))]
    samples = "3 samples of boot 1, stream 2, from 0 on"
    assert events == [Trouble("kona", f"telemetry: {samples} are given up: their profile {HASH:08x} did not come")]
    assert sequences(list(inbox.receive(PROFILE_TOPIC, PACKED))) == [[3, 4, 5], [6, 7, 8]]


def test_held_batches_are_bounded_in_bytes_too(monkeypatch):
    monkeypatch.setattr("host_tools.reader.inbox.HELD_BYTES", len(batch(6, 3)) + len(batch(9, 3)))
    inbox = Inbox()
    events = [e for first in (0, 3, 6, 9) for e in inbox.receive(topic("telemetry"), batch(first, 3))]
    assert [type(event) for event in events] == [Trouble, Trouble] and len(inbox.held) == 2
    assert sequences(list(inbox.receive(PROFILE_TOPIC, PACKED))) == [[6, 7, 8], [9, 10, 11]]
    assert not list(inbox.receive(topic("telemetry", "zoe"), batch(0, 3)))


def test_profile_again_is_no_event():
    assert list(filled().receive(PROFILE_TOPIC, PACKED)) == []


def test_profile_under_a_foreign_identity():
    (event,) = Inbox().receive(topic("profile/00000000"), PACKED)
    assert isinstance(event, Trouble)
    assert f"its identity is {HASH:08x}" in event.reason


def test_damaged_profile():
    (event,) = Inbox().receive(PROFILE_TOPIC, PACKED[:-9] + bytes(9))
    assert isinstance(event, Trouble)


def test_undecodable_batch_is_not_booked():
    inbox = filled()
    cut = batch(0, 3)[:-1] + b"\x80"
    (event,) = inbox.receive(topic("telemetry"), cut)
    assert isinstance(event, Trouble) and event.reason.startswith("telemetry: batch: ")
    assert sequences(list(inbox.receive(topic("telemetry"), batch(0, 3)))) == [[0, 1, 2]]


def test_gap_is_an_event_and_booked():
    inbox = filled()
    fields = {"boot": 1, "stream": 2, "first": 3, "count": 4, "reason": "flash_full"}
    (event,) = inbox.receive(topic("gap"), json.dumps(fields).encode())
    assert event == Gap("kona", 1, 2, 3, 4, "flash_full", "driving/telemetry")
    list(inbox.receive(topic("telemetry"), batch(0, 2)))
    assert inbox.accounts["kona"].totals() == Totals(2, 0, 1, inbox.accounts["kona"].lost(1, 2))
    assert inbox.accounts["kona"].lost(1, 2) == {"flash_full": 4}


def test_gap_of_a_stream_that_no_profile_names():
    for inbox, stream in ((Inbox(), 2), (filled(), 6), (filled(), 3), (filled(), 1 << 40)):
        fields = {"boot": 1, "stream": stream, "first": 3, "count": 4, "reason": "flash_full"}
        (event,) = inbox.receive(topic("gap"), json.dumps(fields).encode())
        assert isinstance(event, Gap) and event.stream_name == f"stream {stream}"


LOST = {"boot": 1, "frames": 17, "from_ms": 1000, "to_ms": 3000, "reason": "overrun"}


def test_lost_frames_are_booked_once_and_are_no_samples():
    inbox = filled()
    (event,) = inbox.receive(topic("gap"), json.dumps(LOST).encode())
    assert event == FramesLost("kona", 1, 17, 1000, 3000, "overrun")
    for told in (LOST | {"frames": 20, "to_ms": 4000}, LOST, LOST | {"boot": 2, "frames": 1}):
        list(inbox.receive(topic("gap"), json.dumps(told).encode()))
    account = inbox.accounts["kona"]
    assert account.lost_frames == [(1, 1000, 4000, 20), (2, 1000, 3000, 1)]
    assert str(account.totals()) == "0 samples, 0 duplicates, 0 lost, 0 missing, 21 frames lost"
    assert str(account.totals() + account.totals()).endswith("42 frames lost")
    assert list(inbox.missing()) == []


def test_lost_frames_told_to_a_share_are_not_booked():
    inbox = Inbox(share="fleet")
    (event,) = inbox.receive(topic("gap"), json.dumps(LOST).encode())
    assert isinstance(event, FramesLost) and inbox.accounts == {}


def test_gap_is_named_by_the_profile_of_its_boot():
    """Purposes have other numbers in another profile."""
    other = Profile("other", "1", "none", (Message(0x100, False, "A", (replace(SPEED, purpose="energy"),)),))
    inbox = filled()
    list(inbox.receive(topic("telemetry"), batch(0, 2)))
    list(inbox.receive(topic(f"profile/{identity(pack(other)):08x}"), pack(other)))
    names = {}
    for boot in (1, 2):
        fields = {"boot": boot, "stream": 2, "first": 3, "count": 4, "reason": "flash_full"}
        (event,) = inbox.receive(topic("gap"), json.dumps(fields).encode())
        assert isinstance(event, Gap)
        names[boot] = event.stream_name
    assert names == {1: "driving/telemetry", 2: "energy/telemetry"}


def test_occurrences_that_came_before_are_left_out():
    inbox = filled()
    events = [("alert", 10 * n, n, "") for n in range(3)]
    whole = Encoder(PROFILE, HASH, events=events)
    sent = [replace(whole, events=events[:2]).encode(), whole.encode()]
    found = [e for payload in sent for e in inbox.receive(topic("telemetry"), payload) if isinstance(e, BatchEvent)]
    assert [[o.sequence for o in event.batch.occurrences] for event in found] == [[0, 1], [2]]


def test_same_sequences_of_another_stream_are_new():
    two = Profile("two", "1", "none", (Message(1, False, "A", (SPEED, replace(GEAR, priority="alert"))),))
    packed, inbox = pack(two), Inbox()
    list(inbox.receive(topic(f"profile/{identity(packed):08x}"), packed))
    one = Encoder(two, identity(packed), ticks=3, readings={(k, 0): k for k in range(3)})
    other = Encoder(two, identity(packed), priority=0, events=[(1, 10, 1), (1, 20, 2)])
    events = [event for encoder in (one, other) for event in inbox.receive(topic("telemetry"), encoder.encode())]
    assert sequences(events) == [[0, 1, 2], [0, 1]]
    assert inbox.accounts["kona"].totals() == Totals(received=5)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"boot": 0, "stream": 2, "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "stream": 2, "first": -1, "count": 1, "reason": ""},
        {"boot": 1, "stream": 2, "first": 0, "count": 0, "reason": ""},
        {"boot": 1, "stream": 2, "first": 0, "count": 1.5, "reason": ""},
        {"boot": True, "stream": 2, "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "stream": 2, "first": 0, "count": 1, "reason": 7},
        {"boot": "1", "stream": 2, "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "stream": -1, "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "stream": "a", "first": 0, "count": 1, "reason": ""},
        {"boot": 1, "frames": 17, "from_ms": 1000, "reason": "overrun"},
        {"boot": 1, "frames": 0, "from_ms": 1000, "to_ms": 3000, "reason": "overrun"},
        {"boot": 1, "frames": 17, "from_ms": 1000, "to_ms": 3000},
    ],
)
def test_gap_with_wrong_fields(fields):
    inbox = Inbox()
    (event,) = inbox.receive(topic("gap"), json.dumps(fields).encode())
    assert isinstance(event, Trouble)
    assert inbox.accounts == {}


def test_status():
    assert list(Inbox().receive(topic("status"), b'{"state": "online"}')) == [Status("kona", {"state": "online"})]


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"\xff\xfe{", b"[" * 100_000, b"1" * 5000])
@pytest.mark.parametrize("kind", ["status", "gap"])
def test_json_that_is_none(kind, payload):
    (event,) = Inbox().receive(topic(kind), payload)
    assert isinstance(event, Trouble)
    assert "\n" not in event.reason


@pytest.mark.parametrize("kind", ["status", "gap", f"profile/{HASH:08x}"])
def test_cleared_retained_message_is_no_event(kind):
    assert list(Inbox().receive(topic(kind), b"")) == []


@pytest.mark.parametrize(
    "foreign",
    ["a/b", "pigtail/v2/kona/status", "pigtail/v1/kona/status/x", "pigtail/v1/kona", "pigtail/v1/kona/profile/XYZ",
     "pigtail/v1//status", "x/pigtail/v1/kona/status", "pigtail/v1/zoe/status"],
)  # fmt: skip
def test_foreign_topic(foreign):
    assert list(Inbox("kona").receive(foreign, b"{}")) == []


@pytest.mark.parametrize("device", ["", "a/b", "+", "#", "a#"])
def test_device_that_cannot_be_a_topic_level(device):
    with pytest.raises(InputError, match="cannot be a device"):
        Inbox(device)


def test_states_are_neither_asked_for_nor_trouble() -> None:
    inbox = Inbox()
    assert not any("state" in wanted for wanted in inbox.filters)
    for payload in b'{"value": 1}', b"", b"no JSON":
        assert list(inbox.receive("pigtail/v1/car1/state/Vehicle/Speed", payload)) == []


def event_of(**changes: object) -> bytes:
    fields = {"boot": 2, "number": 0, "uptime_ms": 1500, "kind": "started", "text": "power_on"}
    return json.dumps(fields | changes).encode()


def test_event_of_a_device_comes_once() -> None:
    inbox = Inbox()
    first = Happened("kona", 2, 0, 1500, "started", "power_on")
    assert list(inbox.receive(topic("event"), event_of())) == [first]
    assert list(inbox.receive(topic("event"), event_of())) == []
    assert list(inbox.receive(topic("event", "zoe"), event_of())) == [replace(first, device="zoe")]
    assert list(inbox.receive(topic("event"), event_of(number=1))) == [replace(first, number=1)]


def test_reply_of_a_device_comes_once() -> None:
    inbox = Inbox()
    good = json.dumps({"id": "7", "command": "ping", "ok": True, "result": {"uptime_ms": 1}}).encode()
    bad = json.dumps({"id": "8", "command": "ping", "ok": False, "reason": "expired"}).encode()
    assert list(inbox.receive(topic("reply"), good)) == [Reply("kona", "7", "ping", True, {"uptime_ms": 1}, "", "")]
    assert list(inbox.receive(topic("reply"), good)) == []
    assert list(inbox.receive(topic("reply"), bad)) == [Reply("kona", "8", "ping", False, {}, "expired", "")]


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("event", b"[]"),
        ("event", b"{}"),
        ("event", event_of(number=-1)),
        ("event", event_of(uptime_ms=10**400)),
        ("gap", json.dumps({"boot": 1, "frames": 3, "from_ms": 10**400, "to_ms": 0, "reason": "overrun"}).encode()),
        ("event", event_of(boot=True)),
        ("event", event_of(text=None)),
        ("event", event_of(kind=5)),
        ("reply", b"{}"),
        ("reply", b'{"id": "7", "command": "ping"}'),
        ("reply", b'{"id": "7", "command": "ping", "ok": 1}'),
        ("reply", b'{"id": 7, "command": "ping", "ok": true}'),
        ("reply", b'{"id": "7", "command": "ping", "ok": true, "result": []}'),
        ("reply", b'{"id": "7", "command": "ping", "ok": false, "reason": 5}'),
    ],
)
def test_event_or_reply_that_is_none_is_trouble(kind: str, payload: bytes) -> None:
    (trouble,) = Inbox().receive(topic(kind), payload)
    assert isinstance(trouble, Trouble) and trouble.reason.startswith(f"{kind}: it ")
