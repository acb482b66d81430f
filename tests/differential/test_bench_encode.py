"""What the bench measures is what was on the bus: batches of a recording hold the values that cantools finds in its frames."""

from dataclasses import replace

import pytest

from host_tools.bench import encode, workload
from host_tools.bench.samples import Sample
from host_tools.bench.workload import Workload
from host_tools.signals import dbc

SECONDS = 20


def expected(one: Workload) -> set[Sample]:
    """Each period's last value where there is a new one, and every change."""
    database = dbc.load(*one.databases, lambda line: None)
    numbers = {signal.name: n for n, signal in enumerate(one.profile.signals)}
    signals = one.profile.signals
    grid_ms = one.profile.grid_ms
    found: set[Sample] = set()
    raw: dict[int, int] = {}
    fresh: set[int] = set()
    frames = iter([*one.frames, (SECONDS * 1000 + 1, 0, b"")])
    time_ms, key, data = next(frames)
    for tick_ms in range(grid_ms, SECONDS * 1000 + 1, grid_ms):
        while time_ms <= tick_ms:
            message = database.get_message_by_frame_id(key)
            for name, value in message.decode(data, decode_choices=False, scaling=False).items():
                n = numbers.get(f"{message.name}.{name}")
                if n is None:
                    continue
                if signals[n].period_ms == 0 and raw.get(n) != value:
                    found.add(Sample(n, time_ms, int(value)))
                raw[n] = int(value)
                fresh.add(n)
            time_ms, key, data = next(frames)
        due = {n for n in fresh if signals[n].period_ms > 0 and tick_ms % signals[n].period_ms == 0}
        found |= {Sample(n, tick_ms, raw[n]) for n in due}
        fresh -= due
    return found


@pytest.mark.skipif(bool(workload.missing()), reason="the recordings are not in ../shared/data")
def test_batches_of_a_real_drive_hold_what_cantools_finds_in_its_frames() -> None:
    whole = workload.frs()
    one = replace(whole, seconds=SECONDS, frames=tuple(f for f in whole.frames if f[0] <= SECONDS * 1000))
    with encode.device(one) as (running, folder):
        batches = encode.records(running, folder, workload.WINDOW_MS)
        parts = encode.records(running, folder, workload.WINDOW_MS, 1500)
    told = {sample for window in encode.told(one, batches) for sample in window.samples}
    assert told == expected(one)
    assert len(told) > 90 * SECONDS
    assert len(parts) > 2 * len(batches)
