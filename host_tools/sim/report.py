"""The report: every frame and every sample of a simulation accounted for, from what was measured outside the firmware.

Taken is what the trace saw going into the outbox; delivered is what came out at the subscriber; nothing is read from the
device's own counters.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from host_tools.reader import Account
from host_tools.sim.board import Life, Meter
from host_tools.sim.car import VirtualCar

WINDOW = 8  # records that may be under way at once, hence out of order (mqtt.window)
TraceRow = tuple[int, int, int]  # boot, first sequence, count


@dataclass(frozen=True)
class Death:
    """What one end of the firmware's process cost. Times in device seconds."""

    boot: int | None  # None when it ended before its first batch
    cause: str  # power_cut, watchdog, reset or crash
    at: float
    samples_lost: int  # in the RAM outbox, and gone with it
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
    undecodable: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def holes(trace: Sequence[TraceRow], account: Account) -> list[int]:
    """Samples of each trace row that neither came nor are ledgered."""
    return [sum(stop - at for at, stop in account.missing(boot, first, first + count)) for boot, first, count in trace]


def gone(trace: Sequence[TraceRow], account: Account) -> int:
    """Samples that went with the RAM when a boot with these trace rows ended.

    Its outbox held the rows after the last delivered one, and holes among those that could be under way together with
    it. A hole before them a power cut does not explain.
    """
    delivered = [i for i, (boot, first, count) in enumerate(trace) if account.fresh(boot, first, count) == []]
    explained_from = max(0, delivered[-1] - WINDOW + 1) if delivered else 0
    return sum(holes(trace, account)[explained_from:])


def deaths(
    lives: Sequence[Life], trace: Sequence[TraceRow], account: Account, spans: Mapping[int, tuple[int, int]], car: VirtualCar
) -> list[Death]:
    """What each ended life cost. `spans`: for each boot the uptime (ms) of its first and its last delivered sample."""
    result: list[Death] = []
    last_seen: float | None = None  # device seconds
    start = 0
    for life in lives:
        rows = trace[start : life.traced if life.ended else None]
        start += len(rows)
        boot = rows[0][0] if rows else None
        began = car.at(life.started)
        if boot is not None and boot in spans:
            if last_seen is not None:
                dark_s = round(began + spans[boot][0] / 1000 - last_seen, 1)
                result = [death if death.dark_s is not None else replace(death, dark_s=dark_s) for death in result]
            last_seen = began + spans[boot][1] / 1000
        if life.ended is not None:
            result.append(Death(boot, life.death, round(car.at(life.ended), 1), gone(rows, account), None))
    return result


def sums(lives: Sequence[Life]) -> Meter:
    """The meters of all lives added up; heap and boot time as their largest."""
    rows = [life.meter for life in lives]
    total = Meter(*(sum(column) for column in zip(*rows, strict=True)))
    return total._replace(heap_peak=max(row.heap_peak for row in rows), boot_ms=max(row.boot_ms for row in rows))


def lost_by_reason(account: Account) -> Counter[str]:
    """Samples that the device's ledger names and that did not come."""
    return sum((account.lost(boot) for boot in account.boots), Counter())
