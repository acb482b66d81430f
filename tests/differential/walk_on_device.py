"""MicroPython's side of test_batch.py: profile, walk, output, batch_ms, quality of the clock.

Each line of the walk is JSON: {"heard": [[row, [raw, ...]], ...], "quality": [one a field], "events": [[index, ms, raw], ...],
 "told": [[number of the stream, which, ms, fields], ...], "now": ms, "part": whether every batch gives out a part then}.
The output: u8 kind (0 a part, 1 the last part of a batch of which parts were given out, 2 a whole batch), u8 stream, u16 length,
the bytes.
"""

import json
import struct
import sys
from array import array

from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile
from pigtail.signals.values import Values

AHEAD = 3 * (1 << 28) - 5000  # `ticks_ms` at boot: the 28 bits of an event's tick wrap after five seconds
BOOT, UTC_OF_BOOT_MS, VERSIONS = 7, 1700000000123, (300, 2)
TEXT = -1


def tick_of(ms):
    return ms + AHEAD & 0x3FFFFFFF


def hear(step, profile, values):
    for i, quality in enumerate(step["quality"]):
        values.quality[i] = quality
    for m, raw in step["heard"]:
        for i, value in enumerate(raw):
            values.raw[profile.first(m) + i] = value
        values.dirty[m] = 255


def changes(step):
    events = array("i")
    for index, ms, raw in step["events"]:
        events.extend(array("i", [index, tick_of(ms) & 0x0FFFFFFF, raw, step["quality"][index]]))
    return events


def tell(batch, which, ms, fields):
    if which == TEXT:
        return batch.text(tick_of(ms), *fields)
    return batch.occurrence(tick_of(ms), which, *[bytes(f) if isinstance(f, list) else f for f in fields])


def main(profile_path, walk_path, out_path, batch_ms, clock):
    profile = Profile(profile_path)
    values = Values(profile)
    streams = batches(profile, values)
    how = BOOT, int(clock), UTC_OF_BOOT_MS, VERSIONS
    with open(out_path, "wb") as out, open(walk_path) as walk:

        def write(kind, batch, record):
            out.write(struct.pack("<BBH", kind, batch.stream, len(record)))
            out.write(record)

        def deliver(batch):
            if batch.parts:
                write(1, batch, batch.part(*how))
            write(2, batch, batch.close(*how))

        sampler = Sampler(profile, values, streams, tick_of, int(batch_ms), deliver)
        sampler.start(0)
        for line in walk:
            step = json.loads(line)
            hear(step, profile, values)
            sampler.changes(changes(step), len(step["events"]))
            for number, which, ms, fields in step["told"]:
                while not tell(streams[number], which, ms, fields):
                    sampler._close(streams[number])
            sampler.run(step["now"])
            if step["part"]:
                for batch in streams:
                    if not batch.is_empty:
                        write(0, batch, batch.part(*how))
        for batch in streams:
            if not batch.is_empty:
                deliver(batch)


main(*sys.argv[1:])
