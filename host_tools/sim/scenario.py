"""The scenario: what is simulated, made from what a person asked for."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import can

from host_tools import logs
from host_tools.errors import InputError
from host_tools.reader import Trust
from host_tools.signals import find, pack
from host_tools.signals.merge import merge
from host_tools.signals.profile import Profile
from host_tools.sim import drive, security
from host_tools.sim.board import facts
from host_tools.sim.ecus.facts import Facts
from host_tools.sim.faults import Fault
from host_tools.sim.image import BLOCK_SIZE
from host_tools.sim.power import Moment

DEMO_PROFILE = "demo-ev"
GENERATED_S = 60.0  # how long a generated drive is unless told otherwise
PAUSE_S = 0.1  # between two logs
FLASH_SIZE = int(str(facts()["outbox_size"]))
LEAST_FLASH, MOST_FLASH = 64 << 10, 16 << 20
LEAST_HEAP, MOST_HEAP = 64 << 10, 64 << 20
_OUTAGE = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
_SIZE = re.compile(r"([1-9]\d{0,8})([kKmM]?)")
_UNITS = {"": 0, "k": 10, "m": 20}

Outage = tuple[float, float]


@dataclass(frozen=True)
class Scenario:
    """What is simulated. Times in device seconds since the bus was opened; `outages` are (start, end) of the link.
    `flash_size` is that of the outbox's partition in bytes, 0: there is none. `bitrate` is the car's, 0: the one the device
    listens at. `rtc` (seconds since 1970) and `ticks` (ms) are what the chip's clocks show at power-on; None: 2000-01-01, and
    the machine's own ticks. `tls` is one of security.SERVER and MUTUAL for a broker of our own, `trust` the files for one at
    mqtts://; one of our own is `durable` when it keeps on disk what it has acknowledged. A drive of some `seconds`
    that is quick (see board.QUICK) is driven in so many `laps`, one after another. A device that `tells_heap` prints what
    MicroPython knows of its heap on its console, once a second. `ecus` answer what the device sends. `power` is what its board
    senses of the car, and when the bus is awake."""

    profile: Profile
    frames: Iterator[can.Message]
    speed: float = 1.0
    seconds: float | None = None
    outages: tuple[Outage, ...] = ()
    broker: str | None = None
    heap: str = "128k"
    flash_size: int = FLASH_SIZE
    power_cuts: tuple[float, ...] = ()
    ignition_offs: tuple[float, ...] = ()
    bitrate: int = 0
    rtc: int | None = None
    ticks: int | None = None
    config: Mapping[str, object] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    tls: str = ""
    trust: Trust = field(default_factory=Trust)
    durable: bool = True
    laps: int = 1
    tells_heap: bool = False
    ecus: tuple[Facts, ...] = ()
    power: tuple[Moment, ...] = ()


def outage(text: str) -> Outage:
    """START:END in device seconds. Raises InputError."""
    match = _OUTAGE.fullmatch(text)
    if not match or float(match[1]) >= float(match[2]):
        raise InputError(f"outage {text!r}: give START:END in seconds with END after START, such as 5:12")
    return float(match[1]), float(match[2])


def outages(texts: Sequence[str]) -> tuple[Outage, ...]:
    """All outages in order of time. Raises InputError where two overlap."""
    result = tuple(sorted(map(outage, texts)))
    for before, after in itertools.pairwise(result):
        if after[0] < before[1]:
            raise InputError(f"outages {before[0]:g}:{before[1]:g} and {after[0]:g}:{after[1]:g} overlap: make them one")
    return result


def moments(what: str, times: Sequence[float], seconds: float | None) -> tuple[float, ...]:
    """Times in order. Raises InputError where one comes only after the drive's end, as far as that is known."""
    for at in times:
        if seconds is not None and at >= seconds:
            raise InputError(f"{what} at {at:g} s: the drive ends at {seconds:g} s; give an earlier time or a longer --for")
    return tuple(sorted(times))


def check_begin(cut: Sequence[Outage], faults: Sequence[Fault], seconds: float | None) -> None:
    """Raises InputError where one of them would begin only after the drive's end."""
    for kind, start in [("outage", start) for start, _ in cut] + [(fault.kind, fault.start) for fault in faults]:
        moments(kind, [start], seconds)


def check_air(cut: Sequence[Outage], faults: Sequence[Fault]) -> None:
    """Raises InputError where the link is cut while there is silence on it: each would end the other."""
    for fault in faults:
        for start, end in cut:
            if fault.kind == "silence" and start < fault.end and fault.start < end:
                raise InputError(f"outage {start:g}:{end:g} and silence@{fault.start:g}:{fault.end:g} overlap: make them one")


def check_tls(tls: str, broker: str | None) -> str:
    """`tls` again. Raises InputError for another word, and where the broker is not of our own."""
    if tls not in ("", security.SERVER, security.MUTUAL):
        raise InputError(f"--tls {tls}: give --tls alone, or --tls {security.MUTUAL}")
    if tls and broker:
        raise InputError("--tls is for a broker of our own: name yours as mqtts:// and its CA with --ca")
    return tls


def flash_size(text: str) -> int:
    """The size of the outbox's partition in bytes, 0 for none. Raises InputError."""
    if text in ("0", "none"):
        return 0
    match = _SIZE.fullmatch(text)
    size = int(match[1]) << _UNITS[match[2].lower()] if match else 0
    if not LEAST_FLASH <= size <= MOST_FLASH or size % BLOCK_SIZE:
        raise InputError(f"flash size {text!r}: give 64k to 16M in steps of 4k, such as 256k, or none")
    return size


def heap(text: str) -> str:
    """A heap size as MicroPython takes it. Raises InputError."""
    if not re.fullmatch(r"[1-9]\d*[kKmM]?", text):
        raise InputError(f"heap {text!r}: give bytes, or with k or m, such as 128k")
    return text


def board_heap(text: str) -> str:
    """That of a board that is there to run the firmware: with less, what is deployed would not start. Raises InputError."""
    digits, unit = heap(text).rstrip("kKmM"), text[-1].lower()
    if not LEAST_HEAP <= int(digits) << _UNITS.get(unit, 0) <= MOST_HEAP:
        raise InputError(f"heap {text!r}: the firmware takes 64k at least: give 64k to 64m")
    return text


def frames(
    paths: Sequence[Path], channel: str | None = None, load: int | None = None, profile: Profile | None = None
) -> Iterator[can.Message]:
    """The frames of the logs, one log after another, or of a generated drive; filled up to `load` frames/s with ids
    that `profile` does not have.

    Raises InputError at once when the first log cannot be read.
    """
    source = _one_after_another([logs.read(path, channel) for path in paths]) if paths else drive.frames()
    if load is not None:
        source = drive.load(source, load, profile)
    first = next(source, None)
    if first is None:
        raise InputError(f"{paths[0]}: no data frame in it")
    return itertools.chain([first], source)


def _one_after_another(streams: Sequence[Iterator[can.Message]]) -> Iterator[can.Message]:
    """Each log begins a moment after the one before it has ended."""
    ended = -PAUSE_S
    for stream in streams:
        shift: float | None = None
        for frame in stream:
            shift = ended + PAUSE_S - frame.timestamp if shift is None else shift
            frame.timestamp += shift
            ended = frame.timestamp
            yield frame


def profile(names: Sequence[str], paths: Sequence[Path], period_ms: int, report: Callable[[str], None]) -> Profile:
    """The profile asked for, of several made one; the demo car's for a generated drive. Raises InputError."""
    if not names and paths:
        raise InputError(f"a log needs a profile that explains it: give --profile FILE.dbc or a name such as {DEMO_PROFILE}")
    return merge([find.find(name, period_ms, report) for name in names or (DEMO_PROFILE,)], report)


def permission(profile: Profile) -> dict[str, object]:
    """The configuration of a device whose owner allowed the ECUs of this profile to be asked."""
    return {"requests.profile": f"{pack.identity(pack.pack(profile)):08x}"}
