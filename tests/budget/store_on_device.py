"""MicroPython's side of host_tools/bench/store.py: the outbox over a flash chip in RAM that counts (tests/firmware/nor.py).

`BACK_END records SIZE`: batches of SIZE bytes, each put on flash as it comes and then acknowledged, until the log has gone round;
then as much again, which counts. `BACK_END drive LINK SECONDS BATCH_MS PARTS`: the parts in that file (see encode_on_device.py),
again and again for so long, with the link `up` or `down`, over 1 MiB; `full`: with the link down until some are lost.

Either prints "bytes of payload, bytes programmed, sectors erased, most erases of one sector, ms until the first loss".
"""

import struct
import sys

import vfs
from nor import Nor
from pigtail.outbox.outbox import Outbox

SECTOR = 4096
BYTES_PER_S = 100  # records come at about the rate of the drive's
TELEMETRY = 2
LAST = 128
HEAD = "<BBHIII"
HEAD_SIZE = 16
RING_MS = 10000  # how long a record has waited when it comes


class Flash:
    """`files` of them leave littlefs some room."""

    def __init__(self, back_end, streams, sectors, files):
        self.nor = device = Nor(sectors)
        if back_end == "files":
            vfs.VfsLfs2.mkfs(self.nor)
            vfs.mount(vfs.VfsLfs2(self.nor), "/flash")
            device = None
        # By position: the device's build has shortened names that only others give.
        self.outbox = Outbox(1, streams, device, 4096, (4, 8), files, (1, 1, 1), "/flash/outbox")
        self.lost_ms = 0
        self.zero()

    def zero(self):
        self.payload = self.nor.programmed = 0
        self.nor.erases = [0] * len(self.nor.erases)

    def acknowledge(self):
        while batch := self.outbox.next():
            self.outbox.acknowledge(batch)

    def tell(self):
        erases = self.nor.erases
        print(self.payload, self.nor.programmed, sum(erases), max(erases), self.lost_ms)


def records(flash, size):
    outbox, record = flash.outbox, bytes([i * 37 + 11 & 255 for i in range(size)])
    now = first = 0
    for _ in range(2):
        flash.zero()
        while flash.payload < SECTOR * len(flash.nor.erases):
            now += size * 1000 // BYTES_PER_S
            outbox.reserve(TELEMETRY, first + size)
            outbox.append(TELEMETRY, record, 1, first, size, now - RING_MS)
            outbox.tidy(now)
            flash.acknowledge()
            first += size
            flash.payload += size


def parts(path):
    with open(path, "rb") as f:
        while head := f.read(HEAD_SIZE):
            stream, part, length, ms, first, count = struct.unpack(HEAD, head)
            yield stream, part, ms, first, count, f.read(length)


def drive(flash, link, seconds, batch_ms, path):
    outbox, whole = flash.outbox, memoryview(bytearray(SECTOR))
    now = tidied = 0
    before, size = {}, {}  # of each stream: samples of all turns before, bytes of its open batch
    while now < seconds * 1000 and not (link == "full" and flash.lost_ms):
        turn, end = now, {}
        for stream, part, ms, first, count, data in parts(path):
            now = turn + ms
            while tidied < now:
                tidied += 1000
                outbox.tidy(tidied)
                if link == "up":
                    flash.acknowledge()
            first += before.get(stream, 0)
            end[stream] = first + count
            outbox.reserve(stream, first + count)
            if part != LAST:
                outbox.checkpoint(stream, data, 1, first, count, bool(part & LAST))
            size[stream] = len(data) + (size[stream] if part & ~LAST else 0)
            if part & LAST:
                outbox.append(stream, whole[: size[stream]] if part & ~LAST else data, 1, first, count, now - batch_ms)
            flash.payload += len(data)
            if outbox.dropped_samples and not flash.lost_ms:
                flash.lost_ms = now
        before.update(end)


def main(back_end, what, *rest):
    if what == "records":
        flash = Flash(back_end, (TELEMETRY,), *((32, 16) if back_end == "files" else (64, 0)))
        records(flash, int(rest[0]))
    else:
        link, seconds, batch_ms, path = rest
        flash = Flash(back_end, sorted({part[0] for part in parts(path)}), 256, 200)
        drive(flash, link, int(seconds), int(batch_ms), path)
    flash.tell()


main(*sys.argv[1:])
