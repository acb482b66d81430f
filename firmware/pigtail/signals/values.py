"""The latest values: one raw 32-bit integer a signal, and for each row when it was last heard and what is still unread.

Row m is message m, or one branch of a multiplexed message. `ticks[m]` is of its last frame the low 28 bits of `ticks_ms`
and, above them, the data length; 0 when it was never heard. `dirty[m]` has bit c set while it brought something that period
class c has not been given yet.
"""

from array import array


class Values:
    def __init__(self, profile):
        self.raw = array("i", bytes(4 * profile.signals))
        self.ticks = array("I", bytes(4 * profile.row_count))
        self.dirty = bytearray(profile.row_count)
        self._messages = profile.messages

    def messages_heard(self) -> int:
        """How many of the profile's messages have been on this bus since boot."""
        return sum(1 for m in range(self._messages) if self.ticks[m])
