"""The uplink: owns reconnecting. While the link is up it resolves, connects and runs a session; when that ends it waits and
tries again, with a jittered back-off that a returning link cuts short. The only place that catches OSError of the network."""

import errno
import random
from asyncio import sleep_ms
from micropython import const
from pigtail.uplink.mqtt import Portal
from pigtail.uplink.resolve import BROKER, resolve
from time import ticks_diff, ticks_ms
from umqtt.simple import MQTTException

_CONNECT_MS = const(10000)
_LEAST_WAIT_MS = const(500)
_MOST_WAIT_MS = const(60000)
_TURN_MS = const(100)
_STEADY_MS = const(30000)
_REFUSED = ("", "protocol version", "client id", "server unavailable", "wrong user name or password", "not authorised")


class _Untrusted(Exception):
    """The TLS handshake ended with a ValueError."""


class Uplink:
    """`new_session()` gives a Session for the connected `client`. `others` are brokers to try, in order, when the client's own
    fails: "host" or "host:port"."""

    def __init__(self, client, link, new_session, others=()):
        self._client = client
        self._link = link
        self._new_session = new_session
        self._brokers = [(client.server, client.port)]
        self._brokers += [_endpoint(text, client.port) for text in others]
        self._broker = 0
        self._wait_ms = _LEAST_WAIT_MS
        self._online_at = None
        self.connects = 0
        self.failures = 0
        self.state = "no_link"  # or no_time, connecting, online, lost; unreachable, portal, untrusted, refused while it waits
        self.reason = ""

    @property
    def up(self) -> bool:
        """For the session, in place of the link's: also down when the connection's trust must be had anew."""
        tls = self._client.ssl
        return self._link.up and not (tls and tls.outdated)

    @property
    def trust(self) -> str:
        """What the connection rests on: "none" without TLS, "ca" or "pin"."""
        return self._client.ssl.trust if self._client.ssl else "none"

    async def run(self, beat) -> None:
        while True:
            while not self._may_connect():
                beat()
                await sleep_ms(_TURN_MS)
            if await self._try(beat):
                await self._back_off(beat)

    def _may_connect(self):
        if not self._link.up:
            self.state = "no_link"
            return False
        if self._client.ssl and not self._client.ssl.ready:
            self.state = "no_time"
            return False
        return True

    async def _try(self, beat):
        """One connection, from its beginning to its end; False when the next broker is to be tried at once."""
        self._online_at = None
        failed = False
        try:
            await self._serve(beat)
        except (OSError, MQTTException, _Untrusted) as error:
            failed = True
            self._note(error)
        finally:
            self._client.close()
            if self.state == "online":
                self.state = "lost"
        if self._online_at is not None and ticks_diff(ticks_ms(), self._online_at) > _STEADY_MS:
            self._wait_ms = _LEAST_WAIT_MS
            failed = False  # a broker that was good for so long is tried first again
        self._broker = (self._broker + 1) % len(self._brokers) if failed else 0
        return not self._broker

    async def _serve(self, beat):
        client = self._client
        client.server, client.port = self._brokers[self._broker]
        self.state = "connecting"
        beat()
        address = await resolve(client.server, client.port, _CONNECT_MS, BROKER)
        beat()
        reason = None
        try:
            await client.open(address, 2 * _CONNECT_MS if client.ssl else _CONNECT_MS)
        except ValueError as error:
            reason = client.ssl.reason(error)
        if reason is not None:
            raise _Untrusted(reason)
        self.connects += 1
        self._online_at = ticks_ms()
        self.state = "online"
        await self._new_session().run(self, beat)

    def _note(self, error):
        self.failures += 1
        told = error.args[0] if error.args else ""
        if isinstance(error, OSError):
            self.state = "unreachable" if self._online_at is None else "lost"
            told = errno.errorcode.get(error.errno, error.errno)
            if self._client.ssl and isinstance(told, int) and told < 0:  # one of mbedTLS's numbers
                self.state, told = self._client.ssl.judge(error)
        elif isinstance(error, Portal):
            self.state, told = "portal", "a web server answers"
        elif isinstance(error, _Untrusted):
            self.state = "untrusted"
        else:
            self.state = "refused"
            if isinstance(told, int):
                told = _REFUSED[told] if told < len(_REFUSED) else "code %d" % told
        self.reason = "%s: %s, %s" % (self._client.server, self.state, told)

    async def _back_off(self, beat):
        left = self._wait_ms // 2 + random.getrandbits(16) * (self._wait_ms // 2) // 65536
        self._wait_ms = min(2 * self._wait_ms, _MOST_WAIT_MS)
        was_up = self._link.up
        while left > 0:
            beat()
            await sleep_ms(_TURN_MS)
            left -= _TURN_MS
            if self._link.up and not was_up:
                self._wait_ms = _LEAST_WAIT_MS
                return
            was_up = self._link.up


def _endpoint(text, port):
    """(host, port) of "host" or "host:port"."""
    host, _, own = text.partition(":")
    return host, int(own) if own else port
