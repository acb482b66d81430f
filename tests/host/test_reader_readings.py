"""reader/readings: samples one at a time, each with all that it needs."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
from batch_encoder import Encoder

from host_tools.errors import BrokerError
from host_tools.reader import BatchEvent, Reading, Trouble, decode, readings, samples
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal

LABELS = {7: "seven"}
SIGNAL = Signal("Vehicle.Speed", 0, 16, scale=0.5, unit="km/h", labels=LABELS, period_ms=100)
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (SIGNAL,)),))
HASH = identity(pack(PROFILE))
BOOT_UTC_MS = 1_767_225_600_000


def event(clock: int = 2) -> BatchEvent:
    encoder = Encoder(
        PROFILE, HASH, clock=clock, boot=3, first=40, start=1, ticks=2, readings={(1, 0): 7, (2, 0): 90}, utc_ms=BOOT_UTC_MS
    )
    payload = encoder.encode()
    return BatchEvent("kona", decode(payload, PROFILE), len(payload))


class Given:
    """A listener that says what it is given, and then raises what it is given."""

    def __init__(self, *events: object, end: Exception | None = None) -> None:
        self.events, self.end, self.closed = list(events), end, False

    def __aiter__(self) -> "Given":
        return self

    async def __anext__(self) -> object:
        if self.events:
            return self.events.pop(0)
        raise self.end or StopAsyncIteration

    async def aclose(self) -> None:
        self.closed = True


def collect(listener: Any, most: int = 100) -> list[Reading]:
    async def main() -> list[Reading]:
        found: list[Reading] = []
        source: AsyncGenerator[Reading, None] = samples(listener)
        async for reading in source:
            found.append(reading)
            if len(found) == most:
                await source.aclose()
        return found

    return asyncio.run(main())


def test_reading_has_all_that_a_sample_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: BOOT_UTC_MS / 1000 + 5.1)
    first, second = readings(event())
    assert first == Reading(
        device="kona", time=datetime(2026, 1, 1, 0, 0, 0, 100_000, UTC), path="Vehicle.Speed", value=3.5, unit="km/h",
        label="seven", age_s=pytest.approx(5.0), source="broadcast", quality="valid", clock="ntp", boot=3, stream=2, sequence=40,
    )  # fmt: skip
    assert (second.sequence, second.value, second.label, second.age_s) == (41, 45.0, None, pytest.approx(4.9))


def test_reading_without_a_clock_has_neither_time_nor_age() -> None:
    assert [(r.time, r.age_s, r.clock) for r in readings(event(clock=0))] == [(None, None, "none")] * 2


def test_samples_are_those_of_all_batches_and_the_end_is_the_listeners() -> None:
    listener = Given(event(), event(), end=BrokerError("gone"))
    with pytest.raises(BrokerError, match="gone"):
        collect(listener)
    assert listener.closed
    listener = Given(event(), event())
    assert [r.sequence for r in collect(listener)] == [40, 41, 40, 41], "the listener sees to each once"
    assert listener.closed


def test_who_closes_the_samples_closes_the_listener() -> None:
    listener = Given(event(), event())
    assert len(collect(listener, most=1)) == 1
    assert listener.closed


def test_what_could_not_be_read_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="host_tools.reader"):
        assert len(collect(Given(Trouble("kona", "it was cut"), event(), Trouble("", "trying again")))) == 2
    assert [record.getMessage() for record in caplog.records] == ["kona: it was cut", "broker: trying again"]
