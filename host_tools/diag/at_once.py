"""All ECUs asked with one request, at a functional id of the profile: 7DF, or 18DB33F1 (ISO 15765-4)."""

from dataclasses import dataclass, field

from host_tools.diag.client import Client, Ecu, TooLong
from host_tools.diag.firmware import Failure


@dataclass(frozen=True)
class AtOnce:
    """Asks like a Client, but each question goes to all that `everyone` reaches: the first who is to be asked asks for all. What
    they have to say that has no room in one reply of the device is asked of each by itself."""

    client: Client
    everyone: Ecu
    _told: dict[bytes, dict[str, bytes | Failure] | Failure | None] = field(default_factory=dict)

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        """As `Client.ask`. Who has nothing to say to it keeps silent."""
        if request not in self._told:
            self._told[request] = await self._all(request)
        told = self._told[request]
        if told is None:
            return await self.client.ask(ecu, request)
        answer = told if isinstance(told, Failure) else told.get(ecu.name, Failure("no_answer"))
        if isinstance(answer, Failure):
            raise Failure("silent") if answer.code == "no_answer" else answer
        return answer

    async def _all(self, request: bytes) -> dict[str, bytes | Failure] | Failure | None:
        """What each has to say, by name; why nobody was asked; or None where there is no room for it."""
        try:
            return await self.client.ask_all(self.everyone, request)
        except Failure as failure:
            return failure
        except TooLong:
            return None
