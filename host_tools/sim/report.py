"""The report: every frame and every sample of a simulation accounted for, from what was measured outside the firmware.

Taken is what the witness saw coded into a batch; delivered is what came out at the subscriber; lost is what the device's ledger
told the subscriber; lost after its acknowledgement is what the witness saw acknowledged by a broker that may die and did not hand
it on: one of our own does not die, and nothing excuses it. Nothing is read from the device's own counters.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from host_tools.reader.intervals import Intervals
from host_tools.sim.board import Life, Meter
from host_tools.sim.car import VirtualCar
from host_tools.sim.delivered import Balance, Delivered, Stream
from host_tools.sim.trace import Trace

POWER_CUT = "power_cut_unflushed"
CLASSES = ("alert", "diagnostic", "telemetry")


@dataclass(frozen=True)
class Death:
    """What one end of the firmware's process cost. Times in device seconds."""

    boot: int | None  # None when it ended before it had a number
    cause: str  # power_cut, watchdog, reset, deep_sleep or crash
    at: float
    samples_lost: int  # taken, and ledgered as power_cut_unflushed: gone with the RAM
    lost_by_class: dict[str, int]
    lost_s: float  # from the time at which the first of them was taken to the end
    dark_s: float | None  # from the last delivered sample before it to the first after it


@dataclass(frozen=True)
class Report:
    """What `pigtail sim` writes as JSON. Frames are counted at the controller, samples as the module says."""

    frames_offered: int
    frames_received: int
    frames_dropped: int
    frames_unknown: int
    samples_taken: int
    samples_delivered: int
    samples_accounted_lost: int
    samples_missing: int
    duplicates: int
    bytes_published: int
    bytes_per_sample: float | None
    heap_peak: int
    boot_ms: int
    restarts: int
    device: str
    device_seconds: float
    broker: str
    frames_while_off: int
    frames_fd: int
    duplicates_dropped: int
    lost_by_reason: dict[str, int] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    most_samples_lost: int = 0  # at one death
    most_seconds_lost: float = 0.0  # at one death
    flash: dict[str, dict[str, int]] = field(default_factory=dict)  # chip: what it went through
    undecodable: list[str] = field(default_factory=list)
    lost_after_ack: int = 0  # samples that the broker acknowledged and lost; not in samples_missing
    lost_after_ack_ranges: list[tuple[int, int, int, int]] = field(default_factory=list)  # (boot, stream, first, stop)
    frames_ledgered: int = 0  # of those dropped, as the device's ledger told the subscriber
    frames_ledgered_ranges: list[tuple[int, int, int, int]] = field(default_factory=list)  # (boot, from_ms, to_ms, frames)
    reader_reconnects: int = 0  # how often the subscriber's connection broke and was made anew
    frames_sent: int = 0  # that the device put on the bus
    frames_sent_by_id: dict[str, int] = field(default_factory=dict)  # id in hexadecimal
    frames_answered: int = 0  # of the offered ones, what the ECUs answered and came while the device was on
    acknowledging_from: float | None = None  # device seconds: from then on it may have acknowledged frames; None: never
    alarms: int = 0  # frames to an ECU while that sets off the alarm
    ecus: dict[str, dict[str, int]] = field(default_factory=dict)  # by name: requests asked, answered, …
    power_s: dict[str, float] = field(default_factory=dict)  # seconds in each power state; empty: it always drove

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def balances(
    traces: Sequence[Trace], delivered: Delivered, acknowledged: Mapping[Stream, Intervals] | None = None
) -> dict[Stream, Balance]:
    """The books on each stream of each boot, of which anything was taken or came."""
    taken = {(life.boot, stream): count for life in traces for stream, count in life.taken.items()}
    acked = acknowledged or {}
    return {s: delivered.balance(s, taken.get(s, 0), acked.get(s, ())) for s in taken.keys() | delivered.streams}


def after_ack(books: Mapping[Stream, Balance]) -> list[tuple[int, int, int, int]]:
    """(boot, stream, first, stop) of what was lost after the broker had acknowledged it, in order."""
    return [(*stream, *part) for stream, balance in sorted(books.items()) for part in sorted(balance.after_ack)]


def deaths(
    lives: Sequence[Life], books: Mapping[Stream, Balance], spans: Mapping[int, tuple[int, int]], car: VirtualCar
) -> list[Death]:
    """What each ended life cost. `spans`: for each boot the uptime (ms) of its first and its last delivered sample."""
    result: list[Death] = []
    last_seen: float | None = None  # device seconds
    for life in lives:
        boot, began = life.trace.boot, car.at(life.started)
        if boot in spans:
            if last_seen is not None:
                dark_s = round(began + spans[boot][0] / 1000 - last_seen, 1)
                result = [death if death.dark_s is not None else replace(death, dark_s=dark_s) for death in result]
            last_seen = began + spans[boot][1] / 1000
        if life.ended is not None:
            result.append(_death(life, books, round(car.at(life.ended), 1)))
    return result


def _death(life: Life, books: Mapping[Stream, Balance], at: float) -> Death:
    by_class = Counter[str]()
    lost_ms = 0
    for stream in life.trace.taken:
        for first, stop, reason in books[life.trace.boot, stream].lost:
            if reason == POWER_CUT:
                by_class[CLASSES[stream & 3]] += stop - first
                lost_ms = max(lost_ms, life.trace.now_ms - life.trace.taken_at(stream, first))
    return Death(life.trace.boot or None, life.death, at, by_class.total(), dict(by_class), lost_ms / 1000, None)


def sums(lives: Sequence[Life]) -> Meter:
    """The meters of all lives added up; heap and boot time as their largest."""
    rows = [life.meter for life in lives]
    total = Meter(*(sum(column) for column in zip(*rows, strict=True)))
    return total._replace(heap_peak=max(row.heap_peak for row in rows), boot_ms=max(row.boot_ms for row in rows))


def never_taken(books: Mapping[Stream, Balance]) -> list[str]:
    """One line for each stream of which samples came that the firmware never took: its numbers cannot be trusted."""
    return [
        f"{balance.never_taken} samples came of boot {boot}, stream {stream}, that were never taken"
        for (boot, stream), balance in sorted(books.items())
        if balance.never_taken
    ]
