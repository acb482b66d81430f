"""A device's private key, the signing request for it, and what a certificate must be that is to go with it."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.config.places import private
from host_tools.errors import InputError

KEY, REQUEST = "key.pem", "request.csr"  # in the owner's folder
_LOST = "bring it back from a copy, or make a new identity with --replace"


def new() -> ec.EllipticCurvePrivateKey:
    """On P-256, which the ESP32's TLS has."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted: the device could not open it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def kept(folder: Path) -> ec.EllipticCurvePrivateKey:
    """The one in the owner's folder. Raises InputError."""
    path = folder / KEY
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; {_LOST}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"{path} is damaged: {_LOST}")
    return key


def request(key: ec.EllipticCurvePrivateKey, folder: Path, device: str) -> bytes:
    """The signing request (PKCS #10, PEM) in the owner's folder, made where there is none for this key. Raises InputError."""
    path = folder / REQUEST
    try:
        content = path.read_bytes()
        if x509.load_pem_x509_csr(content).public_key() == key.public_key():
            return content
    except (OSError, ValueError, UnsupportedAlgorithm):
        pass  # it holds nothing that the key does not
    made = x509.CertificateSigningRequestBuilder().subject_name(name(device)).sign(key, hashes.SHA256())
    content = made.public_bytes(serialization.Encoding.PEM)
    private(path, content)
    return content


def fitting(path: Path, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate's file (PEM; those of the CAs between may follow) that a broker takes from who has this key. Raises
    InputError for every other one."""
    try:
        content = path.read_bytes()
        first = x509.load_pem_x509_certificates(content)[0]
        fault = _fault(first, key)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; name the device's certificate, PEM, with --cert") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} is no certificate: name the device's, PEM, with --cert") from None
    if fault:
        raise InputError(f"{path}: {fault}")
    return content


def _fault(found: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> str | None:
    """Raises ValueError where it is damaged inside."""
    if found.public_key() != key.public_key():
        return f"is the certificate of another key: have the device's {REQUEST} signed"
    if time := out_of_time(found):
        return f"{time}: have {REQUEST} signed again, and bring that with --cert"
    try:
        uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None
    if {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.isdisjoint(uses):
        return f"is not for a client: have {REQUEST} signed with the extended key usage clientAuth"
    return None


def out_of_time(found: x509.Certificate) -> str | None:
    """Why it is of no use today."""
    now = datetime.now(UTC)
    if now < found.not_valid_before_utc:
        return f"is not valid before {found.not_valid_before_utc:%Y-%m-%d}"
    if now > found.not_valid_after_utc:
        return f"was valid until {found.not_valid_after_utc:%Y-%m-%d}"
    return None


def name(text: str) -> x509.Name:
    """Whose a certificate is."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
