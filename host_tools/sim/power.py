"""The car's ignition and 12 V over time, and whether its bus is awake; how long the device was in each of its power states."""

import csv
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import InputError
from host_tools.reader import Happened
from host_tools.sim.board import ASLEEP, Life

FIELDS = ("time_s", "ignition", "battery_mv", "bus")
LEAST_MV, MOST_MV = 1000, 65_535  # who gives volts, or mV with a comma, is told


@dataclass(frozen=True)
class Moment:
    """From `at` (device seconds) on: the ignition and the 12 V as the board senses them, None for no such sense; whether the car
    speaks on its bus."""

    at: float
    ignition: bool | None = None
    battery_mv: int | None = None
    bus: bool = True


def read(path: Path) -> tuple[Moment, ...]:
    """A CSV file with the columns time_s, ignition (0, 1), battery_mv and bus (0, 1). What is empty is not sensed, a bus that is
    not named awake. Raises InputError."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if tuple(rows.fieldnames or ()) != FIELDS:
                raise InputError(f"{path}: give the columns {','.join(FIELDS)} in its first line")
            moments = [_moment(path, rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {path}: {reason}; give a CSV file with --power") from error
    if not moments or any(after.at <= before.at for before, after in itertools.pairwise(moments)):
        raise InputError(f"{path}: give one line or more, each with a later time_s than the one before")
    return tuple(moments)


def _moment(path: Path, line: int, row: dict[str, str]) -> Moment:
    try:
        if None in row or None in row.values():
            raise ValueError("not as many columns")
        battery_mv = int(row["battery_mv"]) if row["battery_mv"] else None
        at, ignition, bus = float(row["time_s"]), _flag(row["ignition"]), _flag(row["bus"])
        if not 0 <= at < 1e9 or (battery_mv is not None and not LEAST_MV <= battery_mv <= MOST_MV):
            raise ValueError("out of range")
    except ValueError as error:
        takes = f"seconds, then 0, 1 or nothing, {LEAST_MV} to {MOST_MV} mV or nothing, and 0 or 1"
        raise InputError(f"{path}, line {line}: {error}; give {takes}") from error
    return Moment(at, ignition, battery_mv, bus is not False)


def _flag(text: str) -> bool | None:
    if text not in ("", "0", "1"):
        raise ValueError(f"{text!r} is neither 0 nor 1")
    return bool(int(text)) if text else None


def bus_awake(moments: Sequence[Moment], at: float) -> bool:
    """Whether the car speaks on its bus at that time."""
    return next((moment.bus for moment in reversed(moments) if moment.at <= at), True)


def times(lives: Sequence[Life], happened: Iterable[Happened], at: Callable[[float], float], now: float) -> dict[str, float]:
    """Seconds in each state: asleep by the board's own process, the others as the device's events say; empty where it said
    nothing and never slept. `at` makes device seconds of monotonic ones, `now` is the end."""
    told = sorted((event.boot, event.uptime_ms, event.text.split(":")[0]) for event in happened if event.kind == "power")
    if not told and all(life.death != ASLEEP for life in lives):
        return {}
    spent: defaultdict[str, float] = defaultdict(float)
    for life, following in itertools.zip_longest(lives, lives[1:]):
        began, ended = at(life.started), now if life.ended is None else at(life.ended)
        changes = [(began, "driving")]
        changes += [(began + ms / 1000, state) for boot, ms, state in told if boot == life.trace.boot]
        for (start, state), (end, _) in itertools.pairwise([*changes, (ended, "")]):
            spent[state] += max(0.0, end - start)
        if life.death == ASLEEP:
            spent["asleep"] += (at(following.started) if following else now) - ended
    return {state: round(seconds, 1) for state, seconds in spent.items()}
