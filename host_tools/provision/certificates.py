"""A device's key and certificate: a signing request for whoever runs the CA, or a certificate by a CA on this machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.config.places import private
from host_tools.errors import InputError

CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"
_EARLIER = timedelta(days=1)  # clocks differ
_CA_YEARS = timedelta(days=20 * 365)


def new_key() -> ec.EllipticCurvePrivateKey:
    """On P-256, which the ESP32's TLS has."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted: the device could not open it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request(key: ec.EllipticCurvePrivateKey, device: str) -> bytes:
    """A signing request (PKCS #10, PEM) for the device."""
    made = x509.CertificateSigningRequestBuilder().subject_name(_name(device)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def certificate(path: Path) -> bytes:
    """A certificate's file (PEM). Raises InputError for what is none."""
    try:
        content = path.read_bytes()
        x509.load_pem_x509_certificate(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; name the CA's certificate, PEM, with --ca") from None
    except ValueError:
        raise InputError(f"{path} is no certificate: name the CA's, PEM, with --ca") from None
    return content


class Authority:
    """A CA in a folder: ca.pem and ca.key. `Authority.new` makes one where there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder holds no CA."""
        try:
            self.pem = (folder / CA_CERTIFICATE).read_bytes()
            self._certificate = x509.load_pem_x509_certificate(self.pem)
            key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except OSError as error:
            lacks = f"{folder}: cannot read {CA_CERTIFICATE} and {CA_KEY} of a CA: {error.strerror}"
            raise InputError(f"{lacks}; --new-authority makes them") from None
        except (ValueError, TypeError):
            raise InputError(f"{folder}: {CA_CERTIFICATE} and {CA_KEY} must be PEM, the key without a password") from None
        if _spki(key.public_key()) != _spki(self._certificate.public_key()):
            raise InputError(f"{folder}: {CA_KEY} is not the key of {CA_CERTIFICATE}")
        self._key = cast(CertificateIssuerPrivateKeyTypes, key)

    @classmethod
    def new(cls, folder: Path) -> "Authority":
        """A CA of its own in `folder`, which must not hold one."""
        if (folder / CA_KEY).exists() or (folder / CA_CERTIFICATE).exists():
            raise InputError(f"{folder} holds a CA already: devices trust it")
        key, now = new_key(), datetime.now(UTC)
        name = _name("pigtail CA")
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - _EARLIER).not_valid_after(now + _CA_YEARS)
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(_usage(of_a_ca=True), True)
        ).sign(key, hashes.SHA256())  # fmt: skip
        private(folder / CA_KEY, key_pem(key))
        private(folder / CA_CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))
        return cls(folder)

    def issue(self, asked: bytes, days: int) -> bytes:
        """A client's certificate (PEM) on a signing request, valid from yesterday on. Raises InputError for a bad request, and
        where the CA itself ends earlier."""
        asking = x509.load_pem_x509_csr(asked)
        now = datetime.now(UTC)
        if not asking.is_signature_valid or now + timedelta(days=days) > self._certificate.not_valid_after_utc:
            raise InputError(f"the CA is valid until {self._certificate.not_valid_after_utc:%Y-%m-%d}: give fewer --days")
        made = (
            x509.CertificateBuilder().subject_name(asking.subject).issuer_name(self._certificate.subject)
            .public_key(asking.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER).not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(False, None), True).add_extension(_usage(of_a_ca=False), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        ).sign(self._key, hashes.SHA256())  # fmt: skip
        return made.public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _spki(key: object) -> bytes:
    encoded: bytes = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return encoded


def _usage(of_a_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_a_ca, key_cert_sign=of_a_ca, crl_sign=of_a_ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
