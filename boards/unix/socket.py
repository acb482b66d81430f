"""The ESP32's sockets on the Unix port. Wrapped, not subclassed: a subclass makes `select.poll` report ready at once.

Differences kept: `setblocking(True)` clears a time-out, and a connection cannot be opened while the link is down. Where the host
has made /run/names, every name is the access point's address, as long as `1` is in it; with `0` none is known, and with `?`
the name server says nothing.
"""

import errno
import io
import usocket
from network import link_up
import utime
from usocket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET  # noqa: F401

IPPROTO_TCP = 6
TCP_NODELAY = 1

_AP = "127.0.0.1"
_TURN_MS = 20
_FILENO = 10
_CLOSE = 4
_POLL = 3


def _mapped():
    try:
        from _map import mapped

        return mapped("/run/names")
    except OSError:
        return None


_names = _mapped()


def getaddrinfo(host, port):
    if _names is not None and not host.replace(".", "").isdigit():
        while _names[0] == ord("?"):
            utime.sleep_ms(_TURN_MS)
        if _names[0] == ord("0"):
            raise OSError(-2)
        host = _AP
    return usocket.getaddrinfo(host, port)


class socket(io.IOBase):
    def __init__(self, af=AF_INET, type=SOCK_STREAM, proto=0):
        self._inner = usocket.socket(af, type, proto)

    def connect(self, address):
        if not link_up():
            raise OSError(errno.EHOSTUNREACH)
        self._inner.connect(address)

    def bind(self, address):
        self._inner.bind(address)

    def settimeout(self, seconds):
        self._inner.settimeout(seconds)

    def setblocking(self, flag):
        self._inner.settimeout(None if flag else 0)

    def setsockopt(self, level, option, value):
        if isinstance(value, int):
            value = value.to_bytes(4, "little")
        self._inner.setsockopt(level, option, value)

    def readinto(self, buf, size=-1):
        return self._inner.readinto(buf) if size < 0 else self._inner.readinto(buf, size)

    def read(self, size=-1):
        return self._inner.read(size)

    def recv(self, size):
        return self._inner.recv(size)

    def write(self, buf, size=-1):
        return self._inner.write(buf) if size < 0 else self._inner.write(buf, size)

    def send(self, buf):
        return self._inner.send(buf)

    def sendto(self, buf, address):
        return self._inner.sendto(buf, address)

    def fileno(self):
        return self._inner.fileno()

    def close(self):
        self._inner.close()

    def ioctl(self, request, arg):
        if request == _FILENO:
            return self._inner.fileno()
        if request == _CLOSE:
            self._inner.close()
        return 0
