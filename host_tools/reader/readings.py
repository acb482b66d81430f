"""Readings: samples with all that is needed to use each on its own, for programs that want values and nothing else.

    async for reading in samples(listen("mqtt://127.0.0.1:1883", "kona")):
        print(reading.path, reading.value, reading.unit)
"""

import logging
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from host_tools.reader.inbox import BatchEvent, Trouble
from host_tools.reader.stream import Listener

_log = logging.getLogger("host_tools.reader")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one signal of one device. (device, boot, stream, sequence) is its identity for ever."""

    device: str
    time: datetime | None  # UTC; None while the device does not know the time
    path: str  # VSS path, or the name that the profile has
    value: float  # physical, in `unit`
    unit: str
    label: str | None  # the name of this value, where the profile has one
    age_s: float | None  # between `time` and when it came here, by this machine's clock; None where `time` is
    source: str  # broadcast, diagnostic, oem_cloud or companion
    quality: str  # valid, out_of_range, stale, bad_counter or bad_checksum
    clock: str  # what `time` rests on: none, rtc, ntp or gnss
    boot: int
    stream: int
    sequence: int


async def samples(listener: Listener) -> AsyncGenerator[Reading, None]:
    """The readings of all batches that come, each once; closing it closes the listener.

    Raises what the listener raises. What it says of anything but samples passes by: of a message that could not be read a
    warning is logged, and `listener.totals` tells at any time what is missing or lost. Iterate over the listener itself
    for gaps, status and occurrences, and use `readings` on its batches.
    """
    async with aclosing(listener):
        async for event in listener:
            if isinstance(event, BatchEvent):
                for reading in readings(event):
                    yield reading
            elif isinstance(event, Trouble):
                _log.warning("%s: %s", event.device or "broker", event.reason)


def readings(event: BatchEvent) -> Iterator[Reading]:
    """The samples of a batch as readings, in their order."""
    now = time.time()
    boot = event.batch.header.boot
    for sample in event.batch.samples:
        yield Reading(
            event.device, None if sample.utc is None else datetime.fromtimestamp(sample.utc, UTC), sample.name, sample.value,
            sample.unit, sample.label, None if sample.utc is None else now - sample.utc, sample.source, sample.quality,
            sample.clock, boot, sample.stream, sample.sequence,
        )  # fmt: skip
