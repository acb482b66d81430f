"""When each boot of each device was, in UTC: what its batches say of it, and which of them is believed."""

from dataclasses import dataclass, replace

from host_tools.reader.batch import YEAR_10000_MS, Batch
from host_tools.reader.header import CLOCKS, Header


@dataclass(frozen=True, slots=True)
class Clock:
    """What a boot's time rests on: one of CLOCKS, and the UTC in ms since 1970 at which its time was 0; None: not known."""

    quality: str = CLOCKS[0]
    boot_utc_ms: int | None = None

    def utc(self, time_ms: int) -> float | None:
        """UTC seconds since 1970 of a time since boot; None where it is not known, or cannot be written in ISO 8601."""
        utc_ms = None if self.boot_utc_ms is None else self.boot_utc_ms + time_ms
        return None if utc_ms is None or utc_ms >= YEAR_10000_MS else utc_ms / 1000


class Clocks:
    """The clock of every boot, by device. The best quality wins; of two of the same quality, that of the batch recorded
    later in its boot, whichever comes first: so a clock that was set or stepped places what was recorded before as well.
    """

    def __init__(self) -> None:
        self._believed: dict[tuple[str, int], tuple[tuple[int, int], Clock]] = {}

    def learn(self, device: str, header: Header, grid_ms: int) -> None:
        """Takes over what a batch says of its boot; `grid_ms` is its profile's."""
        if header.boot_utc_ms is None:
            return
        rank = CLOCKS.index(header.clock), header.start * grid_ms
        known = self._believed.get((device, header.boot))
        if known is None or rank >= known[0]:
            self._believed[device, header.boot] = rank, Clock(header.clock, header.boot_utc_ms)

    def of(self, device: str, boot: int) -> Clock:
        """What is believed of a boot as of now."""
        known = self._believed.get((device, boot))
        return known[1] if known else Clock()

    def placed(self, device: str, batch: Batch) -> Batch:
        """The batch by the clock that is believed: its header and its samples say that one's quality and UTC."""
        clock = self.of(device, batch.header.boot)
        if (batch.header.clock, batch.header.boot_utc_ms) == (clock.quality, clock.boot_utc_ms):
            return batch
        header = replace(batch.header, clock=clock.quality, boot_utc_ms=clock.boot_utc_ms)
        samples = tuple(replace(s, utc=clock.utc(s.time_ms), clock=clock.quality) for s in batch.samples)
        occurrences = tuple(replace(o, utc=clock.utc(o.time_ms), clock=clock.quality) for o in batch.occurrences)
        return replace(batch, header=header, samples=samples, occurrences=occurrences)
