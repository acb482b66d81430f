"""CAs: the one that signs the broker's certificate, and the one on this machine that signs the devices'."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from host_tools.config.places import private
from host_tools.errors import InputError
from host_tools.provision import keys

CA_CERTIFICATE, CA_KEY = "ca.pem", "ca.key"
_EARLIER = timedelta(days=1)  # clocks differ
_CA_YEARS = timedelta(days=20 * 365)


def certificate(path: Path) -> bytes:
    """The file (PEM) of a CA, or of several. Raises InputError for what is none, and for what is of no use today."""
    try:
        content = path.read_bytes()
        times = [keys.out_of_time(found) for found in x509.load_pem_x509_certificates(content)]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; name the CA's certificate, PEM, with --ca") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} is no certificate: name the CA's, PEM, with --ca") from None
    if all(times):
        raise InputError(f"{path}: {times[0]}: name the CA's certificate of today with --ca")
    return content


class Authority:
    """A CA in a folder: ca.pem and ca.key. `Authority.new` makes one where there is none."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError where the folder holds no CA."""
        try:
            self.pem = (folder / CA_CERTIFICATE).read_bytes()
            self._certificate = x509.load_pem_x509_certificate(self.pem)
            key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
            of_another = key.public_key() != self._certificate.public_key()
        except OSError as error:
            lacks = f"{folder}: cannot read {CA_CERTIFICATE} and {CA_KEY} of a CA: {error.strerror}"
            raise InputError(f"{lacks}; --new-authority makes them") from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InputError(f"{folder}: {CA_CERTIFICATE} and {CA_KEY} must be PEM, the key without a password") from None
        if of_another:
            raise InputError(f"{folder}: {CA_KEY} is not the key of {CA_CERTIFICATE}")
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise InputError(f"{folder}: {CA_KEY} is neither RSA nor of an elliptic curve, and a device's TLS knows no other")
        self._key = key

    @classmethod
    def new(cls, folder: Path) -> "Authority":
        """A CA of its own in `folder`, which must not hold one."""
        if (folder / CA_KEY).exists() or (folder / CA_CERTIFICATE).exists():
            raise InputError(f"{folder} holds a CA already: devices trust it")
        key, now = keys.new(), datetime.now(UTC)
        name = keys.name("pigtail CA")
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - _EARLIER).not_valid_after(now + _CA_YEARS)
            .add_extension(x509.BasicConstraints(True, 0), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(_usage(of_a_ca=True), True)
        ).sign(key, hashes.SHA256())  # fmt: skip
        private(folder / CA_KEY, keys.pem(key))
        private(folder / CA_CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))
        return cls(folder)

    def has_issued(self, content: bytes) -> bool:
        """Whether this certificate (PEM) is of this CA."""
        try:
            x509.load_pem_x509_certificate(content).verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def check(self, days: int) -> None:
        """Raises InputError where it ends earlier than what it is to issue."""
        if datetime.now(UTC) + timedelta(days=days) > self._certificate.not_valid_after_utc:
            raise InputError(f"the CA is valid until {self._certificate.not_valid_after_utc:%Y-%m-%d}: give fewer --days")

    def issue(self, asked: bytes, days: int) -> bytes:
        """A client's certificate (PEM) on a signing request, valid from yesterday on."""
        asking = x509.load_pem_x509_csr(asked)
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder().subject_name(asking.subject).issuer_name(self._certificate.subject)
            .public_key(asking.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER).not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(False, None), True).add_extension(_usage(of_a_ca=False), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        ).sign(self._key, hashes.SHA256())  # fmt: skip
        return made.public_bytes(serialization.Encoding.PEM)


def _usage(of_a_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not of_a_ca, key_cert_sign=of_a_ca, crl_sign=of_a_ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
