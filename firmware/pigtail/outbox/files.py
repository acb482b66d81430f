"""Segments on littlefs, for boards without a partition to spare: one file each.

littlefs keeps of a file what the last flush made of it, so header and payload come into force together.
"""

from micropython import const

_SIZE = const(4096)
_BLANK = b"\xff"


class Files:
    """`count` files `<name><number>`, none of which need be there; `name` is a path."""

    def __init__(self, name: str, count: int, size: int = _SIZE):
        self._name = name
        self.count = count
        self.size = size
        self.holds = False  # what is written waits for `release`
        self._is_lost = False  # some of it could not come into force
        self._end = -1  # of what waits, in the open file
        self._file = None
        self._segment = -1

    def _open(self, segment, mode):
        """The file of `segment`, one at a time; None when it is not there."""
        if self._segment != segment or mode == "w+b":
            self.flush()
            self._close()
            try:
                self._file = open(self._name + str(segment), mode)
            except OSError as error:
                if error.errno != 2 or mode != "r+b":
                    raise
                return None
            self._segment = segment
        return self._file

    def _close(self):
        self._segment = -1
        file, self._file = self._file, None
        if file:
            try:
                file.close()
            except OSError:
                pass  # what could not be written was said when it was flushed

    def read(self, segment: int, offset: int, buf) -> None:
        """Fills `buf`; what was never written is 0xFF."""
        self.flush()
        file, n = self._open(segment, "r+b"), 0
        if file:
            file.seek(offset)
            n = file.readinto(buf)
        for i in range(n, len(buf)):
            buf[i] = 0xFF

    def write(self, segment: int, offset: int, header, payload) -> None:
        """Raises OSError when the flash is full; nothing of it is then in force.
        Where that is after what waits it is no seek: each would cost littlefs a block."""
        file = self._open(segment, "r+b") or self._open(segment, "w+b")
        try:
            end = self._end if self._end >= 0 else file.seek(0, 2)
            if end < offset:  # behind a write that failed
                file.write(_BLANK * (offset - end))
            elif end > offset:
                file.seek(offset)
            file.write(header)
            file.write(payload)
            if self.holds:
                self._end = offset + len(header) + len(payload)
            else:
                file.flush()
        except OSError:
            self._is_lost = self._is_lost or self._end >= 0
            self._end = -1
            self._close()
            raise

    def flush(self) -> None:
        """What waits comes into force; `release` tells when it could not."""
        if self._end >= 0:
            self._end = -1
            try:
                self._file.flush()
            except OSError:
                self._is_lost = True
                self._close()

    def release(self) -> bool:
        """Whether all that was written while it `holds` is in force now."""
        self.flush()
        lost, self.holds, self._is_lost = self._is_lost, False, False
        return not lost

    def erase(self, segment: int) -> None:
        self._open(segment, "w+b").flush()
