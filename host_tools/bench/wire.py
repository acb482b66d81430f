"""What a sample costs on the wire and on flash: ours against what others send, given the very samples that ours holds.

All sizes are those of payloads; what MQTT or TLS adds is left out, also for a message per sample. The goals hold for `two cars`:
as the design's own figures, some 40 real signals of one purpose in batches of 10 s.
"""

from collections.abc import Callable, Iterator

from host_tools.bench import delta, encode, schema, store, text, workload
from host_tools.bench.decode import COMMAND
from host_tools.bench.row import Row
from host_tools.bench.samples import Window
from host_tools.bench.workload import Workload

_Rival = Callable[[Window], list[bytes]]
# the rival, and the goal of its bytes ÷ ours
_RIVALS: dict[str, tuple[_Rival, str | None]] = {
    "JSON a sample": (text.json_per_sample, "≥ 70"),
    "JSON batch": (text.json_batch, None),
    "CBOR batch": (text.cbor_batch, None),
    "delta varints": (delta.varints, None),
    "FleetWise protobuf + snappy": (schema.fleetwise, "≥ 12"),
    "Tesla protobuf": (schema.tesla, "≥ 24"),
}


def rows() -> Iterator[Row]:
    """All workloads that there are."""
    if workload.missing():
        print("wire: the recordings are not in ../shared/data; the generated drive only, without goals")
    else:
        yield from _measure(workload.both(), has_goals=True)
        for one in (workload.shipped(), workload.frs(), workload.kona()):
            yield from _measure(one)
    yield from _measure(workload.demo())


def _measure(one: Workload, has_goals: bool = False) -> Iterator[Row]:
    with encode.device(one) as (running, folder):
        batches = encode.records(running, folder, workload.WINDOW_MS)
        parts = encode.records(running, folder, workload.WINDOW_MS, store.RING_LOG.checkpoint_ms)
    windows = encode.told(one, batches)
    samples = sum(len(window.samples) for window in windows)
    ours = sum(len(record.data) for record in batches)

    def row(what: str, value: float, unit: str = "", goal: str | None = None) -> Row:
        return Row(f"wire: {what}, {one.name}", value, unit, goal if has_goals else None, COMMAND)

    yield row("ours in batches of 10 s", round(ours / samples, 3), "B/sample")
    programmed = store.drive(store.RING_LOG, parts, "up", one.seconds).programmed
    yield row("ours on the ring log, a checkpoint every 1.5 s", round(programmed / samples, 3), "B/sample")
    for name, (rival, goal) in _RIVALS.items():
        yield row(f"{name} ÷ ours", round(_size(rival, windows) / ours, 1), "", goal)
    yield row("ours ÷ xz -9e over delta planes", round(ours / _size(delta.xz_planes, windows), 3), "", "≤ 1.0")


def _size(rival: _Rival, windows: list[Window]) -> int:
    return sum(len(message) for window in windows for message in rival(window))

