"""What a subscriber should have got, worked out from the same frames by cantools instead of the firmware."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import can

from host_tools.reader import Sample
from host_tools.signals import dbc
from host_tools.signals.profile import Profile
from host_tools.sim.scenario import Scenario, frames

SLACK_S = 0.3  # a late loop on a busy machine, at speed 4
MOST_S, STEP_S = 8.0, 0.1  # from uptime 0 to the bus's opening


@dataclass(frozen=True)
class Recording:
    """A log and its DBC; without a log, the generated drive, which has no end of its own."""

    log: Path | None
    dbc: Path
    channel: str | None = None

    def frames(self) -> Iterator[can.Message]:
        return frames([self.log] if self.log else [], self.channel)

    def profile(self, period_ms: int) -> Profile:
        return dbc.profile(dbc.load(self.dbc, lambda line: None), self.dbc.stem, period_ms, lambda line: None)

    def scenario(self, period_ms: int, **settings: object) -> Scenario:
        return Scenario(self.profile(period_ms), self.frames(), **settings)  # type: ignore[arg-type]

    def decoded(self, seconds: float | None = None) -> dict[str, list[tuple[float, int]]]:
        """For every signal name its raw values in order, with the time since the first frame (s), by cantools."""
        database = dbc.load(self.dbc, lambda line: None)
        by_id = {(m.frame_id, m.is_extended_frame): m for m in database.messages}
        result: dict[str, list[tuple[float, int]]] = {}
        for at, frame in _timed(self.frames(), seconds):
            message = by_id.get((frame.arbitration_id, frame.is_extended_id))
            if message is None:
                continue
            raw = message.decode(bytes(frame.data), scaling=False, decode_choices=False, allow_truncated=True)
            if len(raw) < len(message.signals):
                continue  # too short for one of them: the firmware counts it and takes nothing from it
            for name, value in raw.items():  # type: ignore[union-attr]
                result.setdefault(f"{message.name}.{name}", []).append((at, int(value)))
        return result


def _timed(messages: Iterable[can.Message], seconds: float | None) -> Iterator[tuple[float, can.Message]]:
    origin: float | None = None
    for frame in messages:
        origin = frame.timestamp if origin is None else origin
        if seconds is not None and frame.timestamp - origin >= seconds:
            return
        yield frame.timestamp - origin, frame


def changes(values: list[tuple[float, int]]) -> list[int]:
    """The first value and each that differs from the one before."""
    return [raw for i, (_, raw) in enumerate(values) if i == 0 or raw != values[i - 1][1]]


def unseen(samples: dict[str, list[Sample]], values: dict[str, list[tuple[float, int]]], period_s: float) -> list[Sample]:
    """The samples whose raw value was not on the bus within their period before their time, give or take the slack.

    The device's time begins some time before it hears the bus, which depends on the machine; it is the same for all.
    """
    fewest = [sample for those in samples.values() for sample in those]
    for step in range(int(MOST_S / STEP_S)):
        shift = step * STEP_S
        wrong = [s for name, those in samples.items() for s in those if not _seen(s, values[name], period_s, shift)]
        fewest = min(fewest, wrong, key=len)
        if not wrong:
            break
    return fewest


def _seen(sample: Sample, values: list[tuple[float, int]], period_s: float, shift: float) -> bool:
    at = sample.time_ms / 1000 - shift
    first = bisect_left(values, (at - period_s - SLACK_S,))
    return any(raw == sample.raw for _, raw in values[first : bisect_right(values, (at + SLACK_S,))])
