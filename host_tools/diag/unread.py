"""What of an ECU could not be read, beside what could."""

from dataclasses import dataclass

from host_tools.diag import descriptions
from host_tools.diag.firmware import Failure


@dataclass(frozen=True)
class Unread:
    """`what` a mechanic asked for, and why it is not there."""

    what: str
    failure: Failure

    def fields(self) -> dict[str, str]:
        """As JSON."""
        return {"what": self.what, "why": descriptions.failure(self.failure.code, self.failure.nrc)}
