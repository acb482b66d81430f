"""What the firmware codes, the reader's codec decodes: random walks with every extreme, in batches of every size."""

import json
import random
import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from on_device import run

from host_tools.reader import batch
from host_tools.reader.sections import QUALITIES
from host_tools.signals import pack
from host_tools.signals.profile import Message, Profile, Signal

SCRIPT = Path(__file__).parent / "walk_on_device.py"
EXTREMES = [-(1 << 31), (1 << 31) - 1, 0, -1, 1, 63, 64, -64, -65]
PERIODS = [100, 100, 500, 0, 100, 300, 0, 500, 100, 0]

Step = dict[str, list[list[int]] | list[tuple[int, list[int]]] | int]
Told = tuple[int, int, int, str]  # index, ms, raw, quality


def profile() -> Profile:
    """Three messages of ten signals, all of 32 bits, half of them signed."""
    signals = [
        Signal(f"s{i}", 0, 32, is_signed=i % 2 == 0, period_ms=period) for i, period in enumerate(PERIODS)
    ]
    return Profile(
        "walk", "", "", tuple(Message(1 + m, False, "", tuple(signals[4 * m : 4 * m + 4])) for m in range(3))
    )


@dataclass
class Walk:
    """A random walk, and what a reader must find in it, kept in the plainest way."""

    profile: Profile
    chance: random.Random
    silence: float  # chance that a message is not heard in a step
    raw: list[int] = field(default_factory=lambda: [0] * len(PERIODS))
    quality: list[int] = field(default_factory=lambda: [0] * len(PERIODS))
    fresh: list[bool] = field(default_factory=lambda: [False] * len(PERIODS))
    steps: list[Step] = field(default_factory=list)
    sampled: list[Told] = field(default_factory=list)
    events: list[Told] = field(default_factory=list)
    now: int = 0
    tick: int = 1

    def step(self, passed_ms: int) -> None:
        """Some messages are heard, some signals change, time passes; then what is due is sampled."""
        heard, events = [], []
        first = 0
        for m, message in enumerate(self.profile.messages):
            size = len(message.signals)
            if self.chance.random() >= self.silence:
                values = [self._moved(self.raw[i]) for i in range(first, first + size)]
                self.raw[first : first + size] = values
                self.fresh[first : first + size] = [True] * size
                self.quality[first : first + size] = [self.chance.choice([0, 0, 0, 1, 3, 4]) for _ in values]
                heard.append((m, values))
                events += [[i, self.now, self.raw[i]] for i in range(first, first + size) if not PERIODS[i]]
            first += size
        self.events += [(i, ms, raw, QUALITIES[self.quality[i]]) for i, ms, raw in events]
        self.now += passed_ms
        self.steps.append({"heard": heard, "quality": self.quality[:], "events": events, "now": self.now})
        while self.tick * 100 <= self.now:
            self._sample(self.tick * 100)
            self.tick += 1

    def _moved(self, raw: int) -> int:
        if self.chance.random() < 0.3:
            return self.chance.choice(EXTREMES)
        moved = raw + self.chance.choice([0, 1, -1, 63, -64, 1 << 20, -(1 << 31)])
        return (moved + (1 << 31)) % (1 << 32) - (1 << 31)

    def _sample(self, ms: int) -> None:
        for i, period in enumerate(PERIODS):
            if period and ms % period == 0 and self.fresh[i]:
                self.sampled.append((i, ms, self.raw[i], QUALITIES[self.quality[i]]))
                self.fresh[i] = False


def records(folder: Path, walk: Walk, size: int, batch_ms: int, flags: int) -> list[bytes]:
    """What the firmware makes of a walk."""
    (folder / "profile.bin").write_bytes(pack.pack(walk.profile))
    (folder / "walk").write_text("".join(json.dumps(step) + "\n" for step in walk.steps))
    paths = [str(folder / name) for name in ("profile.bin", "walk", "out.bin")]
    run([str(SCRIPT), *paths, str(size), str(batch_ms), str(flags)])
    data, at, found = (folder / "out.bin").read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from("<H", data, at)
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def told(samples: list[batch.Sample], walk: Walk, periodic: bool) -> list[Told]:
    signed = [(s.raw + (1 << 31)) % (1 << 32) - (1 << 31) for s in samples]
    return [
        (s.index, s.time_ms, raw, s.quality)
        for s, raw in zip(samples, signed, strict=True)
        if bool(PERIODS[s.index]) == periodic
    ]


@pytest.mark.parametrize("size", [64 + 2 * 24, 64 + 2 * 29, 64 + 2 * 57, 1024])
@pytest.mark.parametrize("silence", [0.0, 0.5, 0.95])
def test_every_sample_of_a_random_walk_is_decoded(tmp_path: Path, size: int, silence: float) -> None:
    walk = Walk(profile(), random.Random(size + int(100 * silence)), silence)
    for _ in range(150):
        walk.step(walk.chance.choice([5, 30, 100, 100, 250, 700]))
    coded = records(tmp_path, walk, size, 2000, flags=2)
    decoded = [batch.decode(record, walk.profile) for record in coded]
    samples = [sample for one in decoded for sample in one.samples]
    assert told(samples, walk, periodic=True) == walk.sampled
    assert told(samples, walk, periodic=False) == walk.events
    assert [sample.sequence for sample in samples] == list(range(len(samples)))
    assert all(len(record) <= size for record in coded)
    assert min(one.header.count for one in decoded) > 0


def test_batch_is_split_in_the_middle_of_a_tick(tmp_path: Path) -> None:
    walk = Walk(profile(), random.Random(5), silence=0.0)
    for _ in range(40):
        walk.step(100)
    decoded = [batch.decode(r, walk.profile) for r in records(tmp_path, walk, 64 + 2 * 24, 2000, flags=0)]
    assert len({one.header.first_signal for one in decoded}) > 3
    assert told([s for one in decoded for s in one.samples], walk, periodic=True) == walk.sampled


def test_events_before_the_start_of_their_batch_keep_their_time(tmp_path: Path) -> None:
    walk = Walk(profile(), random.Random(6), silence=0.0)
    for _ in range(40):
        walk.step(10)
    decoded = [batch.decode(r, walk.profile) for r in records(tmp_path, walk, 64 + 2 * 24, 100, flags=0)]
    early = [s for one in decoded for s in one.samples if s.time_ms < 100 * one.header.start]
    assert early
    assert told([s for one in decoded for s in one.samples], walk, periodic=False) == walk.events


def test_header_says_clock_versions_and_boot(tmp_path: Path) -> None:
    walk = Walk(profile(), random.Random(7), silence=0.0)
    walk.step(100)
    (coded,) = records(tmp_path, walk, 1024, 2000, flags=3 | 2 << 2 | 9 << 4)
    header = batch.read_header(coded)
    assert (header.clock, header.priority, header.purpose) == ("gnss", 2, 9)
    assert (header.configuration, header.consent, header.boot) == (300, 2, 7)
    assert header.boot_utc_ms == 1_700_000_000_123
    assert header.profile_hash == pack.identity(pack.pack(walk.profile))
