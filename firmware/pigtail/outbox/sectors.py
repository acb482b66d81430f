"""Segments on a raw block device of their own: one erase sector each."""


class Sectors:
    """`count` sectors of `device` (vfs.AbstractBlockDev, extended) from number `first` on."""

    def __init__(self, device, first: int, count: int):
        self._device = device
        self._first = first
        self.count = count
        self.size = device.ioctl(5, 0)

    def read(self, segment: int, offset: int, buf) -> None:
        """Fills `buf`; what was never written is 0xFF."""
        self._device.readblocks(self._first + segment, buf, offset)

    def write(self, segment: int, offset: int, header, payload) -> None:
        """`header`, which makes it count, is programmed when all of `payload` behind it is there."""
        if payload:
            self._device.writeblocks(self._first + segment, payload, offset + len(header))
        self._device.writeblocks(self._first + segment, header, offset)

    def erase(self, segment: int) -> None:
        self._device.ioctl(6, self._first + segment)
