"""What the firmware codes, bit for bit as the SPEC's plain encoder does, and what the reader's codec makes of it.

Random walks with every extreme, steady signals, silence, several streams; batches whole and in parts.
"""

import json
import random
import struct
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from batch_encoder import Encoder, zigzag
from on_device import run

from host_tools.reader import Header, Occurrence, Sample, batch
from host_tools.reader.events import QUALITIES
from host_tools.reader.header import Coded, read_header, read_parts
from host_tools.signals import pack
from host_tools.signals.profile import Message, Profile, Signal

SCRIPT = Path(__file__).parent / "walk_on_device.py"
EXTREMES = [-(1 << 31), (1 << 31) - 1, 0, -1, 1, 63, 64, -64, -65]
PART, LAST_PART, WHOLE = range(3)
UTC_OF_BOOT_MS = 1_700_000_000_123

Told = tuple[int, int, int, str]  # field, ms, raw, quality


def signal(name: str, period_ms: int, length: int = 32, **more: Any) -> Signal:
    return Signal(name, 0, length, period_ms=period_ms, **({"purpose": "a"} | more))


def profile() -> Profile:
    """Three messages; five streams; fields of every kind, one signal with two."""
    rows = (
        (
            signal("s0", 100, is_signed=True), signal("s1", 100, 8), signal("s2", 500, 16, is_signed=True, max_error=3),
            signal("s3", 0, is_signed=True), signal("s4", 100, 12, purpose="b"),
        ),
        (
            signal("s5", 100, priority="diagnostic"), signal("s6", 300, 1, priority="diagnostic"),
            signal("s7", 0, 16, priority="diagnostic"), signal("s8", 500, 24, max_error=32767), signal("s9", 300, 8),
        ),
        (
            signal("s10", 100, 16, purpose="b", is_signed=True), signal("s11", 0, purpose="b"), signal("s12", 100, 48),
            signal("s13", 0, 4, purpose="c", priority="alert"),
        ),
    )  # fmt: skip
    return Profile("walk", "", "", tuple(Message(1 + m, False, "", row) for m, row in enumerate(rows)))


@dataclass
class Walk:
    """A random walk, and what a reader must find in it, kept in the plainest way."""

    profile: Profile
    chance: random.Random
    silence: float  # chance that a message is not heard in a step
    jump: float  # chance that a value becomes any other
    marks: float = 0.1  # chance that a quality changes
    part: float = 0.0  # chance that all batches give out a part
    steps: list[dict[str, Any]] = field(default_factory=list)
    sampled: list[Told] = field(default_factory=list)
    events: list[Told] = field(default_factory=list)
    occurrences: list[tuple[int, int, object]] = field(default_factory=list)  # stream, ms, value
    now: int = 0
    tick: int = 1

    def __post_init__(self) -> None:
        self.fields = self.profile.fields
        self.raw = [0] * len(self.fields)
        self.quality = [0] * len(self.fields)
        self.dirty = [False] * len(self.fields)

    def step(self, passed_ms: int) -> None:
        """Some messages are heard, some signals change, time passes; then what is due is sampled."""
        heard, events = [], []
        for m, row in enumerate(self.profile.rows):
            if self.chance.random() < self.silence:
                continue
            own = range(row.first, row.first + len(row.fields))
            for i in own:
                self.raw[i] = self._moved(i)
                self.dirty[i] = True
                if self.chance.random() < self.marks and not self.fields[i].is_high:
                    self.quality[i] = self.chance.choice([0, 1, 3, 4])
            heard.append((m, [self.raw[i] for i in own]))
            events += [[i, self.now, self.raw[i]] for i in own if not self.fields[i].signal.period_ms]
        self.events += [(i, ms, raw, QUALITIES[self.quality[i]]) for i, ms, raw in events]
        step = {"heard": heard, "quality": self.quality[:], "events": events, "told": self._told()}
        self.now += passed_ms
        self.steps.append(step | {"now": self.now, "part": self.chance.random() < self.part})
        while self.tick * 100 <= self.now:
            self._sample(self.tick * 100)
            self.tick += 1

    def _moved(self, i: int) -> int:
        bits = self.fields[i].bits
        if self.chance.random() < self.jump:
            raw = self.chance.choice(EXTREMES) if bits.length == 32 else self.chance.getrandbits(bits.length)
        else:
            raw = self.raw[i] + self.chance.choice([0, 0, 0, 0, 1, -1, 7])
        raw &= (1 << bits.length) - 1
        top = 1 << (bits.length - 1 if bits.is_signed else 31)
        return raw - 2 * top if raw >= top else raw

    def _told(self) -> list[tuple[int, int, int, list[Any]]]:
        if self.chance.random() > 0.05:
            return []
        number = self.chance.randrange(len(self.profile.streams))
        which = self.chance.choice([-1, 0, 1, 2])
        value: object
        if which == 2:
            numbers = [self.chance.randrange(-top, top) for top in (900000000, 1800000000, 90000)]
            position = [number / scale for number, scale in zip(numbers, (1e7, 1e7, 10), strict=True)]
            value = dict(zip(("latitude", "longitude", "altitude", "accuracy"), (*position, 2.5), strict=True))
            fields: list[Any] = [*map(zigzag, numbers), 25]
        else:
            value, fields = [
                ({"code": 300, "text": "Tür"}, [300, "Tür"]),
                ({"ecu": 2024, "code": "U3FFF-1A", "status": 175}, [2024, [0xFF, 0xFF, 0x1A, 175]]),
                ("KMHK581", ["Vehicle.VehicleIdentification.VIN", "KMHK581"]),
            ][which]
        self.occurrences.append((self.profile.streams[number], self.now, value))
        return [(number, which, self.now, fields)]

    def _sample(self, ms: int) -> None:
        for i, one in enumerate(self.fields):
            if one.signal.period_ms and ms % one.signal.period_ms == 0 and self.dirty[i]:
                self.sampled.append((i, ms, self.raw[i], QUALITIES[self.quality[i]]))
                self.dirty[i] = False


def walk(
    seed: int, of: Profile | None = None, steps: int = 400, silence: float = 0.05, jump: float = 0.02, **more: float
) -> Walk:
    made = Walk(of or profile(), random.Random(seed), silence, jump, **more)
    for _ in range(steps):
        made.step(made.chance.choice([5, 30, 100, 100, 250, 700]))
    return made


def coded(folder: Path, walk: Walk, batch_ms: int = 10_000, clock: int = 2) -> list[tuple[int, int, bytes]]:
    """(kind, stream, bytes) of all that the firmware makes of a walk."""
    (folder / "profile.bin").write_bytes(pack.pack(walk.profile))
    (folder / "walk").write_text("".join(json.dumps(step) + "\n" for step in walk.steps))
    paths = [str(folder / name) for name in ("profile.bin", "walk", "out.bin")]
    run([str(SCRIPT), *paths, str(batch_ms), str(clock)])
    data, at, found = (folder / "out.bin").read_bytes(), 0, []
    while at < len(data):
        kind, stream, length = struct.unpack_from("<BBH", data, at)
        at += 4 + length
        found.append((kind, stream, data[at - length : at]))
    return found


def whole(records: list[tuple[int, int, bytes]]) -> list[bytes]:
    return [record for kind, _, record in records if kind == WHOLE]


def fields_of(walk: Walk, decoded: list[batch.Batch]) -> list[tuple[Told, Header]]:
    """What each sample of a signal says, as `Walk` has it: that of a long signal as two."""
    found = []
    for one in decoded:
        for s in one.samples:
            first = next(i for i, f in enumerate(walk.fields) if f.number == s.index)
            halves = [s.raw & 0xFFFFFFFF, s.raw >> 32] if s.numbers == 2 else [s.raw]
            for i, raw in enumerate(halves):
                signed = (raw + (1 << 31)) % (1 << 32) - (1 << 31)
                quality = QUALITIES[0] if i else s.quality
                found.append(((first + i, s.time_ms, signed, quality), one.header))
    return found


def stream_of(walk: Walk, told: Told) -> int:
    return walk.profile.stream(walk.fields[told[0]].signal)


def check(walk: Walk, decoded: list[batch.Batch]) -> None:
    """Every sample of the walk is there, in its stream, in order, and numbered without gaps; nothing else is."""
    found = fields_of(walk, decoded)
    assert all(stream_of(walk, told) == header.stream for told, header in found)
    for stream in walk.profile.streams:
        own = [told for told, header in found if header.stream == stream]
        periodic = [told for told in own if walk.fields[told[0]].signal.period_ms]
        expected = [told for told in walk.sampled if stream_of(walk, told) == stream]
        assert [(i, ms, quality) for i, ms, _, quality in periodic] == [(i, ms, quality) for i, ms, _, quality in expected]
        for (index, _, raw, _), (_, _, true, _) in zip(periodic, expected, strict=True):
            assert abs(raw - true) <= walk.fields[index].signal.quantum
        assert [told for told in own if told not in periodic] == [e for e in walk.events if stream_of(walk, e) == stream]
        batches = [one for one in decoded if one.header.stream == stream]
        told = [(stream, o.time_ms, o.value) for one in batches for o in one.occurrences]
        assert told == [occurrence for occurrence in walk.occurrences if occurrence[0] == stream]
        numbers = [r.sequence + n for one in batches for r in one.records for n in range(r.numbers)]
        assert numbers == list(range(len(numbers)))


def mirrored(walk: Walk, payload: bytes) -> Coded:
    """The sections that the SPEC's plain encoder makes of the same samples."""
    header, sections = read_parts(payload)
    readings = {(ms // 100, i): raw for i, ms, raw, _ in walk.sampled}
    encoder = Encoder(
        walk.profile, priority=header.priority, purpose=header.purpose, start=header.start, first_row=header.first_row,
        ticks=sections.ticks, rows=sections.rows, readings=readings,
    )  # fmt: skip
    return replace(read_parts(encoder.encode())[1], events=sections.events)


@pytest.mark.parametrize("seed", range(6))
def test_every_sample_of_a_random_walk_is_coded_bit_for_bit_and_decoded(tmp_path: Path, seed: int) -> None:
    made = walk(seed, silence=[0.0, 0.05, 0.5, 0.95][seed % 4], jump=[0.02, 0.5, 0.0][seed % 3])
    payloads = whole(coded(tmp_path, made, batch_ms=[10_000, 2000][seed % 2]))
    decoded = [batch.decode(payload, made.profile) for payload in payloads]
    check(made, decoded)
    assert {one.header.stream for one in decoded} == set(made.profile.streams)
    for payload in payloads:
        assert read_parts(payload)[1] == mirrored(made, payload)


def test_batch_is_split_between_the_rows_of_a_tick(tmp_path: Path) -> None:
    rows = Profile("rows", "", "", tuple(Message(m, False, "", (signal(f"s{m}", 100),)) for m in range(12)))
    made = walk(5, rows, silence=0.0, jump=1.0)
    payloads = whole(coded(tmp_path, made, batch_ms=60_000))
    assert len({read_header(payload).first_row for payload in payloads}) > 3
    check(made, [batch.decode(payload, made.profile) for payload in payloads])


@pytest.mark.parametrize("seed", range(3))
def test_parts_make_the_same_batch_as_the_whole_and_each_is_one_with_those_before(tmp_path: Path, seed: int) -> None:
    made = walk(seed, silence=0.2, part=0.3)
    waiting: dict[int, list[bytes]] = {}
    compared = 0
    for kind, stream, record in coded(tmp_path, made):
        parts = waiting.setdefault(stream, [])
        if kind != WHOLE:
            parts.append(record)
            head = read_header(b"".join(parts))
            found = batch.decode(b"".join(parts), made.profile).records
            assert head.count == sum(one.numbers for one in found)
        elif parts:
            assert read_parts(b"".join(parts)) == read_parts(record)
            waiting[stream] = []
            compared += len(parts) > 2
    assert compared > 10


def test_part_before_a_power_cut_covers_a_prefix_of_the_numbers(tmp_path: Path) -> None:
    made = walk(3, part=0.3)
    for_stream: dict[int, list[bytes]] = {}
    for kind, stream, record in coded(tmp_path, made):
        if kind == PART:
            for_stream.setdefault(stream, []).append(record)
        elif kind == WHOLE:
            parts, whole_header = for_stream.pop(stream, []), read_header(record)
            for n in range(1, len(parts) + 1):
                header = read_header(b"".join(parts[:n]))
                assert (header.boot, header.stream, header.first) == (7, whole_header.stream, whole_header.first)
                assert header.count <= whole_header.count


def test_events_before_the_start_of_their_batch_keep_their_time(tmp_path: Path) -> None:
    made = walk(6, steps=100)
    decoded = [batch.decode(payload, made.profile) for payload in whole(coded(tmp_path, made, batch_ms=100))]
    early = [s for one in decoded for s in one.samples if s.time_ms < 100 * one.header.start]
    assert early
    check(made, decoded)


def test_header_says_clock_versions_and_boot(tmp_path: Path) -> None:
    made = walk(7, steps=10)
    for payload in whole(coded(tmp_path, made, clock=3)):
        header = read_header(payload)
        assert (header.clock, header.boot_utc_ms) == ("gnss", UTC_OF_BOOT_MS)
        assert (header.configuration, header.consent, header.boot) == (300, 2, 7)
        assert header.profile_hash == pack.identity(pack.pack(made.profile))
    assert {read_header(payload).boot_utc_ms for payload in whole(coded(tmp_path, made, clock=0))} == {None}


def test_occurrences_and_samples_are_what_records_are_made_of(tmp_path: Path) -> None:
    made = walk(8, steps=300)
    decoded = [batch.decode(payload, made.profile) for payload in whole(coded(tmp_path, made))]
    kinds = {type(record) for one in decoded for record in one.records}
    assert kinds == {Sample, Occurrence} and len({o[2].__class__ for o in made.occurrences}) == 2
