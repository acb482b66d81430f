"""Does a profile explain a recording? What is known of it, the ranges seen, what is out of range, what never moves, which
frames are wrong by their own counter or checksum."""

from collections.abc import Iterable, Set
from dataclasses import dataclass

import can
import numpy as np
import numpy.typing as npt

from host_tools.signals import guards
from host_tools.signals.frames import Frames, Values
from host_tools.signals.guards import GuardCheck
from host_tools.signals.profile import Profile, Signal

_SLACK = 1e-6  # of a step: what floating point adds to a limit


@dataclass(frozen=True)
class SignalCheck:
    """What a recording says of one signal: its values' count, least and greatest (physical; None where it has none)."""

    name: str
    unit: str
    values: int
    least: float | None
    greatest: float | None
    out_of_range: int
    is_constant: bool
    is_guarded: bool  # its range is the vehicle file's word, not only the database's


@dataclass(frozen=True)
class Check:
    """The whole: frames and ids in the recording, how many of them are known by name and how many have signals; what is
    only in the recording (ids and their frames) and only in the profile (names of messages)."""

    seconds: float
    frames: int
    known_frames: int
    decoded_frames: int
    fd_frames: int
    ids: int
    known_ids: int
    unheard: tuple[str, ...]
    unknown: tuple[tuple[str, int], ...]
    signals: tuple[SignalCheck, ...]
    guards: tuple[GuardCheck, ...]

    @property
    def has_failed(self) -> bool:
        """Whether nothing is known, or the vehicle file is contradicted: by a value outside a range that it declares, or by
        a frame whose counter or checksum is wrong."""
        ranges = any(signal.out_of_range and signal.is_guarded for signal in self.signals)
        return not self.decoded_frames or ranges or any(guard.wrong for guard in self.guards)


def check(recording: Iterable[can.Message], profile: Profile, named: Set[int]) -> tuple[Check, Frames]:
    """The check of a recording, and its frames for a closer look. `named` are the keys of messages that are known
    although no signal of them is."""
    frames = Frames(recording, profile)
    messages = [message for message in profile.messages if not message.is_window]  # windows are on no bus
    heard = {key for key, column in frames.columns.items() if len(column.times)}
    unknown = {key: count for key, count in frames.others.most_common() if key not in heard | named}
    decoded = sum(len(column.times) for column in frames.columns.values())
    total = decoded + frames.others.total()
    ids = len(heard | frames.others.keys())
    result = Check(
        seconds=frames.end - frames.start,
        frames=total,
        known_frames=total - sum(unknown.values()),
        decoded_frames=decoded,
        fd_frames=frames.fd,
        ids=ids,
        known_ids=ids - len(unknown),
        unheard=tuple(m.name for m in messages if m.key not in heard),
        unknown=tuple((f"{key & (1 << 29) - 1:X}", count) for key, count in unknown.items()),
        signals=tuple(_check(s, frames.values(m, s)) for m in messages for s in m.signals),
        guards=tuple(guards.check(frames, profile)),
    )
    return result, frames


def out_of_range(signal: Signal, physical: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which values lie outside the signal's range; NaN does. All are inside where it has none."""
    limits = signal.valid or (signal.minimum, signal.maximum)
    if limits[0] is None or limits[1] is None:
        return np.zeros(len(physical), np.bool_)
    slack = abs(signal.scale) * _SLACK
    return ~((physical >= limits[0] - slack) & (physical <= limits[1] + slack))


def _check(signal: Signal, values: Values) -> SignalCheck:
    count = len(values.raw)
    finite = values.physical[np.isfinite(values.physical)]
    return SignalCheck(
        signal.name,
        signal.unit,
        count,
        float(finite.min()) if len(finite) else None,
        float(finite.max()) if len(finite) else None,
        int(out_of_range(signal, values.physical).sum()),
        count > 0 and bool((values.raw == values.raw[0]).all()),
        signal.valid is not None,
    )
