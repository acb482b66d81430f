"""The latest value of each signal with its age, as a table; the live one of `pigtail listen` on a terminal."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from host_tools.reader.batch import Sample
from host_tools.reader.inbox import BatchEvent
from host_tools.reader.lines import Record, origin_text, printable, stream_text, value_text

_BEHIND = 1 << 16


class _Key(NamedTuple):
    device: str
    place: int  # in the profile; behind it for what is no signal
    name: str


class Latest:
    """The latest value of each signal."""

    def __init__(self) -> None:
        self._records: dict[_Key, tuple[int, Record]] = {}  # boot and record

    def take(self, event: BatchEvent) -> None:
        """Takes over the samples of a batch."""
        boot = event.batch.header.boot
        self.put(event.device, boot, event.batch.samples)
        self._records.update((_Key(event.device, _BEHIND, o.name), (boot, o)) for o in event.batch.occurrences)

    def put(self, device: str, boot: int, samples: Iterable[Sample]) -> None:
        """Takes over samples that came in no batch."""
        self._records.update((_Key(device, s.index, s.name), (boot, s)) for s in samples)

    def of(self, device: str) -> Iterator[tuple[int, Record]]:
        """The boot and the record of each signal of a device, in the order of its profile."""
        rows = sorted(self._records.items(), key=lambda row: row[0])
        return (record for key, record in rows if key.device == device)

    def table(self) -> Table:
        """The values as of now, by device and place in the profile."""
        table = Table("device", "signal", "value", "age", "stream", "source", box=None, pad_edge=False)
        now = time.time()
        for key, (_, sample) in sorted(self._records.copy().items(), key=lambda row: row[0]):
            cells = (
                key.device, key.name, value_text(sample), age_text(sample, now), stream_text(sample), origin_text(sample),
            )  # fmt: skip
            table.add_row(*(Text(printable(cell)) for cell in cells))
        return table


class LiveTable:
    """A context manager that keeps the table on the terminal while it is open."""

    def __init__(self, console: Console) -> None:
        self._latest = Latest()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4)

    def __enter__(self) -> "LiveTable":
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: BatchEvent) -> None:
        """Takes over the samples of a batch; the table shows them at its next refresh."""
        self._latest.take(event)

    def note(self, line: str) -> None:
        """Prints a line above the table."""
        self._live.console.print(Text(printable(line)))

    def render(self) -> Table:
        """The table as of now."""
        return self._latest.table()


def age_text(sample: Record, now: float) -> str:
    """Seconds from the sample to `now` (UTC seconds); its time since boot while it has no UTC.

    It says what the device's clock rests on. A device whose clock is ahead of ours (a simulation at a higher speed is) gets
    no negative age.
    """
    if sample.utc is None:
        return f"at {sample.time_ms / 1000:.1f} s since boot"
    age = f"{now - sample.utc:.1f} s" if now >= sample.utc else f"clock {sample.utc - now:.0f} s ahead"
    return f"{age} ({sample.clock})"
