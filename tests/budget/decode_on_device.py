"""MicroPython's side of host_tools/bench/decode.py: profile, slots. Each line that comes asks for one round; each gets an answer.

`decode`, `recv` and `whole` answer with "µs frames": how long they took. `facts` answers with "µs to load the profile; bytes
allocated while all slots were decoded; bytes of the tables; bytes allocated from recv to the open batch".
The frames on the bus come from `len`, a function in C that takes the frame and says yes: what `machine.CAN.recv` costs besides
is the port's.
"""

import gc
import sys
from time import ticks_diff, ticks_us

from pigtail.can.bus import SLOTS, Bus
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile
from pigtail.signals.table import Table
from pigtail.signals.values import Values

FRAMES_PER_MS = 4.3  # of a full bus
PASSES = 20  # of all slots, in one round


class Can:
    FLAG_RTR, FLAG_EXT_ID = 1, 2
    recv = staticmethod(len)


class Bench:
    def __init__(self, profile_path, slots_path):
        start = ticks_us()
        profile = Profile(profile_path)
        self.values = Values(profile)
        self.table = Table(profile, self.values)
        self.load_us = ticks_diff(ticks_us(), start)
        self.profile = profile
        self.rings = []
        with open(slots_path, "rb") as f:
            while ring := f.read(16 * SLOTS):
                self.rings.append(ring)
        self.frames = SLOTS * len(self.rings)
        self.bus = Bus(Can())
        self.closed = 0
        streams = batches(profile, self.values)
        tick_of = lambda ms: 1  # noqa: E731  the tick in all slots: nothing is silent
        self.sampler = Sampler(profile, self.values, streams, tick_of, 2000, self.deliver)
        self.sampler.start(0)
        self.now = 0.0

    def deliver(self, batch):
        self.closed += len(batch.close(1, 0, 0, (0, 0)))

    def decode(self):
        table = self.table
        for k in range(len(self.rings)):
            i, aside = 0, table.decode(self.rings[k], SLOTS)
            while i < aside:
                i = table.aside.follow(self.rings[k], i, aside)

    def recv(self):
        drain = self.bus.drain
        for _ in self.rings:
            drain()

    def whole(self):
        bus, table, sampler = self.bus, self.table, self.sampler
        now = self.now
        for ring in self.rings:
            bus.drain()
            i, aside = 0, table.decode(ring, SLOTS)
            while i < aside:
                i = table.aside.follow(ring, i, aside)
                sampler.changes(table.aside.events, table.aside.changed)
            now += SLOTS / FRAMES_PER_MS
            sampler.run(int(now))
        self.now = now

    def facts(self):
        p = self.profile
        tables = p.rows, p.descriptors, p.classes, p.conditions
        return self.load_us, self._allocated(self.decode), sum([len(t) for t in tables]), self._allocated(self._turn)

    def _turn(self):
        self.bus.drain()
        self.table.decode(self.rings[0], SLOTS)

    def _allocated(self, action):
        action()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        action()
        after = gc.mem_alloc()
        gc.enable()
        return after - before


def main(profile_path, slots_path):
    bench = Bench(profile_path, slots_path)
    while True:
        wanted = sys.stdin.readline().strip()
        if not wanted:
            return
        if wanted == "facts":
            print(*bench.facts())
            continue
        action = getattr(bench, wanted)
        action()  # once before: caches, and what a first call creates
        gc.collect()
        start = ticks_us()
        for _ in range(PASSES):
            action()
        print(ticks_diff(ticks_us(), start), PASSES * bench.frames)


main(*sys.argv[1:])
