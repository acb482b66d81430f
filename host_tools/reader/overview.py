"""What is known of each device as of now: its status and how old that is, its latest values, what happened last."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from host_tools.reader.batch import Sample
from host_tools.reader.health import Row, health
from host_tools.reader.inbox import BatchEvent, Status
from host_tools.reader.lines import printable, record
from host_tools.reader.table import Latest

LAST = 8  # events shown
LATE_S = 25.0  # age of a status that should come every 10 s


@dataclass
class _Seen:
    """One device. Times are monotonic, in seconds."""

    fields: dict[str, Any] = field(default_factory=dict)
    at: float | None = None
    frames_per_s: float | None = None


class Overview:
    """Takes events of the reader; gives what a terminal shows and what a script reads."""

    def __init__(self) -> None:
        self._devices: dict[str, _Seen] = {}
        self._latest = Latest()
        self._notes: deque[str] = deque(maxlen=LAST)

    def take(self, event: BatchEvent | Status) -> None:
        """A batch or a status came."""
        seen = self._devices.setdefault(event.device, _Seen())
        if isinstance(event, BatchEvent):
            self._latest.take(event)
            return
        seen.frames_per_s = _rate(seen.fields, event.fields)
        seen.fields, seen.at = event.fields, time.monotonic()

    def values(self, device: str, boot: int, samples: Iterable[Sample]) -> None:
        """Samples came in no batch: as of now, by a cable."""
        self._latest.put(device, boot, samples)

    def note(self, line: str) -> None:
        """A line for people; the last few are kept."""
        self._notes.append(line)

    def rows(self, device: str) -> list[Row]:
        """The health of a device, row by row."""
        seen = self._devices[device]
        if seen.at is None:
            return [Row("device", "no status yet: it comes every 10 s", False)]
        age = time.monotonic() - seen.at
        late = age > LATE_S and seen.fields.get("state") == "online"
        return [*health(seen.fields, seen.frames_per_s), Row("status", f"{age:.0f} s old", not late)]

    def plain(self) -> dict[str, object]:
        """All of it for a script: by device `status`, `status_age_s`, `frames_per_s`, `health` and `values`."""
        return {device: self._plain(device) for device in sorted(self._devices)}

    def _plain(self, device: str) -> dict[str, object]:
        seen, now = self._devices[device], time.time()
        values = []
        for boot, sample in self._latest.of(device):
            age_s = None if sample.utc is None else round(now - sample.utc, 3)
            values.append({**record(device, boot, sample), "age_s": age_s})
        return {
            "status": seen.fields,
            "status_age_s": None if seen.at is None else round(time.monotonic() - seen.at, 3),
            "frames_per_s": seen.frames_per_s,
            "health": [row._asdict() for row in self.rows(device)],
            "values": values,
        }

    def render(self) -> Group:
        """What a terminal shows."""
        parts: list[Table | Text] = []
        for device in sorted(self._devices):
            grid = Table.grid(padding=(0, 2))
            for row in self.rows(device):
                style = "green" if row.is_well else "bold red"
                grid.add_row(Text(printable(row.name), "dim"), Text("●", style), Text(printable(row.text)))
            parts += [Text(printable(device), "bold"), grid]
        if not parts:
            parts.append(Text("waiting for a device", "dim"))
        return Group(*parts, Text(), self._latest.table(), Text(), *(Text(printable(line), "dim") for line in tuple(self._notes)))


def _rate(before: dict[str, Any], now: dict[str, Any]) -> float | None:
    """Frames per second between two statuses of a boot; None where they do not tell."""
    (boot, frames, ms), (same, more, later) = _progress(before), _progress(now)
    if boot != same or frames is None or more is None or later <= ms:
        return None
    return round((more - frames) * 1000 / (later - ms), 1)


def _progress(fields: dict[str, Any]) -> tuple[object, int | None, int]:
    """Boot, frames received in it (None where it does not say), its uptime in ms."""
    frames, ms = fields.get("frames"), fields.get("uptime_ms")
    received = frames.get("received") if isinstance(frames, dict) else None
    return fields.get("boot"), received if type(received) is int else None, ms if type(ms) is int else 0
