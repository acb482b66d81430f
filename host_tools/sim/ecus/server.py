"""What one ECU says to a request, by its services and its memory; how it gets there is another matter."""

from host_tools.sim.ecus import obd, uds
from host_tools.sim.ecus.facts import Facts
from host_tools.sim.ecus.trouble import Memory
from host_tools.sim.ecus.uds import NegativeError

NOT_SUPPORTED = 0x11
# Not told to who asks all: the others would have nothing to say either (ISO 14229-1, 7.5.4).
_UNSAID = (0x11, 0x12, 0x31, 0x7E, 0x7F)
KNOWN = frozenset(obd.SERVICES | uds.SERVICES)


class Server:
    """Of the ECU of these facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._memory = Memory(facts.codes)

    def answer(self, request: bytes, at: float, functional: bool) -> bytes | None:
        """The answer to a request of at least one byte, made at `at`; None: nothing is said."""
        service = request[0]
        try:
            if service not in self._facts.services:
                raise NegativeError(NOT_SUPPORTED)
            handle = obd.SERVICES.get(service) or uds.SERVICES[service]
            return handle(self._facts, self._memory, request, at)
        except NegativeError as negative:
            if functional and negative.nrc in _UNSAID:
                return None
            return bytes([0x7F, service, negative.nrc])
