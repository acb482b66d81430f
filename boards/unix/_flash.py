"""The flash chip: a file behind MicroPython's block device interface (vfs.AbstractBlockDev, extended), with NOR's ways.

Programming only clears bits, erasing sets a block of 4 KiB to ones, and either is in the file as far as it has got: a killed
process is a power cut, torn writes included. What the chip went through is in a file beside it, `PATH.wear`, which the firmware
does not see: u32 programs, bytes programmed, faults (programs that would have had to set a bit), 0.1 ms that a real chip would
have been busy, as many at a time between two looks at the bus at most, 0; erasures of each block. It is as quick as memory here;
a chip's time is that of data sheets, typically: 45 ms for an erase, 0.7 ms for a page of 256 bytes or a part of one.
"""

import errno
import micropython
from micropython import const

from _map import mapped
from _meter import busy

_BLOCK = const(4096)
_COUNTERS = const(6)
_ERASE = const(450)
_PAGE = const(7)


@micropython.viper
def _read(chip: ptr8, at: int, buf: ptr8, n: int):
    i = 0
    while i < n:
        buf[i] = chip[at + i]
        i += 1


@micropython.viper
def _program(chip: ptr8, at: int, buf: ptr8, n: int, wear: ptr32):
    fault = i = 0
    while i < n:
        new = buf[i]
        left = chip[at + i] & new
        if left != new:
            fault = 1
        chip[at + i] = left
        i += 1
    wear[0] += 1
    wear[1] += n
    wear[2] += fault


@micropython.viper
def _erase(chip: ptr32, block: int, wear: ptr32):
    word = block << 10
    end = word + 1024
    while word < end:
        chip[word] = -1
        word += 1
    wear[6 + block] += 1


@micropython.viper
def _spend(wear: ptr32, busy: ptr32, tenths: int):
    wear[3] += tenths
    if busy[1]:
        busy[0] += tenths
        if busy[0] > wear[4]:
            wear[4] = busy[0]


class Flash:
    """`path` is an image of whole blocks."""

    def __init__(self, path):
        self._chip = mapped(path)
        self._blocks = len(self._chip) // _BLOCK
        self._wear = mapped(path + ".wear", 4 * (_COUNTERS + self._blocks))

    def readblocks(self, block, buf, offset=0):
        n = len(buf)
        _read(self._chip, self._at(block, offset, n), buf, n)

    def writeblocks(self, block, buf, offset=None):
        n = len(buf)
        at = self._at(block, offset or 0, n)
        if offset is None:
            for i in range(0, n, _BLOCK):
                self.ioctl(6, block + i // _BLOCK)
        _program(self._chip, at, buf, n, self._wear)
        _spend(self._wear, busy, _PAGE * ((at + n + 255) // 256 - at // 256))

    def _at(self, block, offset, n):
        at = block * _BLOCK + offset
        if not 0 <= at <= self._blocks * _BLOCK - n:
            raise OSError(errno.EINVAL)
        return at

    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK
        if op == 6:
            self._at(arg, 0, _BLOCK)
            _erase(self._chip, arg, self._wear)
            _spend(self._wear, busy, _ERASE)
        return 0
