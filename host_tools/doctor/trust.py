"""TLS as a device with a given configuration has it (firmware/SPEC.md, section 6), for a client on this machine: it trusts the
device's own CA and the key that is pinned, and shows the device's own certificate."""

import hashlib
import socket
import ssl
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from host_tools.errors import InputError

FILES = "mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file"


class _Socket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        context, certificate = self.context, self.getpeercert(True) or b""
        if isinstance(context, DeviceTls) and context.is_by_pin and key_sha256(certificate) != context.pin:
            error = ssl.SSLCertVerificationError()
            error.verify_message = "its key is not the pinned one"
            raise error


class DeviceTls(ssl.SSLContext):
    """Made by `of`. A handshake ends with SSLCertVerificationError where the device would refuse the broker."""

    server_name = ""
    pin = ""
    is_by_pin = False
    sslsocket_class = _Socket

    @property
    def check_hostname(self) -> bool:  # type: ignore[override]
        """Nobody has to do it for us."""
        return True

    def wrap_socket(self, sock: socket.socket, *more: Any, server_hostname: Any = None, **settings: Any) -> ssl.SSLSocket:
        settings["server_hostname"] = self.server_name or server_hostname
        return super().wrap_socket(sock, *more, **settings)


def of(config: Mapping[str, Any], files: Mapping[str, bytes]) -> DeviceTls:
    """For this configuration; `files` are those that it names, by their keys. Raises InputError where one cannot be used."""
    for key in FILES:
        if config.get(key) and key not in files:
            raise InputError(f"the device trusts no broker while {config[key]} is not there")
    context = DeviceTls(ssl.PROTOCOL_TLS_CLIENT)
    context.server_name, context.pin = str(config.get("mqtt.server_name", "")), str(config.get("mqtt.pin", "")).lower()
    authority, certificate, private = map(files.get, FILES)
    context.is_by_pin = authority is None
    if authority is None:
        ssl.SSLContext.check_hostname.__set__(context, False)  # type: ignore[attr-defined]
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context.load_verify_locations(cadata=authority.decode() if _is_pem(authority) else authority)
        except (ValueError, ssl.SSLError):
            words = f"{config['mqtt.ca_file']} on the device is no certificate: `pigtail provision` with its --ca"
            raise InputError(words) from None
    if certificate and private:
        try:
            _show(context, _as_pem(certificate, "CERTIFICATE"), _as_pem(private, "PRIVATE KEY"))
        except (OSError, ssl.SSLError):
            names = f"{config['mqtt.cert_file']} and {config['mqtt.key_file']}"
            raise InputError(f"{names} on the device are no certificate and its key: `pigtail provision`") from None
    return context


def key_sha256(certificate: bytes) -> str:
    """SHA-256 of the public key of a certificate in DER, as mqtt.pin has it."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(*form)).hexdigest()


def _show(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL takes them as files alone: nobody else can read these, and they are gone at once."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "certificate").write_bytes(certificate)
        Path(folder, "key").write_bytes(key)
        context.load_cert_chain(Path(folder, "certificate"), Path(folder, "key"), lambda: "")


def _is_pem(content: bytes) -> bool:
    return b"-----BEGIN" in content


def _as_pem(content: bytes, kind: str) -> bytes:
    if _is_pem(content):
        return content
    return ssl.DER_cert_to_PEM_cert(content).replace("CERTIFICATE", kind).encode()
