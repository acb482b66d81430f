"""The uplink's TLS against OpenSSL's: every certificate that must be refused is, with its reason; such a server hears nothing."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from uplink_on_device import outcome

from host_tools.sim.certificates import Authority, Certificate

if not shutil.which("openssl"):
    pytest.skip("certificates are made by openssl, which is not here", allow_module_level=True)

DAY = timedelta(days=1)
LOCAL = "IP:127.0.0.1"


class Server:
    """A broker that takes one connection after another; `heard` is what it got inside TLS, `peer` the client's certificate."""

    def __init__(self, certificate: Certificate, client_ca: Path | None = None, version: ssl.TLSVersion | None = None) -> None:
        self.heard = b""
        self.peer: bytes | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        if version:
            self._context.maximum_version = version
        if client_ca:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(client_ca)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            raw.settimeout(10)
            try:
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    self._talk(connection)
            except OSError:
                continue

    def _talk(self, connection: ssl.SSLSocket) -> None:
        self.peer = connection.getpeercert(True)
        self.heard += connection.recv(4096)
        connection.sendall(b"\x20\2\0\0")
        while data := connection.recv(4096):
            if data[0] == 0x32:
                connection.sendall(b"\x40\2\0\1")
            self.heard += data

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(ca: Authority) -> Certificate:
    return ca.issue("good", LOCAL, "DNS:broker.example")


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        server.close()


def refused(reason: str) -> list[object]:
    return ["untrusted", f"127.0.0.1: untrusted, {reason}", "ca", []]


ONLINE_BY_CA = ["online", "", "ca", [1]]
ONLINE_BY_PIN = ["online", "", "pin", [1]]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_good_certificate_is_trusted(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server], version: ssl.TLSVersion
) -> None:
    servers.append(server := Server(good, version=version))
    assert outcome(tmp_path, server.port, ca=ca.certificate) == ONLINE_BY_CA
    assert b"secret" in server.heard
    assert server.heard.count(bytes(1000)) == 1


def test_name_of_the_server_may_be_another_than_its_address(
    tmp_path: Path, ca: Authority, servers: list[Server]
) -> None:
    servers.append(server := Server(ca.issue("named", "DNS:broker.example")))
    assert outcome(tmp_path, server.port, ca=ca.certificate, server_name="broker.example") == ONLINE_BY_CA


def test_fault_28_certificate_of_another_ca_is_refused(tmp_path: Path, good: Certificate, servers: list[Server]) -> None:
    servers.append(server := Server(good))
    other = Authority(tmp_path / "other")
    assert outcome(tmp_path, server.port, ca=other.certificate) == refused("certificate not signed by the CA")
    assert server.heard == b""


def test_fault_28_expired_certificate_is_refused(tmp_path: Path, ca: Authority, servers: list[Server]) -> None:
    servers.append(server := Server(ca.issue("expired", LOCAL, first=-10 * DAY, last=-DAY)))
    assert outcome(tmp_path, server.port, ca=ca.certificate) == refused("certificate expired")
    assert server.heard == b""


def test_fault_28_certificate_not_yet_valid_is_refused(tmp_path: Path, ca: Authority, servers: list[Server]) -> None:
    servers.append(server := Server(ca.issue("future", LOCAL, first=10 * DAY, last=20 * DAY)))
    assert outcome(tmp_path, server.port, ca=ca.certificate) == refused("certificate not yet valid")
    assert server.heard == b""


@pytest.mark.parametrize("hosts", [["DNS:other.example"], ["IP:127.0.0.2"], []])
def test_fault_28_certificate_of_another_host_or_of_none_is_refused(
    tmp_path: Path, ca: Authority, servers: list[Server], hosts: list[str]
) -> None:
    servers.append(server := Server(ca.issue("other", *hosts)))
    assert outcome(tmp_path, server.port, ca=ca.certificate) == refused("certificate of another host")
    assert server.heard == b""


def test_fault_28_several_faults_are_told_together(tmp_path: Path, ca: Authority, servers: list[Server]) -> None:
    servers.append(server := Server(ca.issue("both", "DNS:x", first=-10 * DAY, last=-DAY)))
    assert outcome(tmp_path, server.port, ca=ca.certificate) == refused("certificate expired, of another host")


def test_mutual_tls_shows_the_device_s_own_certificate(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    own = ca.issue("device")
    servers.append(server := Server(good, client_ca=ca.certificate))
    assert outcome(tmp_path, server.port, ca=ca.certificate, cert=own.certificate, key=own.key) == ONLINE_BY_CA
    assert server.peer == ssl.PEM_cert_to_DER_cert(own.certificate.read_text())


def test_broker_that_wants_a_certificate_and_gets_none_refuses(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    for version in ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2:
        servers.append(server := Server(good, client_ca=ca.certificate, version=version))
        told = outcome(tmp_path, server.port, ca=ca.certificate)
        assert told[3] == []
        if told[0] != "unreachable":  # its reset may be quicker than its alert
            assert told == refused("the broker refuses this device")


def test_fault_28_clock_unknown_and_no_pinned_key_waits_and_says_nothing(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    servers.append(server := Server(good))
    assert outcome(tmp_path, server.port, clock=0, ca=ca.certificate) == ["no_time", "", "", []]
    assert server.heard == b""


def test_fault_28_process_that_starts_in_2000_trusts_the_pinned_key(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    servers.append(server := Server(good))
    in_2000 = {"speed": 2.0, "faketime": "@2000-01-01 00:00:10"}
    assert outcome(tmp_path, server.port, clock=2, ca=ca.certificate, **in_2000) == refused("certificate not yet valid")  # type: ignore[arg-type]
    pinned = {"ca": ca.certificate, "pin": good.key_sha256}
    assert outcome(tmp_path, server.port, clock=0, **pinned, **in_2000) == ONLINE_BY_PIN  # type: ignore[arg-type]


def test_fault_28_clock_unknown_and_another_key_than_the_pinned_is_refused(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    servers.append(server := Server(ca.issue("imposter", LOCAL)))
    state, reason, trust, _ = outcome(tmp_path, server.port, clock=0, ca=ca.certificate, pin=good.key_sha256)
    assert (state, trust) == ("untrusted", "pin")
    assert str(reason).endswith("the server's key is not the pinned one")
    assert server.heard == b""


def test_clock_known_means_that_the_ca_is_asked_whatever_is_pinned(
    tmp_path: Path, ca: Authority, good: Certificate, servers: list[Server]
) -> None:
    servers.append(server := Server(ca.issue("renewed", LOCAL)))
    assert outcome(tmp_path, server.port, ca=ca.certificate, pin=good.key_sha256) == ONLINE_BY_CA
    other = Authority(tmp_path / "other")
    servers.append(server := Server(good))
    told = outcome(tmp_path, server.port, ca=other.certificate, pin=good.key_sha256)
    assert told == refused("certificate not signed by the CA")


def test_pinned_key_without_a_ca_is_enough_at_any_time(tmp_path: Path, good: Certificate, servers: list[Server]) -> None:
    servers.append(server := Server(good))
    for clock in 0, 2:
        assert outcome(tmp_path, server.port, clock=clock, pin=good.key_sha256) == ONLINE_BY_PIN


def test_pin_is_taken_from_certificates_of_other_kinds_of_key_too(tmp_path: Path, servers: list[Server]) -> None:
    made = Certificate(tmp_path / "rsa.pem", tmp_path / "rsa.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN=broker/O={'x' * 60}", "-days", "9"]
    subprocess.run([*command, "-keyout", made.key, "-out", made.certificate], check=True, capture_output=True)
    servers.append(server := Server(made))
    assert outcome(tmp_path, server.port, clock=0, pin=made.key_sha256) == ONLINE_BY_PIN


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_ca_that_is_missing_or_none_is_the_reason(
    tmp_path: Path, good: Certificate, servers: list[Server], content: bytes | None
) -> None:
    servers.append(server := Server(good))
    path = tmp_path / "own-ca.pem"
    if content is not None:
        path.write_bytes(content)
    state, reason, _, _ = outcome(tmp_path, server.port, ca=path, server_name="")
    assert state == "untrusted"
    assert str(reason).endswith("is missing" if content is None else "is no PEM or DER that can be used")


def told_by(plain_words: list[bytes], folder: Path, ca: Authority) -> list[object]:
    """What the uplink says of a server that answers its ClientHello with these, in plain."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        def answer() -> None:
            connection, _ = plain.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, contextlib.suppress(ConnectionResetError):
                connection.recv(4096)
                for words in plain_words:
                    connection.sendall(words)
                    time.sleep(0.1)
                connection.recv(4096)

        threading.Thread(target=answer, daemon=True).start()
        return outcome(folder, plain.getsockname()[1], ca=ca.certificate)


def test_plain_broker_on_the_port_of_tls_is_an_error_not_a_hang(tmp_path: Path, ca: Authority) -> None:
    state, reason, _, _ = told_by([b"\x20\2\0\0" + bytes(40)], tmp_path, ca)
    assert state == "untrusted"
    assert "\n" not in str(reason)


@pytest.mark.parametrize(
    "pieces",
    [[b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n"], [b"HT", b"TP/1.1 400 Bad Request\r\n\r\n"]],
    ids=["whole", "in_pieces"],
)
def test_fault_29_http_answer_to_a_tls_handshake_is_a_captive_portal(tmp_path: Path, ca: Authority, pieces: list[bytes]) -> None:
    state, reason, _, _ = told_by(pieces, tmp_path, ca)
    assert (state, reason) == ("portal", "127.0.0.1: portal, a web server answers")
