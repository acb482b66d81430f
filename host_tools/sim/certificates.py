"""X.509 certificates for brokers that never leave this machine, made by OpenSSL's command: `make size` and the tests use TLS."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from host_tools.errors import SetupError

_CONFIG = """\
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
rand_serial = yes
default_md = sha256
unique_subject = no
email_in_dn = no
policy = any
[any]
commonName = supplied
"""
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate and its private key, both PEM."""

    certificate: Path
    key: Path

    @property
    def key_sha256(self) -> str:
        """SHA-256 of the public key (SubjectPublicKeyInfo, DER) in hex, as the device's configuration pins it."""
        public = _openssl("pkey", "-in", str(self.key), "-pubout", "-outform", "DER")
        return _openssl("dgst", "-sha256", "-r", stdin=public).decode().split()[0]


class Authority:
    """A certificate authority of its own in `folder`; raises SetupError where there is no openssl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.certificate = folder / "ca.pem"
        (folder / "index.txt").touch()
        (folder / "ca.cnf").write_text(_CONFIG.format(folder=folder))
        _openssl("req", "-x509", *_new_key(folder / "ca.key"), "-subj", "/CN=pigtail test CA", "-days", "30",
                 "-out", str(self.certificate))  # fmt: skip

    def issue(self, name: str, *hosts: str, first: timedelta = -_DAY, last: timedelta = 30 * _DAY) -> Certificate:
        """A certificate for `hosts` (as `DNS:name` or `IP:address`), valid from `first` to `last`, both counted from now."""
        made = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName = {','.join(hosts)}\n" if hosts else "basicConstraints = CA:false\n")
        _openssl("req", "-new", *_new_key(made.key), "-subj", f"/CN={name}", "-out", str(request))
        _openssl("ca", "-batch", "-notext", "-config", str(self._folder / "ca.cnf"), "-in", str(request),
                 "-out", str(made.certificate), "-extfile", str(extensions),
                 "-startdate", _time(first), "-enddate", _time(last))  # fmt: skip
        return made


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]


def _time(offset: timedelta) -> str:
    return f"{datetime.now(UTC) + offset:%Y%m%d%H%M%SZ}"


def _openssl(*words: str, stdin: bytes = b"") -> bytes:
    if not shutil.which("openssl"):
        raise SetupError("this machine has no openssl")
    done = subprocess.run(["openssl", *words], input=stdin, capture_output=True)
    if done.returncode:
        raise SetupError(f"openssl {words[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
