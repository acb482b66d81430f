"""`make soak`: hours of driving at a hundred times the speed while the link, the connections and the broker fail at random. The
device's heap must be in the end what it was when each fault had come once, and but for little what it was in the first minute; no
sample may be missing.

What grows with the first fault of a kind, and never again: the text of the last failure (64 bytes), the tables of the first
session that had a window full of packets. So each kind comes once before the look that counts, and both looks come after a reset.
"""

import argparse
import asyncio
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from host_tools.errors import PigtailError
from host_tools.sim import drive, security
from host_tools.sim import scenario as scenarios
from host_tools.sim.board import STAND_INS
from host_tools.sim.faults import Fault
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from host_tools.sim.summary import lines

LAP_S = 1200.0
START_S, CALM_S = 20.0, 60.0  # at the beginning, until all runs and without a fault
EVERY_S = 240.0  # a fault, on average
LEAST_PAUSE_S = 90.0
# kind and longest time: those of the link are an outage
KINDS = (("outage", 120.0), ("outage", 30.0), ("reset", 0.0), ("silence", 90.0), ("broker-stall", 60.0), ("broker-kill", 60.0))
WARM = (("outage", 30.0), ("silence", 60.0), ("broker-stall", 40.0), ("broker-kill", 20.0), ("reset", 0.0))  # one of each first
LEAK = 64  # bytes: the text of the last failure may be another
ONCE = 256  # bytes that the first faults may add to what the first minute had
LOOK_S = 180.0  # without a fault, in which the heap is looked at: the least of many collections, as what waits comes and goes
PROGRESS_S = 15.0
_BLOCK = 16  # bytes, of MicroPython's heap with 32-bit words
_HEAP = re.compile(r"GC: total: \d+, used: (\d+), free: \d+\n.*max free sz: (\d+)")


@dataclass(frozen=True)
class Heap:
    """Of all collections in some minutes of the device's time: the least that was in use, and the largest free piece that there
    was in the worst and in the best case; bytes, without the stand-ins' part."""

    used: int
    worst_piece: int
    best_piece: int

    def __str__(self) -> str:
        return f"{self.used:,} bytes in use at least, largest free piece {self.worst_piece:,} to {self.best_piece:,}"


@dataclass(frozen=True)
class Soak:
    """What came of it. `minute` is the heap in the first minute, before any fault, `first` that when each fault had come once,
    `last` that in the last minutes."""

    report: Report
    struck: Counter[str]
    minute: Heap
    first: Heap
    last: Heap

    @property
    def leaked(self) -> int:
        """Bytes."""
        return self.last.used - self.first.used

    @property
    def grown(self) -> int:
        """Bytes since the first minute."""
        return self.last.used - self.minute.used

    @property
    def holds(self) -> bool:
        """Nothing leaked, nothing is missing, and the device never started anew."""
        report = self.report
        lost = report.samples_missing or report.lost_after_ack or report.duplicates or report.undecodable or report.restarts
        return not lost and self.leaked <= LEAK and self.grown <= ONCE


def events(seconds: float, seed: int) -> Iterator[Fault]:
    """One fault of each kind, a calm look, random faults one after the other, a reset and another look; an "outage" is one of
    the link."""
    chance = random.Random(seed)
    at = CALM_S
    for kind, length in WARM:
        yield Fault(kind, at, at + length)
        at += length + LEAST_PAUSE_S
    at += LOOK_S
    while True:
        at += max(LEAST_PAUSE_S, chance.expovariate(1 / EVERY_S))
        kind, longest = chance.choice(KINDS)
        end = at + (chance.uniform(longest / 10, longest) if longest else 0.0)
        if end > seconds - LOOK_S - 2 * LEAST_PAUSE_S:
            yield Fault("reset", seconds - LOOK_S - LEAST_PAUSE_S, seconds - LOOK_S - LEAST_PAUSE_S)
            return
        yield Fault(kind, round(at, 1), round(end, 1))
        at = end


def soak(
    hours: float, speed: float, seed: int, tls: bool = False, tick: Callable[[Simulation], None] = lambda simulation: None
) -> Soak:
    """Drives for so long. Raises a PigtailError."""
    seconds = hours * 3600
    laps = max(1, round(seconds / LAP_S))
    struck = list(events(seconds, seed))
    profile = scenarios.profile((), (), 1000, lambda line: None)
    scenario = Scenario(
        profile, drive.frames(), speed, seconds / laps, laps=laps, tells_heap=True,
        outages=tuple((fault.start, fault.end) for fault in struck if fault.kind == "outage"),
        faults=tuple(fault for fault in struck if fault.kind != "outage"), tls=security.SERVER if tls else "",
    )  # fmt: skip
    simulation = Simulation(scenario)
    with _own_processor():
        report = asyncio.run(simulation.run(lambda: tick(simulation)))
    found = [(int(used), _BLOCK * int(piece)) for used, piece in _HEAP.findall(simulation.console)]
    warm_s = CALM_S + sum(length + LEAST_PAUSE_S for _, length in WARM)
    started, calm, first, last = (
        round(at * len(found) / report.device_seconds) for at in (START_S, CALM_S, warm_s, warm_s + LOOK_S)
    )
    heaps = _heap(found[started:calm]), _heap(found[first:last]), _heap(found[first - last :])
    return Soak(report, Counter(fault.kind for fault in struck), *heaps)


@contextmanager
def _own_processor() -> Iterator[None]:
    """Car, access point and reader go before other work, as the device does, where that is allowed: the device's deadlines are a
    hundredth as long in real time, and pass when a busy machine keeps its network waiting."""
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _heap(collections: Sequence[tuple[int, int]]) -> Heap:
    pieces = [piece for _, piece in collections]
    return Heap(min(used for used, _ in collections) - STAND_INS, min(pieces), max(pieces))


def told(soak: Soak) -> Iterator[str]:
    """The figures as lines."""
    yield from lines(soak.report)
    yield "faults   " + ", ".join(f"{count} of {kind}" for kind, count in sorted(soak.struck.items()))
    yield f"heap     in the first minute:           {soak.minute}"
    yield f"heap     when each fault had come once: {soak.first}"
    yield f"heap     in the last minutes:           {soak.last}"
    yield f"leak     {soak.leaked:,} bytes, {soak.grown:,} since the first minute; soak {'passed' if soak.holds else 'FAILED'}"


def _progress() -> Callable[[Simulation], None]:
    next_at = time.monotonic() + PROGRESS_S

    def tick(simulation: Simulation) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at and simulation.car.attached.is_set():
            next_at = time.monotonic() + PROGRESS_S
            dropped, waiting = simulation.board.meter().overrun, simulation.waiting()
            print(f"{simulation.car.now / 3600:6.2f} h  {simulation.delivered.samples:,} samples delivered, {waiting:,} waiting, "
                  f"{dropped:,} frames dropped", file=sys.stderr)  # fmt: skip

    return tick


def main() -> int:
    """0 when it holds, 1 when not, 2 when it could not be done."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    chosen = parser.parse_args()
    try:
        result = soak(chosen.hours, chosen.speed, chosen.seed, chosen.tls, _progress())
    except PigtailError as error:
        print(f"soak: error: {error}", file=sys.stderr)
        return 2
    print("\n".join(told(result)))
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
