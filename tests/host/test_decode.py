"""`pigtail decode`: recordings and batches to jsonl, csv and Parquet; damaged, cut and forged files; late clocks, repeats."""

import csv
import importlib.util
import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from batch_encoder import Encoder
from test_reader_batch import PROFILE as BY_HAND
from test_reader_batch import full, random_encoder, random_profile

from host_tools.cli import main
from host_tools.reader import BatchEvent
from host_tools.reader.inbox import Inbox
from host_tools.reader.lines import FIELDS, jsonl
from host_tools.reader.recording import record
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal

SPEED = Signal("speed", 0, 16, scale=0.5, unit="km/h", period_ms=100, purpose="driving")
GEAR = Signal("gear", 16, 3, labels={3: "D"}, purpose="driving")
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (SPEED, GEAR)),))
PACKED = pack(PROFILE)
HASH = identity(PACKED)
NOW = 1_767_225_600_000
HAS_PYARROW = importlib.util.find_spec("pyarrow") is not None


def batch(tick: int, **fields: int) -> bytes:
    """Two samples of speed, one of gear; its first number is the tick."""
    encoder = Encoder(PROFILE, HASH, first=tick, start=tick, ticks=2, readings={(tick, 0): 40, (tick + 1, 0): 42}, **fields)
    encoder.events = [(1, 100 * tick + 50, 3)]
    return encoder.encode()


def sent(kind: str, payload: bytes, device: str = "kona") -> bytes:
    return record(f"pigtail/v1/{device}/{kind}", payload)


def profile_sent(device: str = "kona", packed: bytes = PACKED) -> bytes:
    return sent(f"profile/{identity(packed):08x}", packed, device)


@pytest.fixture
def decode(capsys):
    """A function that gives stdout and stderr of a run, which must end with this status."""

    def run(*arguments: object, status: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["decode", *map(str, arguments)])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == status, err
        assert err.count("pigtail: error: ") == (status == 2)
        return out, err

    return run


def rows(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def recorded(tmp_path):
    """A recording in which the clock is known late, the profile comes late, and some of it twice or lost."""
    path = tmp_path / "it.rec"
    gap = {"boot": 1, "stream": 2, "first": 13, "count": 4, "reason": "flash_full"}
    path.write_bytes(
        sent("status", b'{"state": "online"}') + sent("telemetry", batch(10)) + profile_sent()
        + sent("telemetry", batch(10)) + sent("telemetry", batch(20, clock=2, utc_ms=NOW)) + sent("gap", json.dumps(gap).encode())
    )  # fmt: skip
    return path


def test_jsonl_each_sample_once_placed_by_the_clock_that_came_later(recorded, decode):
    out, err = decode(recorded)
    found = rows(out)
    assert [(r["sequence"], r["name"], r["value"], r["raw"], r["unit"], r["label"]) for r in found] == [
        (10, "speed", 20.0, 40, "km/h", None), (11, "speed", 21.0, 42, "km/h", None), (12, "gear", 3.0, 3, "", "D"),
        (20, "speed", 20.0, 40, "km/h", None), (21, "speed", 21.0, 42, "km/h", None), (22, "gear", 3.0, 3, "", "D"),
    ]  # fmt: skip
    assert [r["utc"] for r in found[:2]] == ["2026-01-01T00:00:01.000Z", "2026-01-01T00:00:01.100Z"]
    assert {r["clock"] for r in found} == {"ntp"}
    assert {(r["device"], r["boot"], r["stream"], r["purpose"], r["priority"]) for r in found} == {
        ("kona", 1, 2, "driving", "telemetry")
    }
    assert err.splitlines() == [
        "kona: 3 samples of boot 1, stream 2, from 17 on are missing",
        "6 samples, 3 duplicates, 4 lost (flash_full 4), 3 missing",
    ]


def test_recordings_of_several_collectors_are_judged_together(tmp_path, decode):
    """What one of them lacks has come to another; what two of them have is taken once; what none has is missing, by name."""
    gap = json.dumps({"boot": 1, "stream": 2, "first": 23, "count": 2, "reason": "flash_full"}).encode()
    got = {"a": [10, 16, 30], "b": [13, 16, 25]}
    for name, firsts in got.items():
        told = sent("gap", gap) if name == "b" else b""
        (tmp_path / f"{name}.rec").write_bytes(profile_sent() + b"".join(sent("telemetry", batch(n)) for n in firsts) + told)
    out, err = decode(tmp_path / "a.rec", tmp_path / "b.rec")
    assert sorted(str(r["sequence"]) for r in rows(out)) == [str(n) for n in (*range(10, 19), *range(25, 28), *range(30, 33))]
    assert err.splitlines() == [
        "kona: 4 samples of boot 1, stream 2, from 19 on are missing",
        "kona: 2 samples of boot 1, stream 2, from 28 on are missing",
        "15 samples, 3 duplicates, 2 lost (flash_full 2), 6 missing",
    ]


def test_many_gaps_are_told_in_few_lines(tmp_path, decode):
    (tmp_path / "it.rec").write_bytes(profile_sent() + b"".join(sent("telemetry", batch(n)) for n in range(0, 130, 5)))
    err = decode(tmp_path / "it.rec")[1].splitlines()
    assert len(err) == 22 and err[20] == "and 5 more such gaps"


@pytest.mark.parametrize("seed", range(6))
def test_jsonl_is_what_listen_would_have_written(tmp_path, seed, decode):
    chance = random.Random(seed)
    profile = random_profile(chance)
    packed, inbox, expected, messages = pack(profile), Inbox(), [], []
    for number in range(30):
        encoder = random_encoder(chance, profile)
        encoder.profile_hash, encoder.boot, encoder.first = identity(packed), chance.choice([1, 2]), 50 * number
        encoder.clock, encoder.utc_ms = 3, NOW + encoder.boot  # one clock for a boot: `listen` cannot know better
        messages.append(encoder.encode())
    stored = b"".join(sent("telemetry", message) for message in messages)
    (tmp_path / "it.rec").write_bytes(profile_sent(packed=packed) + stored)
    list(inbox.receive(f"pigtail/v1/kona/profile/{identity(packed):08x}", packed))
    for message in messages:
        for event in inbox.receive("pigtail/v1/kona/telemetry", message):
            assert isinstance(event, BatchEvent)
            expected += [jsonl("kona", event.batch.header.boot, sample) for sample in event.batch.records]
    assert decode(tmp_path / "it.rec")[0].splitlines() == expected


def test_csv_has_the_fields_and_quotes(tmp_path, decode):
    encoder = full()
    encoder.profile_hash = identity(pack(BY_HAND))
    (tmp_path / "a.rec").write_bytes(profile_sent(packed=pack(BY_HAND)) + sent("telemetry", encoder.encode()))
    decode(tmp_path / "a.rec", "-o", tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == FIELDS
    told = {row["name"]: row["value"] for row in found}
    assert told["Vehicle.VehicleIdentification.VIN"] == "KMHK581HFLU0ÄÖÜ"
    assert json.loads(told["dtc"]) == {"ecu": 2024, "code": "P0171-00", "status": 47}
    assert [int(row["sequence"]) for row in found] == list(range(1000, 1000 + len(found)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.rec"]


@pytest.mark.skipif(not HAS_PYARROW, reason="needs pyarrow")
def test_parquet_is_what_csv_is(recorded, tmp_path, decode):
    import pyarrow.parquet as parquet  # type: ignore[import-not-found]

    encoder = full()
    encoder.profile_hash = identity(pack(BY_HAND))
    with recorded.open("ab") as file:
        file.write(profile_sent(packed=pack(BY_HAND)) + sent("telemetry", encoder.encode(), "zoe"))
    decode(recorded, "-o", tmp_path / "it.parquet")
    expected = rows(decode(recorded)[0])
    found = parquet.read_table(tmp_path / "it.parquet").to_pylist()
    assert len(found) == len(expected) > 100
    for one, other in zip(found, expected, strict=True):
        value = other["value"]
        assert (one.pop("value"), one.pop("text")) == (
            (value, None) if isinstance(value, float) else (None, value if isinstance(value, str) else json.dumps(value))
        )
        utc = one.pop("utc")
        assert utc == (other["utc"] and datetime.fromisoformat(str(other["utc"])).astimezone(UTC))
        assert one == {key: other[key] for key in one} and set(one) == set(FIELDS) - {"value", "utc"}


def test_parquet_without_pyarrow_is_one_clear_line(recorded, tmp_path):
    code = "import sys; sys.modules['pyarrow'] = None; from host_tools.cli import main; main()"
    command = [sys.executable, "-c", code, "decode", str(recorded), "-o", str(tmp_path / "it.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("pigtail: error: Parquet needs pyarrow") and "pip install" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["it.rec"]


def test_parquet_does_not_go_to_stdout(recorded, decode):
    assert "name a file with -o" in decode(recorded, "--format", "parquet", status=2)[1]


def test_single_batch_with_its_profile_named(tmp_path, decode):
    (tmp_path / "zoe.bin").write_bytes(batch(10))
    (tmp_path / "car.bin").write_bytes(PACKED)
    out, _ = decode(tmp_path / "zoe.bin", "--profile", tmp_path / "car.bin")
    assert [(r["device"], r["name"]) for r in rows(out)] == [("zoe", "speed"), ("zoe", "speed"), ("zoe", "gear")]
    _, err = decode(tmp_path / "zoe.bin", status=2)
    assert f"its profile {HASH:08x} is not in the files; name it with --profile" in err


def test_devices_are_apart_and_files_are_one_archive(tmp_path, decode):
    (tmp_path / "a.rec").write_bytes(sent("telemetry", batch(10)) + sent("telemetry", batch(10), "zoe"))
    (tmp_path / "b.rec").write_bytes(profile_sent() + sent("telemetry", batch(10, clock=1, utc_ms=NOW), "zoe"))
    out, err = decode(tmp_path / "a.rec", tmp_path / "b.rec")
    assert [(r["device"], r["clock"]) for r in rows(out)] == [("kona", "none")] * 3 + [("zoe", "rtc")] * 3
    assert err == "6 samples, 3 duplicates, 0 lost, 0 missing\n"


def test_cut_at_the_end_is_told_and_no_error(recorded, decode):
    whole = recorded.read_bytes()
    recorded.write_bytes(whole + sent("telemetry", batch(30))[:-1])
    out, err = decode(recorded)
    assert len(rows(out)) == 6
    assert err.startswith(f"{recorded}, byte {len(whole)}: the last record is cut; its ") and err.count("\n") == 3


def test_damaged_record_is_passed_over_and_told(recorded, decode):
    data = bytearray(recorded.read_bytes() + sent("telemetry", batch(30)) + sent("telemetry", batch(40)))
    data[-len(sent("telemetry", batch(40))) - 6] ^= 1
    recorded.write_bytes(data)
    out, err = decode(recorded, status=2)
    assert [r["sequence"] for r in rows(out)][-3:] == [40, 41, 42]
    assert err.splitlines()[-1].startswith(f"pigtail: error: {recorded}, byte ") and " bytes are damaged; what could" in err


def test_batch_that_is_none_is_told_and_the_others_are_read(recorded, decode):
    with recorded.open("ab") as file:
        file.write(sent("telemetry", batch(30)[:-1]) + sent("telemetry", b"") + sent("telemetry", batch(40)))
    out, err = decode(recorded, status=2)
    assert [r["sequence"] for r in rows(out)][-3:] == [40, 41, 42]
    assert "; and 1 more such places; what could be read is written" in err.splitlines()[-1]


@pytest.mark.parametrize("data", [b"", b"hello", PACKED])
def test_file_of_another_kind(tmp_path, data, decode):
    (tmp_path / "it").write_bytes(data)
    text = "no recording (pigtail listen --raw), no dump of an outbox, and no batch"
    assert decode(tmp_path / "it", status=2) == ("", f"pigtail: error: {tmp_path / 'it'}: {text}\n")


def test_file_that_is_not_there(tmp_path, decode):
    text = "cannot be read: No such file or directory; name a recording (pigtail listen --raw)"
    assert decode(tmp_path / "it", status=2) == ("", f"pigtail: error: {tmp_path / 'it'}: {text}\n")


@pytest.mark.parametrize("name", ["nowhere/it.csv", "full.csv"])
def test_output_that_cannot_be_written_leaves_nothing(recorded, tmp_path, name, decode):
    (tmp_path / "full.csv.part").symlink_to("/dev/full")
    _, err = decode(recorded, "-o", tmp_path / name, status=2)
    assert err.startswith(f"pigtail: error: cannot write {tmp_path / name}: ") and err.count("\n") == 1
    assert not (tmp_path / name).exists()


def test_output_of_before_stays_when_the_file_is_of_another_kind(tmp_path, decode):
    (tmp_path / "it").write_bytes(b"hello")
    (tmp_path / "it.csv").write_text("before")
    decode(tmp_path / "it", "-o", tmp_path / "it.csv", status=2)
    assert (tmp_path / "it.csv").read_text() == "before"


def test_folder_and_file_that_is_not_there_say_what_to_name(tmp_path, decode):
    assert "Is a directory; name the files in it" in decode(tmp_path, status=2)[1]
    assert "No such file or directory; name a recording" in decode(tmp_path / "none.rec", status=2)[1]


def test_output_to_what_is_no_file_does_not_take_its_place(recorded, tmp_path, decode):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR)
    decode(recorded, "-o", pipe)
    assert pipe.is_fifo() and b"speed" in os.read(reader, 65536)
    os.close(reader)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_recordings_give_samples_or_one_clear_error(tmp_path, seed, capsys):
    chance = random.Random(seed)
    original = profile_sent() + b"".join(sent("telemetry", batch(10 * n, clock=n % 4, utc_ms=NOW)) for n in range(1, 9))
    for _ in range(25):
        data = bytearray(original)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.choice([0, 0xFF, chance.randrange(256)])
        (tmp_path / "it.rec").write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        with pytest.raises(SystemExit) as ended:
            main(["decode", str(tmp_path / "it.rec")])
        out, err = capsys.readouterr()
        assert ended.value.code in (None, 2) and err.count("pigtail: error: ") == (ended.value.code == 2)
        assert all(set(row) == set(FIELDS) for row in rows(out))


@pytest.mark.parametrize("seed", range(4))
def test_recordings_of_mutated_batches_give_samples_or_one_clear_error(tmp_path, seed, capsys):
    chance = random.Random(seed)
    messages = [profile_sent()]
    for number in range(200):
        payload = bytearray(batch(10 * number, clock=2, utc_ms=NOW))
        for _ in range(chance.randint(0, 2)):
            payload[chance.randrange(6, len(payload))] = chance.choice([0, 0x7F, 0xFF, chance.randrange(256)])
        size = chance.choice([len(payload), chance.randrange(len(payload))])
        messages.append(sent("telemetry", bytes(payload[:size])))
    (tmp_path / "it.rec").write_bytes(b"".join(messages))
    with pytest.raises(SystemExit) as ended:
        main(["decode", str(tmp_path / "it.rec"), "--format", "csv"])
    out, err = capsys.readouterr()
    told = [line for line in err.splitlines() if not line.endswith((" are missing", " more such gaps"))]
    assert ended.value.code == 2 and err.count("pigtail: error: ") == 1 and len(told) == 2
    assert len(list(csv.DictReader(out.splitlines()))) > 100
