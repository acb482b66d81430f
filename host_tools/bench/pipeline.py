"""The whole way, on the generated drive: what a sample costs on the wire, what the device needs, whether all arrives."""

import asyncio
import json
from collections.abc import Iterator

from host_tools.bench.row import Row
from host_tools.reader import Sample
from host_tools.sim import scenario
from host_tools.sim.run import Simulation

SECONDS, SPEED, OUTAGE = 60.0, 4.0, (20.0, 35.0)
COMMAND = f"pigtail sim --for {SECONDS:g} --speed {SPEED:g} --outage {OUTAGE[0]:g}:{OUTAGE[1]:g}"
HEAP = 128 * 1024


def rows() -> Iterator[Row]:
    """Runs one simulation with an outage in the middle."""
    profile = scenario.profile((), (), 1000, lambda line: None)
    frames = scenario.frames(())
    simulation = Simulation(scenario.Scenario(profile, frames, SPEED, SECONDS, (OUTAGE,)))
    as_json = 0

    def weigh(_: int, sample: Sample) -> None:
        nonlocal as_json
        as_json += len(json.dumps({"name": sample.name, "value": sample.value, "time": sample.utc}))

    simulation.delivered.on_sample = weigh
    report = asyncio.run(simulation.run())
    yield Row("frames dropped at the controller", report.frames_dropped, "frames", "= 0", COMMAND)
    yield Row("samples missing after an outage", report.samples_missing, "samples", "= 0", COMMAND)
    yield Row("samples delivered twice", report.duplicates, "samples", "= 0", COMMAND)
    yield Row("samples delivered", report.samples_delivered, "samples", None, COMMAND)
    yield Row("heap in use after a collection, at most", report.heap_peak, "B", f"≤ {HEAP}", COMMAND)
    yield Row("boot to listening on the bus", report.boot_ms, "ms, Unix port", None, COMMAND)
    yield Row("bytes per sample, as published", report.bytes_per_sample or 0.0, "B", None, COMMAND)
    yield Row("JSON per sample ÷ ours", round(as_json / report.bytes_published, 1), "", None, "make bench")
