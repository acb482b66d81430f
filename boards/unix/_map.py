"""A file of the host as memory: what is written there is in the file at once, and takes nothing of the firmware's heap."""

import ffi
from uctypes import bytearray_at

_READ_WRITE = 3
_SHARED = 1

_mmap = ffi.open("libc.so.6").func("p", "mmap", "pliiil")


def mapped(path, size=0):
    """The file `path` as a bytearray. It is made, or made longer with zeros, where it does not have `size` bytes."""
    with open(path, "ab" if size else "rb") as file:
        length = file.seek(0, 2)
    with open(path, "r+b") as file:
        if length < size:
            length = size
            file.seek(size - 1)
            file.write(b"\0")
        address = _mmap(None, length, _READ_WRITE, _SHARED, file.fileno(), 0)
    if address == -1:
        raise OSError("cannot map " + path)
    return bytearray_at(address, length)
