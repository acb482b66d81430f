"""A device's status in words, and an overview of devices: what is well, what is not, and that no content of a status raises."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from host_tools.reader import Status
from host_tools.reader import overview as overviews
from host_tools.reader.health import health
from host_tools.reader.overview import Overview
from tests.host.test_reader_lines import event, sample

GOOD: dict[str, Any] = {
    "state": "online", "firmware": "0.1.0", "boot": 2, "uptime_ms": 10_000, "reset": "power_on", "clock": "ntp",
    "clock_refused": 0, "config": 0, "config_error": None, "profile": "94df40b4", "profile_error": None,
    "outbox": {"bytes": 1234, "dropped_samples": 0, "errors": 0}, "gaps": 0, "gaps_untold": 0,
    "link": {"state": "up", "losses": 0, "connects": 1, "failures": 0, "last_failure": "", "ignored": 0, "unknown_pubacks": 0},
    "broker": {"state": "online", "host": "broker.example", "trust": "ca"}, "events_lost": 0, "commands": None, "gate": None,
    "heap_used": 98_304, "restarts": {}, "errors": {}, "messages": {"known": 16, "heard": 16},
    "frames": {"received": 3300, "overrun": 0, "unknown": 0, "short": 0, "remote": 0, "malformed": 0},
    "bus": {"bitrate": 500_000, "state": "active", "load": 7, "bus_off": 0, "stalls": 0, "muted": False},
}  # fmt: skip


def worse(path: str, value: object) -> dict[str, Any]:
    """A good status but for the field at this path."""
    fields: dict[str, Any] = json.loads(json.dumps(GOOD))
    *parts, last = path.split(".")
    inner = fields
    for part in parts:
        inner = inner[part]
    inner[last] = value
    return fields


def test_status_of_a_device_that_is_well_has_no_row_that_is_not() -> None:
    rows = health(GOOD, 330.4)
    assert [row.name for row in rows] == ["bus", "queue", "link", "clock", "device"] and all(row.is_well for row in rows)
    assert [row.text for row in rows] == [
        "active, 500000 bit/s, 330 frames/s, load 7 %, 16 of 16 messages heard, 0 dropped",
        "1,234 bytes wait", "up, to broker.example (trust: ca)", "set by ntp",
        "firmware 0.1.0, boot 2 (power_on), up 10 s, heap 98,304 bytes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "row", "words"),
    [
        ("state", "offline", "device", "offline"),
        ("frames.overrun", 17, "bus", "17 dropped"),
        ("frames.received", 0, "bus", "silent: is the ignition on?"),
        ("bus.state", "bus_off", "bus", "bus_off"),
        ("bus", None, "bus", "no usable profile"),
        ("outbox.errors", 3, "queue", "3 failures of the flash"),
        ("link.state", "wrong_password", "link", "wrong_password"),
        ("clock", "none", "clock", "not set"),
        ("restarts", {"uplink": 2}, "device", "started again: uplink 2"),
        ("config_error", "wifi.ssid: takes str", "config", "wifi.ssid: takes str"),
        ("profile_error", "its checksum is wrong", "profile", "its checksum is wrong"),
        ("errors", {"bus": "OSError: 5"}, "error", "bus: OSError: 5"),
    ],
)
def test_fault_in_a_status_is_said_in_its_row(path: str, value: object, row: str, words: str) -> None:
    bad = [found for found in health(worse(path, value)) if not found.is_well]
    assert [found.name for found in bad] == [row] and words in bad[0].text


def test_safe_mode_and_the_crash_that_led_to_it_are_said() -> None:
    rows = {row.name: row for row in health(GOOD | {"bus": None, "safe_mode": True, "last_crash": "boot 3: ValueError: planted"})}
    assert (rows["bus"].text, rows["bus"].is_well) == ("not read: the device is in safe mode", False)
    assert rows["device"].text.endswith("in safe mode, for crashes in a row, the last: boot 3: ValueError: planted")
    assert not rows["device"].is_well


INNER = [f"{name}.{key}" for name, part in GOOD.items() if isinstance(part, dict) for key in part]


@pytest.mark.parametrize("path", [*GOOD, *INNER])
def test_status_with_any_field_forged_or_missing_is_shown(path: str) -> None:
    for value in (None, 1.5, True, "x\x1b[2J", [1], {"a": {"b": 1}}, -1, 10**30):
        overview = Overview()
        overview.take(Status("kona", GOOD))
        overview.take(Status("kona", worse(path, value)))
        assert "\x1b" not in shown(overview)
        json.dumps(overview.plain())


def shown(overview: Overview) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(overview.render())
    return console.export_text()


def test_overview_has_status_rate_values_and_what_happened_last() -> None:
    overview = Overview()
    assert "waiting for a device" in shown(overview)
    overview.take(event(sample(value=2.5), device="kona"))
    assert "no status yet" in shown(overview)
    overview.take(Status("kona", GOOD))
    later = worse("uptime_ms", 20_000)
    later["frames"]["received"] += 5000
    overview.take(Status("kona", later))
    for number in range(overviews.LAST + 1):
        overview.note(f"event {number}")
    text = shown(overview)
    assert "500 frames/s" in text and "speed" in text and "event 8" in text and "event 0" not in text
    told: Any = overview.plain()["kona"]
    assert told["frames_per_s"] == 500 and told["status"] == later and [row["is_well"] for row in told["health"]] == [True] * 6
    assert [(value["name"], value["value"], value["source"]) for value in told["values"]] == [("speed", 2.5, "broadcast")]
    assert "age_s" in told["values"][0]


def test_rate_is_not_told_across_a_boot() -> None:
    overview = Overview()
    overview.take(Status("kona", GOOD))
    overview.take(Status("kona", worse("boot", 3) | {"uptime_ms": 20_000}))
    told: Any = overview.plain()["kona"]
    assert told["frames_per_s"] is None


def test_status_that_stays_away_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(overviews.time, "monotonic", lambda: now[0])
    overview = Overview()
    overview.take(Status("kona", GOOD))
    assert overview.rows("kona")[-1].is_well
    now[0] = overviews.LATE_S + 1
    assert overview.rows("kona")[-1] == ("status", "26 s old", False)
