"""The latest values: one raw 32-bit integer a signal, and for each row when it was last heard and what is still unread.

Row m is message m, or one branch of a multiplexed message. `ticks[m]` is of its last frame the low 28 bits of `ticks_ms`
and, above them, the data length, 15 once the row has gone silent; 0 when it was never heard. `dirty[m]` has bit c set while
it brought something that period class c has not been given yet. `quality[s]` is that of a signal (see `signals.quality`).
"""

from array import array
from micropython import const

_LEAST_SILENCE_MS = const(1000)
_DAY_MS = const(86_400_000)


@micropython.viper
def _next_silent(
    row: int, rows: ptr32, row_count: int, classes: ptr8, periods: ptr32, ticks: ptr32, now: int, least: int, day: int
) -> int:  # fmt: skip
    # The next row, from `row` on, that has been silent for three of its periods, and for `least`, or without a period for a
    # day, long before its tick comes round; it is marked so.
    while row < row_count:
        size = int(uint(ticks[row]) >> 28)
        if size and size < 15:
            s = rows[row * 3 + 1] & 0xFFFF
            end = s + (int(uint(rows[row * 3 + 1]) >> 16))
            limit = 0
            while s < end:
                c = int(classes[s]) & 15
                if c < 8 and 3 * periods[c] > limit:
                    limit = 3 * periods[c]
                s += 1
            if not limit:
                limit = day
            if limit < least:
                limit = least
            if ((now - ticks[row]) << 4) >> 4 > limit:
                silent = 15
                ticks[row] = int(ticks[row]) | silent << 28
                return row
        row += 1
    return -1


@micropython.viper
def _taken(dirty: ptr8, n: int, due: int):
    while n:
        n -= 1
        dirty[n] = int(dirty[n]) & (255 ^ due)


class Values:
    def __init__(self, profile):
        self.raw = array("i", bytes(4 * profile.signals))
        self.ticks = array("I", bytes(4 * profile.row_count))
        self.dirty = bytearray(profile.row_count)
        self.quality = bytearray(profile.signals)
        self.judge = None  # a signals.quality.Judge, where the profile has limits or rules
        self._profile = profile

    def messages_heard(self) -> int:
        """How many of the profile's messages have been on this bus since boot."""
        return sum(1 for m in range(self._profile.messages) if self.ticks[m] and not self._profile.is_window(m))

    def taken(self, due: int) -> None:
        """The period classes in the bit mask `due` have been given all that is new."""
        _taken(self.dirty, self._profile.row_count, due)

    def next_silent(self, row: int, tick: int) -> int:
        """The next row, from `row` on, that has gone silent by `tick` since this was asked last; -1 when there is none."""
        p = self._profile
        return _next_silent(row, p.rows, p.row_count, p.classes, p.periods, self.ticks, tick, _LEAST_SILENCE_MS, _DAY_MS)
