"""Withdrawals: what is announced no more is taken off the broker, once. Loaded only where there is something to take off."""

import os

PATH = "/withdrawn"


class Withdrawn:
    """The speaker for the topics in the file at PATH, which is gone when the last of them is."""

    def __init__(self):
        self._at = 0  # in the file, of what is not yet acknowledged
        self._after = 0
        self._over = False

    def rewind(self) -> None:
        self._at = 0  # it may be another broker

    def told(self) -> None:
        self._at = self._after

    def next(self, now: int):
        if self._over:
            return None
        try:
            with open(PATH, "rb") as f:
                f.seek(self._at)
                topic = f.readline()
            if topic:
                self._after = self._at + len(topic)
                return topic[:-1].decode(), b"", True
            os.remove(PATH)
        except (OSError, ValueError):
            pass  # of the flash, or of a topic that is no text any more; what is left is tried again after the next boot
        self._over = True
