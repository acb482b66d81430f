"""Fault 30: after a long time without a network, thousands of batches wait."""

from collections import defaultdict
from collections.abc import Callable

import pytest

from host_tools.reader import BatchEvent
from tests.mosquitto.broker import Mosquitto
from tests.mosquitto.drives import Scene, assert_all_came, drive

BATCHES = 10_000


@pytest.mark.timeout(900)
def test_fault_30_ten_thousand_batches_waiting_at_reconnect_drain_in_order_in_bounded_heap(
    mosquitto: Callable[..., Mosquitto]
) -> None:
    came: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    waiting = [0]

    def prepare(scene: Scene) -> None:
        take = scene.simulation.delivered.take

        def noted(event: BatchEvent) -> None:
            came[event.batch.header.boot, event.batch.header.stream].append(event.batch.header.first)
            take(event)

        scene.simulation.delivered.take = noted  # type: ignore[method-assign]

    def count(scene: Scene) -> None:
        waiting[0] = sum(map(len, came.values()))

    report, _ = drive(
        mosquitto(), 820.0, at={808.0: count}, prepare=prepare, speed=20.0, outages=((5.0, 810.0),),
        config={"batch_ms": 100}, flash_size=4 << 20,
    )  # fmt: skip
    assert_all_came(report)
    assert sum(map(len, came.values())) - waiting[0] > BATCHES
    assert all(firsts == sorted(firsts) for firsts in came.values())
    assert report.restarts == 0  # as a MemoryError would make one
