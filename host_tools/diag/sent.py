"""What the gate let through, put together of pages while the device goes on sending."""

from collections.abc import Mapping
from typing import Any

KEPT = 32  # frames that a device keeps of what it sent


class Moved(Exception):
    """The pages do not belong together."""


class Sent:
    """The log as it was at the first reply, `told`. Frames are known by their number since the device started."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.log: list[list[Any]] = [*told["log"]]
        self._count: int = told["sent"]
        self._oldest = self._count - len(self.log)
        self._kept = max(0, self._count - KEPT)

    @property
    def skip(self) -> int | None:
        """What to leave out of the next page, so that the oldest known frame is its newest; None where nothing older is kept."""
        return self._count - self._oldest - 1 if self.log and self._oldest > max(0, self._count - KEPT) else None

    @property
    def overwritten(self) -> int:
        """Frames of the first moment's log that newer ones took the place of before they were read."""
        return self._oldest - self._kept if self.log else 0

    def take(self, skip: int, told: Mapping[str, Any]) -> None:
        """A later reply. Its ages are more by the time that has passed: the frame that is known already tells how much."""
        page, older = told["log"], self._oldest - (told["sent"] - skip - len(told["log"]))
        if told["sent"] < self._count or (older <= 0 and told["sent"] == self._count):
            raise Moved
        self._count = told["sent"]
        if older <= 0:  # so many were sent meanwhile
            return
        if page[older][1:] != self.log[0][1:]:
            raise Moved
        passed_ms = page[older][0] - self.log[0][0]
        self.log[:0] = [[age_ms - passed_ms, *frame] for age_ms, *frame in page[:older]]
        self._oldest -= older
