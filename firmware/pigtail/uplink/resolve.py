"""Name resolution, aside: the one network call that blocks runs in a short-lived thread of its own."""

import _thread
import errno
import socket
from asyncio import sleep_ms
from time import ticks_add, ticks_diff, ticks_ms

_running = [False]


async def resolve(host: str, port: int, timeout_ms: int):
    """Address for `socket.connect`. Raises OSError when there is none in time; a resolver that hangs is left to end by itself."""
    if host.replace(".", "").isdigit():
        return socket.getaddrinfo(host, port)[0][-1]
    deadline = ticks_add(ticks_ms(), timeout_ms)
    while _running[0]:  # one that hangs from an earlier try
        await _until(deadline)
    answer = [None]  # made here: the thread puts its result there. It allocates, which only a port with a GIL bears well
    _running[0] = True
    try:
        _thread.start_new_thread(_ask, (host, port, answer))
    except Exception:
        _running[0] = False
        raise
    while answer[0] is None:
        await _until(deadline)
    if answer[0] is False:
        raise OSError(errno.EHOSTUNREACH)
    return answer[0]


def _ask(host, port, answer):
    try:
        answer[0] = socket.getaddrinfo(host, port)[0][-1]
    except (OSError, IndexError):
        answer[0] = False
    finally:
        _running[0] = False


async def _until(deadline):
    if ticks_diff(deadline, ticks_ms()) <= 0:
        raise OSError(errno.ETIMEDOUT)
    await sleep_ms(20)
