"""TLS for the uplink: what a server is trusted on (SPEC section 6), and one line that says why it was not. Loaded only where the
configuration asks for it. The handshake itself, and all memory for it, is mbedTLS's; uplink/mqtt drives it by reading."""

import io
import tls
from binascii import unhexlify
from hashlib import sha256
from micropython import const
from pigtail.uplink.clock import NONE

# A word of mbedTLS's own text, and what the status says of it.
_REASONS = (
    ("expired", "expired"),
    ("future", "not yet valid"),
    ("does not match", "of another host"),
    ("trusted CA", "not signed by the CA"),
)
_HEADER = const(5)
_ALERT = const(-0x7780)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: it wants another certificate than ours, or one at all


class _Paced(io.IOBase):
    """A socket that, while `paced`, says after each TLS record that nothing more has come: then mbedTLS computes what it must for
    this one, and returns, and the bus is read before the next. It reads exactly what it needs (RFC 8446 section 5.1)."""

    def __init__(self, sock):
        self._sock = sock
        self._left = 0  # bytes of the record
        self._pause = False
        self._begins = b""  # the first bytes, in plain
        self.paced = True

    @property
    def is_web(self) -> bool:
        """What answers speaks HTTP, not TLS."""
        return self._begins[:4] == b"HTTP"

    def readinto(self, buf):
        if self._pause:
            self._pause = False
            return None
        n = self._sock.readinto(buf)
        if n and self.paced:
            self._count(buf, n)
        return n

    def _count(self, buf, n):
        if len(self._begins) < 4:
            self._begins += bytes(buf[:n])
        if self._left:
            self._left -= n
            self._pause = not self._left
        elif n == _HEADER:  # in two pieces it goes uncounted: that is a pause too few
            self._left = buf[3] << 8 | buf[4]

    def write(self, buf):
        return self._sock.write(buf)

    def ioctl(self, request, arg):
        return self._sock.ioctl(request, arg)


class Tls:
    """In place of a `tls.SSLContext`; `config` is the device's, `clock` says whether the time is known."""

    def __init__(self, config, clock):
        self._ca = config["mqtt.ca_file"]
        self._certificate = config["mqtt.cert_file"]
        self._key = config["mqtt.key_file"]
        self._name = config["mqtt.server_name"]
        self._pin = unhexlify(config["mqtt.pin"])
        self._clock = clock
        self._context = None
        self._paced = None
        self.trust = ""  # what the present connection rests on: "ca" or "pin"

    @property
    def ready(self) -> bool:
        """False while nothing can be trusted: certificates need the time, and there is no pinned key to stand in for it."""
        return bool(self._pin) or self._clock.quality != NONE

    @property
    def outdated(self) -> bool:
        """The present connection rests on the pinned key, but the CA's word can be had now."""
        return self.trust == "pin" and not self._by_pin

    @property
    def _by_pin(self):
        return not self._ca or self._clock.quality == NONE

    def wrap_socket(self, sock, server_hostname=None, do_handshake_on_connect=False):
        """A TLS socket over `sock`; ValueError with one line when a file is missing or cannot be used."""
        if not self.ready:
            raise ValueError("time not known")
        name = self._name or server_hostname
        if not name:
            raise ValueError("no host name to check")
        context = self._context = self._context or self._load()
        by_pin = self._by_pin
        self.trust = "pin" if by_pin else "ca"
        context.verify_mode = tls.CERT_NONE if by_pin else tls.CERT_REQUIRED
        self._paced = _Paced(sock)
        return context.wrap_socket(self._paced, server_hostname=name, do_handshake_on_connect=do_handshake_on_connect)

    def _load(self):
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        if self._ca:
            _use(self._ca, context.load_verify_locations, _read(self._ca))
        if self._certificate:
            _use(self._key, context.load_cert_chain, _read(self._certificate), _read(self._key))
        return context

    def check(self, certificate) -> None:
        """After the handshake: `certificate` is the server's, in DER. Raises ValueError when its key is not the pinned one."""
        self._paced.paced = False
        if self.trust == "pin" and sha256(public_key(certificate)).digest() != self._pin:
            raise ValueError("the server's key is not the pinned one")

    def judge(self, error):
        """The uplink's state and one line for an OSError with one of mbedTLS's numbers."""
        return ("portal", "a web server answers") if self._paced.is_web else ("untrusted", self.reason(error))

    @staticmethod
    def reason(error) -> str:
        """One line for a ValueError of a handshake, or for an OSError with one of mbedTLS's numbers."""
        if isinstance(error, OSError):
            return "the broker refuses this device" if error.errno == _ALERT else "TLS error %d" % error.errno
        text = str(error)
        told = [ours for theirs, ours in _REASONS if theirs in text]
        return "certificate " + ", ".join(told) if told else text.strip().split("\n")[0]


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        pass
    raise ValueError(path + " is missing")


def _use(path, load, *contents):
    try:
        return load(*contents)
    except ValueError:
        pass
    raise ValueError(path + " is no PEM or DER that can be used")


def public_key(certificate):
    """The SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1) that mbedTLS has parsed, so that it is whole."""
    at, _ = _element(certificate, 0)  # Certificate
    at, _ = _element(certificate, at)  # TBSCertificate
    if certificate[at] == 0xA0:  # version
        _, at = _element(certificate, at)
    for _ in range(5):  # serial number, signature, issuer, validity, subject
        _, at = _element(certificate, at)
    return certificate[at : _element(certificate, at)[1]]


def _element(der, at):
    """(where the content of the DER element at `at` begins, where it ends)."""
    size, start = der[at + 1], at + 2
    if size > 127:
        start += size & 127
        size = int.from_bytes(der[at + 2 : start], "big")
    return start, start + size
