"""A NOR flash chip in RAM, for MicroPython: a block device (vfs.AbstractBlockDev, extended) that counts, and that can be cut.

A program may only clear bits; one that would set any is an AssertionError. With `journal` set to a list every operation is
noted there, as (address, bytes) for a program and (address, None) for an erase; `torn` makes of one what a power cut leaves.
"""

import random

PAGE = 256


class Nor:
    def __init__(self, sectors, size=4096, image=None):
        self.size = size
        self.data = bytearray(image) if image else bytearray(b"\xff" * (sectors * size))
        self._view = memoryview(self.data)
        self.journal = None
        self.programmed = 0
        self.erases = [0] * sectors

    def readblocks(self, block, buf, offset=0):
        at = block * self.size + offset
        buf[:] = self._view[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        at = block * self.size + offset
        assert offset + len(buf) <= self.size, "beyond the sector"
        if self.journal is not None:
            self.journal.append((at, bytes(buf)))
        self.programmed += len(buf)
        before = self._view[at : at + len(buf)]
        have, want = int.from_bytes(before, "little"), int.from_bytes(bytes(buf), "little")
        assert have & want == want, "programmed twice"
        before[:] = buf

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.erases)
        if op == 5:
            return self.size
        if op == 6:
            at = arg * self.size
            if self.journal is not None:
                self.journal.append((at, None))
            self.erases[arg] += 1
            self._view[at : at + self.size] = b"\xff" * self.size
        return 0


def apply(image, size, operation):
    at, data = operation
    data = b"\xff" * size if data is None else data
    image[at : at + len(data)] = data


def torn(image, size, operation, way):
    """Changes `image` as `operation` does when the power goes: way 0 not at all, 1 a prefix, 2 a prefix and random bits of what
    was under way, 3 all of it."""
    at, data = operation
    if way == 3:
        apply(image, size, operation)
    if way in (0, 3):
        return
    if data is None:
        end = at + random.randrange(size)
        image[at:end] = b"\xff" * (end - at)
        if way == 2:  # the rest on the way there
            for i in range(end, at + size):
                image[i] |= random.getrandbits(8)
        return
    n = random.randrange(len(data))
    if way == 2:
        n = n // PAGE * PAGE  # pages before are done
    image[at : at + n] = data[:n]
    if way == 2:
        for i in range(n, min(n + PAGE, len(data))):
            image[at + i] &= data[i] | random.getrandbits(8)
