"""What the first released version sent is read for ever: by the reader, `pigtail decode`, and the reference decoder in docs/."""

import csv
import gzip
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

from asyncapi_document import Document, load
from click.testing import CliRunner
from decoder_example import load_decoder

from host_tools.commands.decode import command
from host_tools.reader import Occurrence, ProfileSeen, Trouble, decode
from host_tools.reader.inbox import Inbox
from host_tools.reader.recording import Message, messages

DATA = Path(__file__).parents[1] / "data/v1"
RECORDED = {
    "messages.rec": "245f7fd8a3bdda8ca544ca560f35d0109e01d975529424f56782ef0b5925c6c9",
    "samples.csv.gz": "35f048d5c100aacd221bf764620f5205508f327e73e7d39938576c3e540c2154",
}

Row = dict[str, Any]


def recorded() -> list[Message]:
    found = list(messages((DATA / "messages.rec").read_bytes()))
    assert all(isinstance(one, Message) for one in found)
    return found  # type: ignore[return-value]  # as was just seen


def expected() -> list[Row]:
    """The samples as they were decoded then, the numbers as numbers and None for what there is not."""
    text = gzip.decompress((DATA / "samples.csv.gz").read_bytes()).decode()
    rows: list[Row] = list(csv.DictReader(io.StringIO(text)))
    for row in rows:
        for name in "boot", "stream", "sequence", "time_ms", "utc_ms", "raw":
            row[name] = int(row[name]) if row[name] else None
        row["value"] = float(row["value"]) if row["source"] else json.loads(row["value"])
        for name in "label", "source", "quality":
            row[name] = row[name] or None
    return rows


def batches() -> list[tuple[str, bytes, bytes]]:
    """(device, packed profile, batch) of all batches."""
    profiles = {one.topic.rsplit("/", 1)[1]: one.payload for one in recorded() if "/profile/" in one.topic}
    return [
        (one.topic.split("/")[2], profiles[f"{int.from_bytes(one.payload[2:6], 'little'):08x}"], one.payload)
        for one in recorded()
        if one.topic.endswith("/telemetry")
    ]


def assert_same(got: list[Row], wanted: list[Row]) -> None:
    assert len(got) == len(wanted) > 3000
    for one, row in zip(got, wanted, strict=True):
        for name, value in one.items():
            both_nan = isinstance(value, float) and math.isnan(value) and math.isnan(row[name])
            assert value == row[name] or both_nan, (name, one, row)


def test_recording_is_the_one_that_was_made() -> None:
    assert {name: hashlib.sha256((DATA / name).read_bytes()).hexdigest() for name in RECORDED} == RECORDED


def test_reader_decodes_v1() -> None:
    inbox, profiles = Inbox(), {}
    for one in recorded():
        for event in inbox.receive(one.topic, one.payload):
            if isinstance(event, ProfileSeen):
                profiles[event.profile_hash] = event.profile
    got = []
    for device, _, payload in batches():
        batch = decode(payload, profiles[int.from_bytes(payload[2:6], "little")])
        header = batch.header
        for one in batch.records:
            utc_ms = None if one.utc is None else round(one.utc * 1000)
            row: Row = {"device": device, "boot": header.boot, "stream": header.stream, "sequence": one.sequence}
            row |= {"time_ms": one.time_ms, "utc_ms": utc_ms, "name": one.name, "value": one.value}
            if not isinstance(one, Occurrence):
                row |= {"raw": one.raw, "unit": one.unit, "label": one.label, "source": one.source, "quality": one.quality}
            got.append(row)
    assert_same(got, expected())


def test_reference_decoder_decodes_v1() -> None:
    decoder = load_decoder()
    got = []
    for _, packed, payload in batches():
        got += decoder.decode(decoder.Profile(packed), payload)[1]
    assert_same(got, expected())


def test_command_decodes_v1(tmp_path: Path) -> None:
    """Many at once, and each sample placed by the best clock of its boot."""
    out = tmp_path / "v1.jsonl"
    done = CliRunner().invoke(command, [str(DATA / "messages.rec"), "-o", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    by_identity = {(row["device"], row["boot"], row["stream"], row["sequence"]): row for row in expected()}
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == len(by_identity) > 3000
    for line in lines:
        row = by_identity[line["device"], line["boot"], line["stream"], line["sequence"]]
        known = row["value"] if not isinstance(row["value"], float) or math.isfinite(row["value"]) else None
        assert (line["name"], line["time_ms"], line["quality"], line["source"], line["label"], line["value"]) == (
            row["name"], row["time_ms"], row["quality"], row["source"], row["label"], known,
        )  # fmt: skip


def test_reader_takes_every_message_of_v1() -> None:
    inbox = Inbox()
    kinds: dict[str, int] = {}
    for one in recorded():
        for event in inbox.receive(one.topic, one.payload):
            assert not isinstance(event, Trouble), event
            kinds[type(event).__name__] = kinds.get(type(event).__name__, 0) + 1
    assert kinds.keys() >= {"Status", "Gap", "ProfileSeen", "BatchEvent", "Happened", "Reply"}
    assert not inbox.held


def test_document_takes_every_message_of_v1() -> None:
    """What was added since is not required of it."""
    tree = load()
    for _, schema in Document(tree)._schemas():
        schema.pop("required", None)
    document = Document(tree)
    assert [fault for one in recorded() for fault in document.judge(one.topic, one.payload)] == []
    shown = {document.channel(one.topic) for one in recorded()}
    assert shown == document.channels.keys()
