"""Records what this version sends, as data for the tests of all later ones: docs/interface.md, versions.

    python -m tests.data.record tests/data/v2    writes messages.rec and samples.csv.gz

Of a drive in which the device says everything (tests/sim/interface_run.py) it keeps the profiles, the smallest batch of each boot
and stream, and messages enough to show every field that docs/asyncapi.yaml has. Beside them stand devices that never drove,
`made0` and others, whose batches hold what the drive does not: long signals, floats, texts, occurrences, parts.
"""

import csv
import gzip
import io
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "host"))

from asyncapi_document import Document, load
from test_reader_batch import full, random_encoder

from host_tools.reader import Occurrence, Sample, decode, read_header
from host_tools.reader.recording import record
from host_tools.signals.pack import identity, pack, unpack
from tests.sim.interface_run import everything

FIELDS = "device boot stream sequence time_ms utc_ms name raw value unit label source quality".split()
MADE = range(12)  # seeds

Message = tuple[str, bytes]


def kept() -> list[Message]:
    """What is kept of the drive."""
    document, profiles = Document(load()), dict[bytes, Message]()
    batches: dict[tuple[int, int], Message] = {}
    others = []
    for topic, payload, _ in everything().messages:
        kind = document.channel(topic)
        if kind == "telemetry":
            header = read_header(payload)
            known = batches.setdefault((header.boot, header.stream), (topic, payload))
            if header.count and len(payload) < len(known[1]):
                batches[header.boot, header.stream] = topic, payload
        elif kind == "profile" and payload:
            profiles[payload] = topic, payload
        elif payload:
            before = len(document.unseen)
            document.judge(topic, payload)
            if len(document.unseen) < before or kind in ("gap", "event"):
                others.append((topic, payload))
    return [*profiles.values(), *batches.values(), *others]


def made() -> Iterator[Message]:
    """Batches with something of everything."""
    for seed in MADE:
        encoder = random_encoder(random.Random(seed)) if seed else full()
        packed = pack(encoder.profile)
        encoder.profile_hash = identity(packed)
        yield f"pigtail/v1/made{seed}/profile/{identity(packed):08x}", packed
        yield f"pigtail/v1/made{seed}/telemetry", encoder.encode()


def rows(messages: list[Message]) -> Iterator[list[object]]:
    """The samples of all batches, each as its batch alone has it."""
    profiles = {identity(payload): unpack(payload) for topic, payload in messages if "/profile/" in topic}
    for topic, payload in messages:
        if topic.endswith("/telemetry"):
            header = read_header(payload)
            for one in decode(payload, profiles[header.profile_hash]).records:
                yield [topic.split("/")[2], header.boot, header.stream, *row(one)]


def row(one: Sample | Occurrence) -> list[object]:
    """The fields from `sequence` on; nothing where there is none."""
    utc_ms = "" if one.utc is None else round(one.utc * 1000)
    known: list[object] = [one.sequence, one.time_ms, utc_ms, one.name]
    if isinstance(one, Occurrence):
        return [*known, "", json.dumps(one.value), "", "", "", ""]
    return [*known, one.raw, repr(one.value), one.unit, one.label or "", one.source, one.quality]


def main(folder: Path) -> None:
    messages = [*kept(), *made()]
    folder.mkdir(exist_ok=True)
    (folder / "messages.rec").write_bytes(b"".join(record(topic, payload) for topic, payload in messages))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(FIELDS)
    lines.writerows(rows(messages))
    (folder / "samples.csv.gz").write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
