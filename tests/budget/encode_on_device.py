"""MicroPython's side of host_tools/bench/encode.py: profile, slots. Each line that comes asks for one thing.

The slots come in groups, each u32 ms, u32 number, and so many slots of 16 bytes: what the bus brought by then. `batches MS`
sends all of them through table, sampler and encoder and writes the batches of that length to the file `batches` beside the slots;
`parts MS CHECKPOINT_MS` writes what batches of that length give out at each checkpoint. A record there is u8 stream, u8 number of
the part (bit 7: the last one), u16 length, u32 ms, u32 number of the batch's first sample, u32 samples so far, bytes; the answer
is how many. `decode`, and `whole` with sampler and encoder in batches of 10 s, answer with "µs frames samples" for all groups.
"""

import gc
import struct
import sys
from time import ticks_diff, ticks_us

from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile
from pigtail.signals.table import Table
from pigtail.signals.values import Values

BATCH_MS = 10000
LAST = 128
UTC_OF_BOOT_MS = 1700000000000
VERSIONS = 1, 1
CLOCK_NTP = 2


class Bench:
    def __init__(self, profile_path, slots_path):
        self.profile_path = profile_path
        self.slots_path = slots_path
        self.out = None

    def groups(self):
        with open(self.slots_path, "rb") as f:
            while head := f.read(8):
                ms, n = struct.unpack("<II", head)
                yield ms, f.read(16 * n), n

    def fresh(self, batch_ms):
        profile = Profile(self.profile_path)
        self.values = Values(profile)
        self.table = Table(profile, self.values)
        self.batches = batches(profile, self.values)
        self.sampler = Sampler(profile, self.values, self.batches, lambda ms: ms & 0x0FFFFFFF, batch_ms, self.deliver)
        self.samples = self.records = 0
        self.sampler.start(0)

    def deliver(self, batch):
        self.samples += batch.count
        if self.out is None:
            batch.close(1, CLOCK_NTP, UTC_OF_BOOT_MS, VERSIONS)
        elif batch.parts:
            self.part(batch, LAST)
        else:
            self.write(batch, LAST, batch.close(1, CLOCK_NTP, UTC_OF_BOOT_MS, VERSIONS))

    def part(self, batch, last):
        number = batch.parts
        self.write(batch, number | last, batch.part(1, CLOCK_NTP, UTC_OF_BOOT_MS, VERSIONS))

    def write(self, batch, part, record):
        self.out.write(struct.pack("<BBHIII", batch.stream, part, len(record), self.ms, batch.sequence, batch.count))
        self.out.write(record)
        self.records += 1

    def decode(self, groups):
        table = self.table
        for group in groups:
            slots = group[1]
            i, aside = 0, table.decode(slots, group[2])
            while i < aside:
                i = table.aside.follow(slots, i, aside)

    def whole(self, groups):
        table, sampler = self.table, self.sampler
        for group in groups:
            slots = group[1]
            i, aside = 0, table.decode(slots, group[2])
            while i < aside:
                i = table.aside.follow(slots, i, aside)
                sampler.changes(table.aside.events, table.aside.changed)
            sampler.run(group[0])

    def record(self, batch_ms, checkpoint_ms):
        self.fresh(batch_ms)
        table, sampler = self.table, self.sampler
        due = checkpoint_ms
        told = [0] * len(self.batches)
        with open(self.slots_path[: -len("slots")] + "batches", "wb") as self.out:
            for ms, slots, n in self.groups():
                self.ms = ms
                i, aside = 0, table.decode(slots, n)
                while i < aside:
                    i = table.aside.follow(slots, i, aside)
                    sampler.changes(table.aside.events, table.aside.changed)
                sampler.run(ms)
                if checkpoint_ms and ms >= due:
                    due += checkpoint_ms
                    for k, batch in enumerate(self.batches):
                        now = batch.sequence, batch.count
                        if batch.count and now != told[k]:
                            told[k] = now
                            self.part(batch, 0)
            sampler.start(ms)
        self.out = None
        return self.records

    def timed(self, what):
        groups = list(self.groups())
        self.fresh(BATCH_MS)  # for time does not go back
        action = getattr(self, what)
        gc.collect()
        start = ticks_us()
        action(groups)
        us = ticks_diff(ticks_us(), start)
        self.sampler.start(groups[-1][0])
        return us, sum([n for _, _, n in groups]), self.samples


def main(profile_path, slots_path):
    bench = Bench(profile_path, slots_path)
    while words := sys.stdin.readline().split():
        if words[0] == "batches":
            print(bench.record(int(words[1]), 0))
        elif words[0] == "parts":
            print(bench.record(int(words[1]), int(words[2])))
        else:
            print(*bench.timed(words[0]))


main(*sys.argv[1:])
