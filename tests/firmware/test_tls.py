"""uplink/tls without a network: what is asked of a server when, the pause after each record of a handshake, the reasons in one
line. The handshakes themselves are in tests/host/test_uplink_tls.py."""

from fakes import Socket
from pigtail.uplink import tls
from pigtail.uplink.clock import NONE, NTP
from runner import raises


class Clock:
    def __init__(self, quality):
        self.quality = quality


def _tls(quality, ca="/ca.pem", pin=""):
    config = {"mqtt.ca_file": ca, "mqtt.pin": pin, "mqtt.cert_file": "", "mqtt.key_file": "", "mqtt.server_name": ""}
    return tls.Tls(config, Clock(quality))


def _record(size):
    return b"\x16\3\3" + bytes([size >> 8, size & 255]) + bytes(size)


def _reads(paced, sizes):
    """What a reader gets that asks for so many bytes, one after the other."""
    return [paced.readinto(bytearray(size)) for size in sizes]


def test_handshake_pauses_after_each_record():
    sock = Socket()
    sock.incoming.extend(_record(300) + _record(7) + _record(5))
    paced = tls._Paced(sock)
    assert _reads(paced, (5, 300, 5, 5, 7, 5, 5, 5, 5)) == [5, 300, None, 5, 7, None, 5, 5, None]


def test_record_that_comes_in_pieces_pauses_at_its_end():
    sock = Socket()
    sock.gives = 100
    sock.incoming.extend(_record(250))
    paced = tls._Paced(sock)
    assert _reads(paced, (5, 250, 150, 50, 5)) == [5, 100, 100, 50, None]


def test_header_in_pieces_costs_a_pause_and_nothing_else():
    sock = Socket()
    sock.gives = 3
    sock.incoming.extend(_record(3) + _record(3))
    paced = tls._Paced(sock)
    assert _reads(paced, (5, 2, 3, 5, 2, 3, 1)) == [3, 2, 3, 3, 2, 3, None]


def test_connection_that_is_made_does_not_pause():
    sock = Socket()
    sock.incoming.extend(_record(30) + _record(30))
    part = _tls(NTP)
    part._paced = paced = tls._Paced(sock)
    part.check(b"certificate")
    assert _reads(paced, (5, 30, 5, 30)) == [5, 30, 5, 30]


def test_end_of_the_connection_comes_through():
    sock = Socket()
    sock.over = True
    assert tls._Paced(sock).readinto(bytearray(5)) == 0


def test_nothing_is_ready_without_time_or_pin():
    assert not _tls(NONE).ready
    assert _tls(NTP).ready
    assert _tls(NONE, pin="ab" * 32).ready
    with raises(ValueError) as caught:
        _tls(NONE).wrap_socket(Socket(), "host")
    assert str(caught.error) == "time not known"


def test_connection_on_a_pin_is_outdated_when_the_clock_is_known_and_there_is_a_ca():
    for ca, outdated in ("/ca.pem", True), ("", False):
        part = _tls(NONE, ca, "ab" * 32)
        assert not part.outdated
        part.trust = "pin"
        assert not part.outdated
        part._clock.quality = NTP
        assert part.outdated == outdated
        part.trust = "ca"
        assert not part.outdated


def test_fault_28_no_host_name_to_check_is_refused():
    part = _tls(NTP)
    part._context = object()
    for name in None, "":
        with raises(ValueError) as caught:
            part.wrap_socket(Socket(), name)
        assert str(caught.error) == "no host name to check"


def test_missing_file_is_named():
    with raises(ValueError) as caught:
        _tls(NTP, "/nowhere/ca.pem").wrap_socket(Socket(), "host")
    assert str(caught.error) == "/nowhere/ca.pem is missing"


def test_reasons_are_one_line():
    cases = (
        (ValueError("\nThe certificate validity has expired\n"), "certificate expired"),
        (ValueError("\nx future\n\nThe certificate is not correctly signed by the trusted CA\n"),
         "certificate not yet valid, not signed by the CA"),
        (ValueError("\nThe certificate is signed with a bad key\nmore"), "The certificate is signed with a bad key"),
        (ValueError(""), ""),
        (OSError(-0x7780), "the broker refuses this device"),
        (OSError(-0x7200, "words"), "TLS error -29184"),
    )  # fmt: skip
    for error, told in cases:
        assert tls.Tls.reason(error) == told


def test_fault_29_http_before_any_record_is_a_captive_portal():
    answer = b"HTTP/1.1 302 Found\r\n"
    cases = (5, answer, "portal"), (1, answer, "portal"), (5, _record(300) + answer, "untrusted"), (5, b"", "untrusted")
    for gives, incoming, state in cases:
        sock = Socket()
        sock.gives = gives
        sock.incoming.extend(incoming)
        part = _tls(NTP)
        part._paced = paced = tls._Paced(sock)
        _reads(paced, [5] * 70)
        told, reason = part.judge(OSError(-0x7200))
        assert (told, reason) == (state, "a web server answers" if state == "portal" else "TLS error -29184")


def test_public_key_is_found_in_certificates_with_and_without_a_version():
    key = b"\x30\x82\1\4" + bytes(260)
    for version in b"", b"\xa0\3\2\1\2":
        fields = version + b"\2\1\1" + b"\x30\2ab" + b"\x30\x81\x80" + bytes(128) + b"\x30\0" + b"\x30\1x" + key + b"\xa3\0"
        inner = b"\x30\x82" + len(fields).to_bytes(2, "big") + fields
        whole = b"\x30\x82" + len(inner).to_bytes(2, "big") + inner + b"tail"
        assert tls.public_key(whole) == key
