"""Name resolution, aside: the one network call that blocks runs in a short-lived thread of its own, one for each purpose, so that
a time server's name that hangs keeps nobody from the broker's."""

import _thread
import errno
import socket
from asyncio import sleep_ms
from micropython import const
from time import ticks_add, ticks_diff, ticks_ms

_RUNNING, _FAILED = const(0), const(255)  # first byte of an answer; else the length of what follows
_ADDRESS = const(64)
BROKER, CLOCK = const(0), const(1)
_running = bytearray(2)


async def resolve(host: str, port: int, timeout_ms: int, purpose: int):
    """Address for `socket.connect`. Raises OSError when there is none in time; a resolver that hangs is left to end by itself."""
    if _is_address(host):
        return socket.getaddrinfo(host, port)[0][-1]
    deadline = ticks_add(ticks_ms(), timeout_ms)
    while _running[purpose]:  # one that hangs from an earlier try
        await _until(deadline)
    answer = bytearray(1 + _ADDRESS)  # each try has its own: one that comes too late is in nobody's way
    _running[purpose] = 1
    try:
        _thread.start_new_thread(_ask, (host, port, answer, purpose))
    except Exception:
        _running[purpose] = 0
        raise
    while answer[0] == _RUNNING:
        await _until(deadline)
    if answer[0] == _FAILED:
        raise OSError(errno.EHOSTUNREACH)
    if answer[1]:
        return bytes(answer[2 : answer[0]])
    return answer[2 : answer[0]].decode(), port


def _is_address(host):
    """What looks only nearly like one is asked for as a name, which may take its time."""
    octets = host.split(".")
    return len(octets) == 4 and all([octet.isdigit() and str(int(octet)) == octet and int(octet) < 256 for octet in octets])


def _ask(host, port, answer, purpose):
    """The thread. Nothing that it makes gets out but bytes in `answer`: a collector may take away objects that change threads."""
    size = _FAILED
    try:
        address = socket.getaddrinfo(host, port)[0][-1]
        raw = not isinstance(address, tuple)  # the Unix port's; the ESP32's is (dotted quad, port)
        text = address if raw else address[0].encode()
        if len(text) < _ADDRESS:
            answer[1] = raw
            answer[2 : 2 + len(text)] = text
            size = 2 + len(text)
    except (OSError, IndexError):
        pass
    finally:
        answer[0] = size  # last: from here on it is read
        _running[purpose] = 0


async def _until(deadline):
    if ticks_diff(deadline, ticks_ms()) <= 0:
        raise OSError(errno.ETIMEDOUT)
    await sleep_ms(20)
