"""What the codec and the store are measured on: recordings of two real cars, both at once, and the generated drive.

Each is a profile as the project ships it and the frames that it knows. Signals are called as their DBC calls them: shorter
than VSS's paths, which is to the good of rivals that send names.
"""

import heapq
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count, takewhile
from pathlib import Path

import can

from host_tools import logs
from host_tools.paths import ROOT, VEHICLES
from host_tools.signals import dbc, vehicle
from host_tools.signals.merge import merge
from host_tools.signals.profile import Message, Profile
from host_tools.sim import drive

DATA = ROOT.parent / "shared" / "data"
FRS = DATA / "frs" / "can_sample.log.gz"
KONA = DATA / "kona-ev" / "kona2019_230112-7_pcan0_ccan1.log.gz"
DEMO = "demo-ev"
WINDOW_MS = 10_000
_PAUSE_MS = 10  # between two runs of a recording that is shorter than the other

Frame = tuple[int, int, bytes]  # ms since the beginning, id with bit 29 set for a 29-bit one, data


@dataclass(frozen=True)
class Workload:
    """`frames` of `seconds`, a whole number of windows, in order of time; `databases` are the DBCs that explain them."""

    name: str
    databases: tuple[Path, ...]
    profile: Profile
    frames: tuple[Frame, ...]
    seconds: int


def missing() -> list[Path]:
    """The recordings that are not there; without them there is the generated drive only."""
    return [path for path in (FRS, KONA) if not path.is_file()]


@cache
def frs() -> Workload:
    """A Scion FR-S driven for 90 s."""
    return _cut("FR-S", "scion-fr-s", logs.read(FRS), 90)


@cache
def kona() -> Workload:
    """A parked Kona that wakes up, is switched on and off: its 10 s."""
    return _cut("Kona", "kona-ev", logs.read(KONA), 10)


@cache
def both() -> Workload:
    """Both cars on one bus, the Kona again and again: 46 sampled signals, as the design's own figures had about 40.

    As there, all are of one purpose, and nothing is judged: no ranges, counters and checksums, since no rival carries quality.
    `shipped` tells what both cost.
    """
    messages = tuple(_plain(message) for message in shipped().profile.messages)
    return replace(shipped(), name="two cars", profile=replace(shipped().profile, messages=messages))


@cache
def shipped() -> Workload:
    """As `both`, with the vehicle files as they are: a batch for each of four purposes, and marks."""
    one, other = frs(), kona()
    profile = merge([one.profile, other.profile], lambda line: None)
    frames = heapq.merge(one.frames, _again_and_again(other.frames), key=lambda frame: frame[0])
    return Workload("two cars as shipped", one.databases + other.databases, profile, _until(one.seconds, frames), one.seconds)


@cache
def kona_dbc() -> Workload:
    """The Kona's drive train with all 441 signals of its publisher's DBC, once a second: a bus as `pigtail demo` takes it."""
    path = KONA.parent / "pcan.dbc"
    database = dbc.load(path, lambda line: None)
    profile = dbc.profile(database, "kona", 1000, lambda line: None)
    sizes = {message.frame_id: message.length for message in database.messages}
    frames = (frame for frame in _known(logs.read(KONA, "can0"), profile) if len(frame[2]) >= sizes[frame[1]])
    return Workload("Kona, all of its DBC", (path,), profile, _until(10, frames), 10)


@cache
def demo(seconds: int = 300) -> Workload:
    """The generated drive."""
    return _cut("generated drive", DEMO, drive.frames(), seconds)


def _profile(name: str) -> Profile:
    path = VEHICLES / f"{name}.toml"
    profile = vehicle.load(path, lambda line: None)
    own = {entry["path"]: entry["dbc"] for entry in tomllib.loads(path.read_text("utf-8"))["signals"]}
    return replace(profile, messages=tuple(_called(message, own) for message in profile.messages))


def _called(message: Message, names: dict[str, str]) -> Message:
    """`message` with its signals renamed. None of those that select, count or check has a path."""
    signals = tuple(replace(signal, name=names.get(signal.name, signal.name)) for signal in message.signals)
    return replace(message, signals=signals)


def _plain(message: Message) -> Message:
    signals = tuple(replace(signal, purpose="driving", valid=None) for signal in message.signals)
    return replace(message, signals=signals, counter=None, checksum=None)


def _known(frames: Iterable[can.Message], profile: Profile) -> Iterator[Frame]:
    """The frames that `profile` has, timed from the first frame of all."""
    keys = {message.key for message in profile.messages}
    start: float | None = None
    for frame in frames:
        start = frame.timestamp if start is None else start
        key = frame.arbitration_id | frame.is_extended_id << 29
        if key in keys:
            yield int((frame.timestamp - start) * 1000), key, bytes(frame.data)


def _again_and_again(frames: tuple[Frame, ...]) -> Iterator[Frame]:
    for start in count(0, frames[-1][0] + _PAUSE_MS):
        yield from ((start + at, key, data) for at, key, data in frames)


def _cut(name: str, car: str, frames: Iterable[can.Message], seconds: int) -> Workload:
    profile = _profile(car)
    return Workload(name, (VEHICLES / f"{car}.dbc",), profile, _until(seconds, _known(frames, profile)), seconds)


def _until(seconds: int, frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Frames up to then, in order of time: recordings of two buses are not always."""
    return tuple(sorted(takewhile(lambda frame: frame[0] <= seconds * 1000, frames), key=lambda frame: frame[0]))
