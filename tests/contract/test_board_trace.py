"""The witness counts what the firmware takes, as its host reads it, before the outbox can give any of it away."""

from pathlib import Path

from on_device import run

from host_tools.sim.trace import Trace, acknowledged, read

PRELUDE = """
import os, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import _trace
class Batch:
    def __init__(self, stream):
        self.stream, self.sequence, self.count = stream, 0, 0
    def take(self, n):
        self.count += n
    def open(self):
        self.sequence += self.count
        self.count = 0
class Sampler:
    work = None
    def run(self, now_ms):
        if self.work: self.work()
class Outbox:
    def __init__(self, boot, streams, device=None): self.boot = boot + 1  # as where flash knows of later ones
    def append(self, stream, payload, boot, first, count, opened_ms): seen("append")
    def checkpoint(self, stream, part, boot, first, count, is_last=False): seen("checkpoint")
    def acknowledge(self, batch): print("acknowledge", len(open("/run/acked.bin", "rb").read()))
def seen(what):
    from struct import unpack_from
    trace = open("/run/taken.bin", "rb").read()
    print(what, unpack_from("<I", trace, 0)[0], [n for n in unpack_from("<64I", trace, 16) if n])
_trace.watch(Batch, Sampler, Outbox)
sampler, outbox = Sampler(), Outbox(4, [2, 9], device=None)
a, b = Batch(2), Batch(9)
"""


def witness(folder: Path, script: str) -> tuple[list[str], Trace]:
    """What a script on the device printed, and the trace it left."""
    said = run(["-c", PRELUDE + script], RUN=folder).splitlines()
    return said, read(folder / "taken.bin")


def test_every_turn_of_the_sampler_is_noted_with_its_time(tmp_path: Path) -> None:
    script = """
for ms, n in (100, 3), (200, 0), (300, 2):
    sampler.work = lambda: a.take(n)
    sampler.run(ms)
sampler.work = lambda: b.take(1)
sampler.run(400)
"""
    _, trace = witness(tmp_path, script)
    assert trace == Trace(5, 400, {2: 5, 9: 1}, [(2, 3, 100), (2, 5, 300), (9, 1, 400)])
    assert [trace.taken_at(2, sequence) for sequence in (0, 2, 3, 4, 5)] == [100, 100, 300, 300, 400]


def test_boot_is_known_before_anything_is_taken(tmp_path: Path) -> None:
    assert witness(tmp_path, "")[1] == Trace(5)


def test_what_is_appended_is_noted_before_the_outbox_has_it(tmp_path: Path) -> None:
    said, _ = witness(tmp_path, "a.take(7); outbox.append(2, b'', 5, 10, 7, 1234)")
    assert said == ["append 5 [17]"]


def test_checkpoint_is_noted_before_the_outbox_has_it(tmp_path: Path) -> None:
    script = "a.take(7); outbox.checkpoint(2, b'', 5, 0, 7); outbox.checkpoint(2, b'', 5, 0, 9, is_last=True)"
    said, _ = witness(tmp_path, script)
    assert said == ["checkpoint 5 [7]", "checkpoint 5 [9]"]


def test_batch_that_is_closed_in_the_turn_is_counted_once(tmp_path: Path) -> None:
    script = """
def work():
    a.take(7); outbox.append(2, b'', 5, a.sequence, a.count, 0); a.open()
sampler.work = work
sampler.run(10)
sampler.work = lambda: a.take(1)
sampler.run(20)
"""
    _, trace = witness(tmp_path, script)
    assert (trace.boot, trace.taken) == (5, {2: 8})


def test_oldest_rises_are_forgotten_and_the_count_is_not(tmp_path: Path) -> None:
    script = """
sampler.work = lambda: a.take(1)
for ms in range(1, 4098): sampler.run(ms)
"""
    _, trace = witness(tmp_path, script)
    assert trace.taken == {2: 4097} and len(trace.rises) == 4096
    assert trace.rises[0] == (2, 2, 2) and trace.rises[-1] == (2, 4097, 4097)


def test_witness_of_a_turn_takes_nothing_of_the_heap(tmp_path: Path) -> None:
    script = """
import micropython
sampler.run(0)
a.count = 3
micropython.heap_lock()
sampler.run(5)
micropython.heap_unlock()
print("done")
"""
    said, trace = witness(tmp_path, script)
    assert (said, trace.taken) == (["done"], {2: 3})


def test_what_is_acknowledged_is_noted_before_the_outbox_lets_go_in_all_lives(tmp_path: Path) -> None:
    for boot in 5, 6:
        script = f"""
class Waiting:
    boot, stream, first, count = {boot}, 9, 100, 20
outbox.acknowledge(Waiting)
Waiting.first, Waiting.count = 130, 5
outbox.acknowledge(Waiting)
"""
        said, _ = witness(tmp_path, script)
        assert said == [f"acknowledge {32 * (boot - 5) + 16}", f"acknowledge {32 * (boot - 5) + 32}"]
    acked = acknowledged(tmp_path / "acked.bin")
    assert {stream: list(samples) for stream, samples in acked.items()} == {(b, 9): [(100, 120), (130, 135)] for b in (5, 6)}
    assert acknowledged(tmp_path / "nothing.bin") == {}


def test_firmware_that_never_began_left_an_empty_trace(tmp_path: Path) -> None:
    assert read(tmp_path / "taken.bin") == Trace()
