"""MicroPython's side of test_batch.py: profile, walk, output, batch size, batch_ms, flags.

Each line of the walk is JSON: {"heard": [[message, [raw, ...]], ...], "quality": [one a signal, ...],
 "events": [[index, ms, raw], ...], "now": ms}.
The output is the records that the firmware closes, each behind its length as u16.
"""

import json
import struct
import sys
from array import array

from pigtail.outbox.batch import Batch
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile
from pigtail.signals.values import Values

AHEAD = 3 * (1 << 28) - 5000  # `ticks_ms` at boot: the 28 bits of an event's tick wrap after five seconds
BOOT, UTC_OF_BOOT_MS, VERSIONS = 7, 1700000000123, (300, 2)


def tick_of(ms):
    return ms + AHEAD & 0x3FFFFFFF


def take(step, profile, values, sampler):
    for i, quality in enumerate(step["quality"]):
        values.quality[i] = quality
    for m, raw in step["heard"]:
        for i, value in enumerate(raw):
            values.raw[profile.first(m) + i] = value
        values.dirty[m] = 255
    events = array("i")
    for index, ms, raw in step["events"]:
        events.extend(array("i", [index, tick_of(ms) & 0x0FFFFFFF, raw, step["quality"][index]]))
    sampler.changes(events, len(step["events"]))
    sampler.run(step["now"])


def main(profile_path, walk_path, out_path, size, batch_ms, flags):
    profile = Profile(profile_path)
    values = Values(profile)
    batch = Batch(profile, values, int(size))
    with open(out_path, "wb") as out, open(walk_path) as walk:

        def deliver():
            record = batch.close(BOOT, int(flags), UTC_OF_BOOT_MS, VERSIONS)
            out.write(struct.pack("<H", len(record)))
            out.write(record)

        sampler = Sampler(profile, batch, tick_of, int(batch_ms), deliver)
        sampler.start(0)
        for line in walk:
            take(json.loads(line), profile, values, sampler)
        if batch.count:
            deliver()


main(*sys.argv[1:])
