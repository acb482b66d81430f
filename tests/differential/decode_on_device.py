"""MicroPython's side of test_decode.py: profile, frames, output. Frames go the firmware's own way, bus to values.

A frame is 16 bytes: u32 id, u8 data length, u8 flags, two spare, data; the id 0xFFFFFFFF asks for raw values and counts.
"""

import struct
import sys
from array import array

from pigtail.can.bus import Bus
from pigtail.signals.profile import Profile
from pigtail.signals.table import Table
from pigtail.signals.values import Values

CANARY = 0x5A5A5A5A


class Can:
    FLAG_RTR, FLAG_EXT_ID = 1, 2

    def __init__(self):
        self.waiting = []

    def recv(self, frame):
        if not self.waiting:
            return None
        frame[0], frame[1], frame[2] = self.waiting.pop(0)
        return frame


def guarded(size):
    """An array of `size` words with canaries on both sides, and a view of the words between."""
    whole = array("i", [CANARY] * 8 + [0] * size + [CANARY] * 8)
    return whole, memoryview(whole)[8 : 8 + size]


def main(profile_path, frames_path, out_path):
    profile = Profile(profile_path)
    values = Values(profile)
    whole, values.raw = guarded(profile.signals)
    can = Can()
    bus, table = Bus(can), Table(profile, values)
    with open(frames_path, "rb") as frames, open(out_path, "wb") as out:
        while True:
            record = frames.read(16)
            if not record:
                break
            ident, size, flags, data = struct.unpack("<IBBxx8s", record)
            if ident != 0xFFFFFFFF:
                can.waiting.append((ident, memoryview(data)[:size], flags))
                if len(can.waiting) < 60:
                    continue
            i, aside = 0, table.decode(bus.slots, bus.drain())
            while i < aside:
                i = table.aside.follow(bus.slots, i, aside)
            if ident == 0xFFFFFFFF:
                out.write(values.raw)
                out.write(struct.pack("<III", bus.received, table.unknown, table.short))
    if list(whole[:8]) + list(whole[-8:]) != [CANARY] * 16:
        raise Exception("written beside the values")


main(*sys.argv[1:])
