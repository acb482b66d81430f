"""Requests and their answers: ISO 14229-1, and ISO 14230-3 and SAE J1979, whose answers have the same form.

One request to one ECU is under way at a time, or one functional one to several. An answer belongs to a request when its service
does, and the identifier where the request has a single one; a request is over with its answer, a negative one, or in time.
"""

from asyncio import sleep_ms
from micropython import const
from pigtail.diag.isotp import Channel, Failure

_NEGATIVE, _BUSY, _PENDING = const(0x7F), const(0x21), const(0x78)
_P2_STAR_MS = const(5000)  # after a response pending
_BUSY_TIMES = const(3)  # how often a request is sent to a server that is busy
_BUSY_MS = const(200)  # what it is given until then
_TURN_MS = const(5)
_AGAIN_MS, _AGAIN_TIMES = const(50), const(40)  # when there is no budget now: 2 s in all
_PASSING = ("ecu_budget", "budget", "queue")
# Bytes behind the service that an answer repeats; of the services in _SEVERAL only when the request has no more than these.
_ECHOED = {
    0x01: 1, 0x02: 2, 0x05: 2, 0x06: 1, 0x09: 1, 0x10: 1, 0x12: 1, 0x19: 1, 0x1A: 1, 0x21: 1, 0x22: 2, 0x3E: 1,
}  # fmt: skip
_SEVERAL = b"\x01\x02\x06\x22"


def answer_to(request) -> bytes:
    """What a positive answer begins with."""
    service = request[0]
    n = 1 + _ECHOED.get(service, 0)
    if service in _SEVERAL and len(request) > n:
        n = 1
    return bytes([service | 0x40]) + request[1:n]


class Server(Channel):
    """An ECU that is asked. `answer_ms`: how long an answer may be in coming (P2)."""

    def __init__(self, ecu, rx_id, rx_prefix=None, block_size=0, st_min=0, pad=0, answer_ms=1000):
        super().__init__(ecu, rx_id, rx_prefix, block_size, st_min, pad)
        self.answer_ms = answer_ms
        self.is_asked = False
        self._service = 0
        self._expected = b""

    def expect(self, request) -> None:
        self._service = request[0]
        self._expected = answer_to(request)

    def wants(self, data, at, size):
        if data[at] == _NEGATIVE:
            return size == 3 and data[at + 1] == self._service
        expected = self._expected
        for i in range(min(size, len(expected))):
            if data[at + i] != expected[i]:
                return False
        return True

    def put_off(self):
        return _P2_STAR_MS if self.head[0] == _NEGATIVE and self.head[2] == _PENDING else 0

    def answer(self) -> bytes:
        """The positive answer; raises Failure."""
        payload = self.payload()
        if payload[0] == _NEGATIVE:
            raise Failure("negative", payload[2])
        if len(payload) < len(self._expected):
            raise Failure("form")
        return payload


class Client:
    """Asks through the gate `guard` and hears through `isotp`, whose `take` is called by whoever reads the bus."""

    def __init__(self, guard, isotp):
        self._guard = guard
        self._isotp = isotp

    async def ask(self, server, request) -> bytes:
        """The positive answer; raises Failure. A busy server is asked again."""
        for time in range(_BUSY_TIMES):
            if time:
                await sleep_ms(_BUSY_MS)
            answer = (await self._exchange(server.ecu, (server,), request))[0]
            if not isinstance(answer, Failure):
                return answer
            if answer.nrc != _BUSY:
                break
        raise answer

    async def ask_all(self, ecu, servers, request):
        """Asks functionally, by the gate's `ecu`: a list with an answer or a Failure for each of `servers`."""
        return await self._exchange(ecu, servers, request)

    def tell(self, server, request) -> None:
        """Sends a request that has no positive answer, such as 3E 80; raises Failure."""
        reason = self._send(server.ecu, server, request)
        if reason:
            raise Failure(reason)
        self._guard.ended(server.ecu)

    async def _exchange(self, ecu, servers, request):
        for server in servers:
            if server.is_asked:
                raise Failure("under_way")
        answers, sent = [None] * len(servers), False
        try:
            for server in servers:
                server.is_asked = True
                server.expect(request)
            await self._send_in_time(ecu, servers, request)
            sent = True
            while None in answers:
                await sleep_ms(_TURN_MS)
                self._collect(servers, answers)
            return answers
        finally:
            if sent:
                self._guard.ended(ecu)
            for server in servers:
                server.is_asked = False
                self._isotp.close(server)

    def _collect(self, servers, answers):
        """Takes what is over, at once, since its buffer may be waited for."""
        for i, server in enumerate(servers):
            if server.is_over and answers[i] is None:
                try:
                    answers[i] = server.answer()
                except Failure as failure:
                    answers[i] = failure
                self._isotp.close(server)

    async def _send_in_time(self, ecu, servers, request):
        for _ in range(_AGAIN_TIMES):
            reason = "budget"
            if self._isotp.has_room():
                for server in servers:
                    self._isotp.open(server, server.answer_ms)
                reason = self._send(ecu, servers[0], request)
            if reason not in _PASSING:
                break
            for server in servers:
                self._isotp.close(server)
            await sleep_ms(_AGAIN_MS)
        if reason:
            raise Failure(reason)

    def _send(self, ecu, server, request):
        """The gate's word: "" when the request is on its way."""
        at = ecu.at
        if len(request) + at > 7:
            return "form"
        frame = bytearray([server.pad] * 8)
        frame[0] = ecu.prefix or 0
        frame[at] = len(request)
        frame[at + 1 : at + 1 + len(request)] = request
        reason = self._guard.send(ecu.tx_id, ecu.is_extended_id, frame)
        if not reason:
            self._isotp.asked()
        return reason
