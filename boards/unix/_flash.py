"""The flash chip: a file behind MicroPython's block device interface (vfs.AbstractBlockDev, extended)."""

from micropython import const

_BLOCK = const(4096)
_ERASED = b"\xff" * _BLOCK


class Flash:
    """`path` is an image of whole 4 KiB blocks; every write reaches the file at once, so a killed process is a power cut."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=None):
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        self._file.seek(block * _BLOCK + offset)
        self._file.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK
        if op == 6:
            self._file.seek(arg * _BLOCK)
            self._file.write(_ERASED)
        return 0
