"""The time server: what a client reads from it, and what it leaves unanswered."""

import asyncio
import socket

import pytest

from host_tools.sim import sntp

REQUEST = bytes([0x1B]) + bytes(39) + b"mystamp!"  # version 3, client, its own transmit time


def seconds(packet: bytes, at: int) -> float:
    return int.from_bytes(packet[at : at + 8], "big") / (1 << 32) - sntp.NTP_AT_1970


def test_reply_has_the_clock_and_the_clients_own_stamp():
    reply = sntp.answer(REQUEST, 1_767_225_600.25, 1_767_225_600.5)
    assert reply is not None
    assert reply[0] == 3 << 3 | sntp.SERVER
    assert 1 <= reply[1] <= 15  # stratum 0 is a refusal
    assert reply[24:32] == b"mystamp!"
    assert (seconds(reply, 32), seconds(reply, 40)) == (1_767_225_600.25, 1_767_225_600.5)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_reply_is_of_the_requests_version(version):
    reply = sntp.answer(bytes([version << 3 | sntp.CLIENT]) + bytes(47), 0, 0)
    assert reply is not None and reply[0] >> 3 == version


def test_era_ends_in_2036():
    assert sntp.ntp_time((1 << 32) - sntp.NTP_AT_1970 + 1) == 1 << 32


@pytest.mark.parametrize("request_bytes", [
    b"", REQUEST[:47], bytes([0x1C]) + bytes(47), bytes([0x03]) + bytes(47), bytes([0x2B]) + bytes(47),
])  # fmt: skip
def test_malformed_request_is_ignored(request_bytes):
    assert sntp.answer(request_bytes, 0, 0) is None


def test_over_udp_with_a_clock_of_its_own():
    async def ask() -> tuple[bytes, int]:
        async with sntp.start(lambda: 2_000_000_000.0) as responder:
            loop = asyncio.get_running_loop()
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.setblocking(False)
                client.connect(("127.0.0.1", responder.port))
                for request in (b"noise", REQUEST):
                    await loop.sock_sendall(client, request)
                return await loop.sock_recv(client, 100), responder.answered

    reply, answered = asyncio.run(ask())
    assert (seconds(reply, 40), answered) == (2_000_000_000.0, 1)
