"""Real drives through the real firmware: what comes out at the subscriber is what cantools reads in the same frames."""

import asyncio
from collections import defaultdict
from functools import partial
from pathlib import Path

import pytest

from host_tools.paths import VEHICLES
from host_tools.reader import Sample
from host_tools.sim import broker
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from tests.sim.expected import Recording, changes, unseen

DATA = Path(__file__).parents[3] / "shared" / "data"
FRS = Recording(DATA / "frs" / "can_sample.log.gz", DATA / "frs" / "sample_can_spec.dbc")
KONA = Recording(DATA / "kona-ev" / "kona2019_230112-7_pcan0_ccan1.log.gz", DATA / "kona-ev" / "pcan.dbc", "can0")
GENERATED = Recording(None, VEHICLES / "demo-ev.dbc")

TRIES = 3
LATE_S = 0.1  # device seconds, less than what `unseen` takes a sample's time to be off
Samples = dict[str, list[Sample]]

pytestmark = pytest.mark.timeout(900)  # three runs, the last of them at real time

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real recordings are not here: ../shared/data is absent")


def run(recording: Recording, period_ms: int, speed: float = 1.0, **settings: object) -> tuple[Report, Samples]:
    """A run in which nothing was dropped, the best of up to three; in all of them every sample is accounted for.

    A machine that is slow or halts the firmware for a while adds drops and takes none away: one run without any is proof
    that the firmware keeps up. Nor does a run tell anything of times in which the car could not send its frames in time. At
    more than real time each further run is slower, down to real time.
    """
    for attempt in range(TRIES):
        simulation = Simulation(recording.scenario(period_ms, speed=max(1.0, speed / 2**attempt), **settings))
        samples: Samples = defaultdict(list)
        simulation.delivered.on_sample = partial(collect, samples)
        report = asyncio.run(simulation.run())
        assert_books_balance(report)
        if not report.frames_dropped + report.samples_accounted_lost + (simulation.car.late > LATE_S):
            break
    assert report.frames_dropped == report.samples_accounted_lost == 0 and simulation.car.late <= LATE_S
    return report, samples


def collect(samples: Samples, _: int, sample: Sample) -> None:
    samples[sample.name].append(sample)


def assert_books_balance(report: Report) -> None:
    assert report.samples_missing == report.duplicates == 0
    assert report.samples_delivered + report.samples_accounted_lost == report.samples_taken > 0
    assert report.restarts == 0 and not report.undecodable
    assert 0 < report.heap_peak <= 128 * 1024
    assert report.frames_sent == 0 and report.acknowledging_from is None  # nobody allowed it


@needs_data
def test_frs_drive_arrives_whole_through_an_outage() -> None:
    report, samples = run(FRS, 1000, speed=4.0, outages=((5.0, 12.0),))
    assert report.frames_offered == report.frames_received == 82_558
    expected = FRS.decoded()
    assert samples.keys() == expected.keys()
    assert unseen(samples, expected, 1.0) == []


@needs_data
def test_kona_capture_arrives_whole_through_an_outage_at_real_time() -> None:
    report, samples = run(KONA, 1000, outages=((3.0, 7.0),))
    assert report.frames_offered == report.frames_received == 24_263
    expected = KONA.decoded()
    carried = {signal.name for signal in KONA.profile(1000).signals}  # all but those of a CAN FD message
    assert samples.keys() == expected.keys() & carried
    assert unseen(samples, expected, 1.0) == []


def test_generated_drive_arrives_whole_through_an_outage() -> None:
    _, samples = run(GENERATED, 500, speed=4.0, seconds=30.0, outages=((10.0, 18.0),))
    expected = GENERATED.decoded(30.0)
    assert samples.keys() == expected.keys()
    assert unseen(samples, expected, 0.5) == []


def test_embedded_broker_does_where_there_is_no_mosquitto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker.mosquitto, "find", lambda: None)
    report, _ = run(GENERATED, 1000, speed=2.0, seconds=10.0, outages=((3.0, 6.0),))
    assert report.broker == "amqtt"


@needs_data
def test_every_change_on_the_bus_is_delivered_once_and_in_order() -> None:
    _, samples = run(FRS, 0, speed=2.0, seconds=12.0)
    expected = {name: changes(values) for name, values in FRS.decoded(12.0).items()}
    assert {name: [s.raw for s in those] for name, those in samples.items()} == expected
