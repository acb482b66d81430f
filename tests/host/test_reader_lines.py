"""Samples as text: plain lines, JSON lines, CSV and the live table."""

import csv
import io
import json

import pytest
from rich.console import Console

from host_tools.reader import Batch, BatchEvent, Header, Occurrence, Sample
from host_tools.reader.events import Content
from host_tools.reader.lines import FIELDS, Lines, csv_line, jsonl, plain
from host_tools.reader.table import LiveTable, age_text

UTC = 1_767_225_600.25


def sample(**fields: object) -> Sample:
    values = {
        "sequence": 7, "index": 0, "name": "speed", "raw": 500, "value": 5.0, "label": None, "unit": "km/h",
        "time_ms": 1500, "utc": UTC, "source": "broadcast", "quality": "valid",
        "stream": 2, "purpose": "driving", "clock": "ntp",
    }  # fmt: skip
    return Sample(**(values | fields))  # type: ignore[arg-type]


def event(*samples: Sample, device: str = "kona", occurrences: tuple[Occurrence, ...] = ()) -> BatchEvent:
    header = Header(1, "ntp", 2, 0, 1, 1, 3, 0, len(samples), 0, 0, None)
    return BatchEvent(device, Batch(header, samples, (), occurrences), 100)


def occurrence(name: str, value: Content, sequence: int = 8) -> Occurrence:
    return Occurrence(sequence, name, value, 1500, UTC, 0, "security", "alert", "ntp")


VIN = occurrence("Vehicle.VehicleIdentification.VIN", "KMHK581HFLU0")
DTC = occurrence("dtc", {"ecu": 2024, "code": "P0171-00", "status": 47}, 6)


def test_jsonl_has_every_field():
    assert json.loads(jsonl("kona", 3, sample())) == {
        "device": "kona", "boot": 3, "stream": 2, "sequence": 7, "time_ms": 1500, "utc": "2026-01-01T00:00:00.250Z",
        "clock": "ntp",
        "name": "speed", "value": 5.0, "unit": "km/h", "raw": 500, "source": "broadcast", "quality": "valid",
        "label": None, "purpose": "driving", "priority": "telemetry",
    }  # fmt: skip


def test_text_and_occurrence_as_lines():
    assert json.loads(jsonl("kona", 3, VIN)) == {
        "device": "kona", "boot": 3, "stream": 0, "sequence": 8, "time_ms": 1500, "utc": "2026-01-01T00:00:00.250Z",
        "clock": "ntp",
        "name": "Vehicle.VehicleIdentification.VIN", "value": "KMHK581HFLU0", "unit": "", "raw": None, "source": None,
        "quality": None, "label": None, "purpose": "security", "priority": "alert",
    }  # fmt: skip
    assert json.loads(jsonl("kona", 3, DTC))["value"] == {"ecu": 2024, "code": "P0171-00", "status": 47}
    (row,) = csv.reader([csv_line("kona", 3, DTC)])
    assert row[FIELDS.index("value")] == '{"ecu": 2024, "code": "P0171-00", "status": 47}'
    text = plain("kona", 3, DTC)
    assert text == "2026-01-01T00:00:00.250Z (ntp)  kona  dtc ecu 2024 code P0171-00 status 47  security/alert"
    assert plain("kona", 3, VIN).endswith("  Vehicle.VehicleIdentification.VIN KMHK581HFLU0  security/alert")


def test_lines_are_in_the_order_of_the_sequence():
    file = io.StringIO()
    Lines(file, "jsonl").show(event(sample(), sample(sequence=9), occurrences=(DTC, VIN)))
    assert [json.loads(line)["sequence"] for line in file.getvalue().splitlines()] == [6, 7, 8, 9]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_value_that_json_cannot_write(value):
    assert json.loads(jsonl("kona", 3, sample(value=value)), parse_constant=pytest.fail)["value"] is None


def test_csv_reads_back_whatever_the_names_are():
    nasty = sample(name='a,"b"', unit="°C\n", label="x;y", utc=None)
    file = io.StringIO()
    Lines(file, "csv").show(event(nasty, sample()))
    file.seek(0)
    rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == FIELDS
    assert (rows[0]["name"], rows[0]["unit"], rows[0]["label"], rows[0]["utc"]) == ('a,"b"', "°C\n", "x;y", "")
    assert rows[1] == dict(zip(FIELDS, csv_line("kona", 3, sample()).split(","), strict=True))


def test_plain_line():
    assert plain("kona", 3, sample()) == "2026-01-01T00:00:00.250Z (ntp)  kona  speed 5 km/h  driving/telemetry  broadcast"
    text = plain("kona", 3, sample(utc=None, label="D", quality="stale"))
    assert text == "1.500 s since boot 3  kona  speed D  driving/telemetry  broadcast, stale"


def test_names_from_the_network_cannot_steer_the_terminal():
    assert plain("kona", 3, sample(name="\x1b[2J\nx")).count("\N{REPLACEMENT CHARACTER}") == 2


def test_each_batch_is_flushed():
    class File(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    file = File()
    Lines(file, "jsonl").show(event(sample(), sample()))
    assert file.flushed.count("\n") == 2


def test_age_is_from_utc_or_else_since_boot():
    assert age_text(sample(), UTC + 2.34) == "2.3 s (ntp)"
    assert age_text(sample(utc=None), UTC) == "at 1.5 s since boot"
    assert age_text(sample(clock="ntp"), UTC - 30) == "clock 30 s ahead (ntp)"


def test_table_shows_the_latest_value_of_each_signal_of_each_device():
    console = Console(width=160, record=True, file=io.StringIO())
    table = LiveTable(console)
    table.show(event(sample(value=1.0), sample(index=1, name="gear[red]", label="D", quality="stale"), sample(value=2.5)))
    table.show(event(sample(value=9.0, utc=None), device="zoe"))
    table.show(event(sample(value=2.5), occurrences=(VIN, DTC)))
    console.print(table.render())
    rows = [line.split() for line in console.export_text().splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["kona", "speed", "2.5"], ["kona", "gear[red]", "D"], ["kona", VIN.name, VIN.value], ["kona", "dtc", "ecu"],
        ["zoe", "speed", "9"],
    ]  # fmt: skip
    assert rows[1][-2] == "driving/telemetry" and rows[3][-1] == "security/alert"
    assert rows[2][-2:] == ["broadcast,", "stale"]
