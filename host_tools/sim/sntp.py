"""A time server for the simulation: SNTPv4 (RFC 4330) over UDP, with a clock that may run as fast as the device's."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

Clock = Callable[[], float]

NTP_AT_1970 = 2_208_988_800  # seconds from 1900, where NTP counts from, to 1970
CLIENT, SERVER = 3, 4
# flags, stratum, poll, precision, root delay, root dispersion, reference id, reference time, three time stamps
_PACKET = struct.Struct(">BBBbII4sQQQQ")


@dataclass
class Responder:
    """A time server at 127.0.0.1:`port`; `answered` counts the requests it answered."""

    port: int = 0
    answered: int = 0


@asynccontextmanager
async def start(clock: Clock, port: int | None = None) -> AsyncIterator[Responder]:
    """Answers SNTP requests with `clock()`, UTC seconds since 1970, until the block ends.

    Listens on 127.0.0.1:`port`, a free one when None. Raises OSError when the port is in use.
    """
    responder = Responder()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Endpoint(clock, responder), ("127.0.0.1", port or 0)
    )
    responder.port = transport.get_extra_info("sockname")[1]
    try:
        yield responder
    finally:
        transport.close()


def answer(request: bytes, received: float, transmitted: float) -> bytes | None:
    """The reply to a client's request, times in UTC seconds since 1970; None for bytes that are no request."""
    if len(request) < _PACKET.size:
        return None
    flags, _, poll, *_, client_time = _PACKET.unpack_from(request)
    version, mode = flags >> 3 & 7, flags & 7
    if mode != CLIENT or not 1 <= version <= 4:
        return None
    reference = ntp_time(received)
    return _PACKET.pack(
        version << 3 | SERVER, 1, poll, -10, 0, 0, b"SIM\0",
        reference, client_time, reference, ntp_time(transmitted),
    )  # fmt: skip


def ntp_time(utc: float) -> int:
    """A 64-bit NTP time stamp: seconds since 1900 in 32.32 fixed point, of its era."""
    return round((utc + NTP_AT_1970) * (1 << 32)) & (1 << 64) - 1


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, clock: Clock, responder: Responder) -> None:
        self._clock, self._responder = clock, responder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # 3.11's own is not derived from it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(data, self._clock(), self._clock())
        if reply is not None:
            self._responder.answered += 1
            self._transport.sendto(reply, addr)
