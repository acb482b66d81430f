"""Mounting the outbox: finds what a boot before left on flash, tells the ledger what a power cut may have cost, begins this boot.

Needed only while the device starts; see `once`. Bytes and orders: SPEC, "The outbox on flash".
"""

import os
import struct
from micropython import const
from pigtail.outbox.log import Log
from pigtail.outbox.outbox import CLASSES, HEADER, RESERVED, STREAM, VERSION
from pigtail.outbox.records import TABLE, span

_JOURNAL = const(2)  # segments
_LEAST_SEGMENTS = const(3)
_FILE = const(4096)
_EEXIST = const(17)  # not every port's errno names it
_ENTRY_SIZE = const(10)  # of a segment's table


def mount(outbox, streams, device, segments, files: int, folder: str):
    """Fills `outbox`; see there. Returns its journal, whose next snapshot ends the boot before and begins this one."""
    region, journal, total, size = _on_sectors(device) if device else _on_files(folder, files)
    outbox.ledger.most = max(4, min(64, size // 64))
    snapshot = _Snapshot(journal.read())
    outbox.ledger.ranges = snapshot.ranges
    layout = _layout(total, segments)
    _open_logs(outbox, region, snapshot.layout or layout, snapshot.tails)
    is_empty = not outbox.bytes
    logs = outbox.logs
    last = snapshot.boot or max([boot for log in logs for boot, _, _ in log.ends.values()] or [0])
    if last >= outbox.boot:  # boots are counted on another file system, which was lost
        outbox.boot = last + 1
        outbox.rewind()
    _recover(outbox, last, snapshot)
    if is_empty and outbox.layout != layout:
        number = max([log.end for log in logs]) // logs[0].size + 2
        _open_logs(outbox, region, layout, [number, 0] * CLASSES)
    for stream in streams:
        outbox.stream(stream).reserved = RESERVED
    return journal


def _on_sectors(device):
    """What makes the segments of a log (its class, its first segment, how many), the journal, segments in all, bytes of one."""
    from pigtail.outbox.journal import Journal  # only what the board uses takes room on the heap
    from pigtail.outbox.sectors import Sectors

    def region(i, first, count):
        return Sectors(device, _JOURNAL + first, count)

    return region, Journal(Sectors(device, 0, _JOURNAL)), device.ioctl(4, 0) - _JOURNAL, device.ioctl(5, 0)


def _on_files(folder, files):
    from pair import Pair
    from pigtail.outbox.files import Files

    def region(i, first, count):
        return Files("%s/%d." % (folder, i), count)

    try:
        os.mkdir(folder)
    except OSError as error:
        if error.errno != _EEXIST:
            raise
    return region, Pair(folder + "/journal"), files, _FILE


def _layout(total, segments):
    """Segments of each class."""
    alert = max(_LEAST_SEGMENTS, min(segments[0], total // 4))
    diagnostic = max(_LEAST_SEGMENTS, min(segments[1], total // 4))
    return alert, diagnostic, max(_LEAST_SEGMENTS, total - alert - diagnostic)


def _open_logs(outbox, region, layout, tails):
    outbox.logs = []
    for i in range(CLASSES):
        log = Log(region(i, sum(layout[:i]), layout[i]), outbox.make_room)
        _mount_log(log, tails[2 * i] * log.size + tails[2 * i + 1])
        outbox.logs.append(log)
    outbox.layout = layout
    outbox.rewind()


def _recover(outbox, last, snapshot):
    """The gaps between what is on flash and what was reserved in the boot before."""
    for i, log in enumerate(outbox.logs):
        streams = {s: known for s, known in snapshot.streams.items() if s & 3 == i}
        for stream, (boot, _, _) in log.ends.items():
            if boot == last and stream not in streams:
                streams[stream] = 0, 0, 0
        for stream, (on_flash, settled, reserved) in streams.items():
            boot, count, _ = log.ends.get(stream, (0, 0, 0))
            found = count if boot == last else 0
            if found < on_flash:
                outbox.ledger.add(last, stream, found, on_flash - found, "corrupt")
            if not snapshot.is_clean or found > on_flash:
                begin = max(settled, found)
                end = max(reserved, found + RESERVED if found else 0)
                outbox.ledger.add(last, stream, begin, max(0, end - begin), "power_cut_unflushed")
        _close_boot(log, last, {s: known[0] for s, known in streams.items()})


def _mount_log(log, tail):
    """Finds the log's end. `tail`: what lies before it is done; 0 when that is not known."""
    size, count = log.size, log.segments.count
    numbers = [_number_in(log, place) for place in range(count)]
    tail = tail or min([n for n in numbers if n] or [1]) * size
    newest = max(max(numbers), tail // size - 1)
    while not numbers[(newest + 1) % count] and log.find((newest + 1) * size, (newest + 2) * size) >= 0:
        newest += 1  # its table is damaged, but its records are there
    log.end = (newest + 1) * size
    log.oldest = max(1, newest + 1 - count)
    log.tail = max(tail, log.oldest * size)
    if newest and (newest in numbers or newest >= tail // size):
        _resume(log, newest * size)
    after = (log.end + size - 1) // size * size
    log.is_erased = log.free(after) == after


def _number_in(log, place):
    """Number of the segment that begins in this place, 0 when none does that can be read."""
    return log.start if log.check(place * log.size, 0) and log.start % log.segments.count == place else 0


def _resume(log, at):
    """Goes on in the segment that begins at `at`."""
    end, free = at + log.size, at
    while (at := log.find(at, end)) >= 0:
        free = at + span(log.length)
        if log.stream == TABLE:
            for stream, part, boot, count in log.table(at):
                log.ends[stream] = boot, count, part
        else:
            log.ends[log.stream] = log.boot, log.start + log.count, log.part + 1
        at = free
    log.end = log.fit(min(end, log.free(free)))
    log.tail = min(log.tail, log.end)


def _close_boot(log, boot, counts):
    """Writes down, at the first mount after `boot`, how far its streams came: `counts`, {stream: samples}."""
    changed = False
    for stream, (its_boot, count, part) in log.ends.items():
        if its_boot == boot and part:
            log.ends[stream] = boot, max(count, counts.get(stream, 0)), 0
            changed = True
    room = -log.end % log.size
    if changed and room:
        if room < span(_ENTRY_SIZE * len(log.ends)):
            log.end += room  # the next segment begins with it
        else:
            log.put_table(log.end // log.size)


class _Snapshot:
    """What the journal's newest snapshot says; empty where there is none."""

    def __init__(self, payload):
        self.layout = None
        self.tails = [0, 0] * CLASSES
        self.streams = {}
        self.boot = 0
        self.is_clean = False
        self.ranges = bytearray()
        if payload and payload[0] == VERSION:
            self._read(payload)

    def _read(self, payload):
        fields = struct.unpack_from(HEADER, payload)
        self.is_clean = bool(fields[1])
        self.layout, self.boot, n = fields[2:5], fields[5], fields[12]
        self.tails = fields[6:12]
        at = struct.calcsize(HEADER)
        for _ in range(n):
            stream, on_flash, settled, reserved = struct.unpack_from(STREAM, payload, at)
            self.streams[stream] = on_flash, settled, reserved
            at += struct.calcsize(STREAM)
        self.ranges = bytearray(payload[at:])
