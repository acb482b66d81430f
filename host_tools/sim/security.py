"""What TLS needs in a simulation: certificates for a broker of our own, or the CA of somebody else's, on broker and device."""

from dataclasses import dataclass, field
from pathlib import Path

from host_tools.errors import InputError
from host_tools.reader import Trust
from host_tools.reader.connection import Address
from host_tools.sim.certificates import Authority, Certificate

SERVER, MUTUAL = "server", "mutual"  # who shows a certificate: the broker, or both
NAME = "broker.pigtail"  # of the access point's end of the way, where the device is to look one up
_CA, _CERTIFICATE, _KEY = "/ca.pem", "/device.pem", "/device.key"  # on the device


@dataclass(frozen=True)
class Security:
    """`certificate` and `client_ca` are the broker's, `config` and `files` the device's."""

    certificate: Certificate | None = None
    client_ca: Path | None = None
    config: dict[str, object] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


def of_our_own(kind: str, folder: Path) -> Security:
    """Fresh certificates for a broker of our own. Raises SetupError without openssl."""
    if not kind:
        return Security()
    authority = Authority(folder / "tls")
    broker = authority.issue("broker", "IP:127.0.0.1", f"DNS:{NAME}")
    config: dict[str, object] = {"mqtt.tls": 1, "mqtt.ca_file": _CA}
    files = {_CA: authority.certificate.read_bytes()}
    if kind != MUTUAL:
        return Security(broker, None, config, files)
    device = authority.issue("device")
    files |= {_CERTIFICATE: device.certificate.read_bytes(), _KEY: device.key.read_bytes()}
    return Security(broker, authority.certificate, config | {"mqtt.cert_file": _CERTIFICATE, "mqtt.key_file": _KEY}, files)


def of_another(address: Address, trust: Trust) -> Security:
    """What the device needs for a broker that runs already: the files that the reader has. Raises InputError without a CA."""
    if not address.tls:
        return Security()
    if trust.ca is None:
        raise InputError(f"the device trusts no CA by itself: name that of {address} with --ca")
    config: dict[str, object] = {"mqtt.tls": 1, "mqtt.ca_file": _CA, "mqtt.server_name": address.host}
    files = {_CA: trust.ca.read_bytes()}
    if trust.certificate and trust.key:
        config |= {"mqtt.cert_file": _CERTIFICATE, "mqtt.key_file": _KEY}
        files |= {_CERTIFICATE: trust.certificate.read_bytes(), _KEY: trust.key.read_bytes()}
    return Security(config=config, files=files)
