"""From the controller to the values, and on into an open batch, nothing is allocated: run with the heap locked."""

import micropython
from fakes import Can
from packed import EXTENDED, Signal, load
from pigtail import uptime
from pigtail.can.bus import Bus
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.table import Table
from pigtail.signals.values import Values

MESSAGES = [
    (0x10, [Signal(0, 8), Signal(8, 32, 500, signed=True), Signal(44, 12, 100, big=True)]),
    (0x20, [Signal(0, 8, 0), Signal(8, 8, 0), Signal(16, 8)]),
    (0x30 | EXTENDED, [Signal(0, 32, stream=5), Signal(32, 8, 0, stream=6), Signal(40, 16, most=9)]),
]
FRAMES = [
    (0x10, b"\xff" * 8), (0x30, b"\xff" * 8, 2), (0x20, b"\1\2\3"), (0x20, b"\2\2\3"), (0x7FF, b""), (0x10, b"\1"),
    (0x20, b"", 1), (0x1FFFFFFF, b"\xff" * 8, 2),
]  # fmt: skip


class Path:
    """The parts as app wires them."""

    def __init__(self):
        profile = load(MESSAGES)
        self.can = Can(FRAMES * 6)
        self.values = Values(profile)
        self.bus = Bus(self.can)
        self.table = Table(profile, self.values)
        self.batches = batches(profile, self.values)
        self.sampler = Sampler(profile, self.values, self.batches, uptime.tick_of, 60000, None)
        self.sampler.start(0)

    def turn(self, now_ms):
        bus, table, sampler = self.bus, self.table, self.sampler
        filled = bus.drain()
        i, aside = 0, table.decode(bus.slots, filled) if filled else 0
        while i < aside:
            i = table.aside.follow(bus.slots, i, aside)
            sampler.changes(table.aside.events, table.aside.changed)
        sampler.run(now_ms)
        return filled


def _locked(action):
    action()  # once before: a first call may create what later calls reuse
    micropython.heap_lock()
    try:
        return action()
    finally:
        micropython.heap_unlock()


def test_hot_path_allocates_nothing():
    path = Path()

    def drain_and_decode():
        path.can.rewind()
        filled = path.bus.drain()
        i, aside = 0, path.table.decode(path.bus.slots, filled)
        while i < aside:
            i = path.table.aside.follow(path.bus.slots, i, aside)
        return filled

    assert _locked(drain_and_decode) == 42
    assert path.values.raw[0] == 255
    assert path.values.raw[6] == -1
    assert (path.table.unknown, path.table.short, path.bus.remote) == (24, 12, 12)


def test_empty_bus_allocates_nothing():
    path = Path()
    path.bus.drain()
    assert _locked(path.bus.drain) == 0


def test_tick_that_stays_in_the_batch_allocates_nothing():
    path = Path()
    now = [0]

    def turn():
        if now[0] % 300:
            path.can.rewind()
        for s in range(len(path.values.quality)):
            path.values.quality[s] = now[0] // 100 & 1
        now[0] += 100
        path.turn(now[0])

    for batch in path.batches:
        assert not batch.count
    for _ in range(4):  # first values, residuals, runs, absence, marks
        _locked(turn)
    for batch in path.batches:
        assert batch.count


def test_uptime_allocates_nothing():
    _locked(uptime.ms)
    _locked(lambda: uptime.tick_of(1000))
