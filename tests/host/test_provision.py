"""`pigtail provision`: every secret is made for one device alone, kept for its owner alone, and never overwritten by mistake."""

import itertools
import json
import re
import ssl
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from host_tools import cli
from host_tools.config import firmware
from host_tools.control import read_key
from host_tools.provision import certificates, identity, label

BROKER = "mqtts://broker.example"


@pytest.fixture
def provision(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    """Runs the command without a device; (status, stdout, stderr)."""

    def run(device: str, *words: object, broker: str = BROKER) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            where = ["--offline", "--device", device, "--out", str(tmp_path / "devices"), "--broker", broker]
            cli.main(["provision", *where, *map(str, words)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    """A CA's folder."""
    identity.folder(tmp_path / "ca")
    certificates.Authority.new(tmp_path / "ca")
    return tmp_path / "ca"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_secret_is_of_one_device_alone() -> None:
    made = [identity.new(f"d{n}") for n in range(50)]
    for field in "password", "command_key", "claim":
        assert len({getattr(one, field) for one in made}) == 50
    assert all(len(one.password) >= 32 and re.fullmatch("[0-9a-f]{64}", one.command_key) for one in made)
    assert all(re.fullmatch("([0-9A-HJKMNP-TV-Z]{4}-){2}[0-9A-HJKMNP-TV-Z]{4}", one.claim) for one in made)
    for one in made[:3]:
        firmware.check(one.settings() | {"mqtt.insecure": 1})
        assert one.password not in repr(one) and one.command_key not in repr(one)


def test_owner_copy_is_whole_and_for_the_owner_alone(provision: Any, ca: Path, tmp_path: Path) -> None:
    status, out, err = provision("kona", "--authority", ca)
    assert (status, err) == (0, "") and "identity of kona: made" in out
    folder = tmp_path / "devices" / "kona"
    files = contents(folder)
    assert files.keys() == {
        "identity.json", "command.key", "mqtt.password", "key.pem", "request.csr", "cert.pem", "ca.pem",
        "label.txt", "label.png", "label.svg",
    }  # fmt: skip
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = json.loads(files["identity.json"])
    assert read_key(folder / "command.key").hex() == kept["command_key"]
    assert not [secret for secret in (kept["password"], kept["command_key"]) if secret in out]


def test_label_has_id_and_claim_code_and_no_password(provision: Any, ca: Path, tmp_path: Path) -> None:
    _, out, _ = provision("kona", "--authority", ca)
    made = identity.kept(tmp_path / "devices" / "kona")
    assert made
    files = contents(tmp_path / "devices" / "kona")
    assert files["label.txt"].decode() == f"pigtail\ndevice  kona\nclaim   {made.claim}\n" == out[: len(files["label.txt"])]
    assert label.address(made) == f"pigtail:kona?claim={made.claim}"
    assert files["label.png"].startswith(b"\x89PNG") and b"<svg" in files["label.svg"]
    again = label.address(made)
    assert made.password not in again and made.command_key not in again


def test_certificate_is_the_devices_and_signed_by_the_ca(provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--authority", ca, "--days", "30")
    folder = tmp_path / "devices" / "kona"
    certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    root = x509.load_pem_x509_certificate((ca / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(root)
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.subject.rfc4514_string() == "CN=kona"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 31
    ssl.create_default_context().load_cert_chain(folder / "cert.pem", folder / "key.pem")  # they belong together
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    asked = x509.load_pem_x509_csr((folder / "request.csr").read_bytes())
    assert asked.is_signature_valid and asked.public_key() == key.public_key()


def test_without_a_ca_of_ours_there_is_a_signing_request(provision: Any, ca: Path, tmp_path: Path) -> None:
    assert provision("kona", "--ca", ca / "ca.pem")[0] == 0
    files = contents(tmp_path / "devices" / "kona")
    assert "cert.pem" not in files and files["ca.pem"] == (ca / "ca.pem").read_bytes()
    asked = files["request.csr"]
    assert provision("kona", "--authority", ca)[0] == 0
    files = contents(tmp_path / "devices" / "kona")
    assert files["request.csr"] == asked and b"BEGIN CERTIFICATE" in files["cert.pem"]


def test_identity_is_kept_when_asked_for_again(provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--authority", ca)
    before = contents(tmp_path / "devices" / "kona")
    status, out, _ = provision("kona", "--authority", ca)
    assert status == 0 and "identity of kona: was there" in out
    assert contents(tmp_path / "devices" / "kona") == before


def test_replaced_identity_is_put_aside_and_shares_nothing(provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--authority", ca)
    for _ in range(2):
        assert provision("kona", "--authority", ca, "--replace")[0] == 0
    copies = [contents(tmp_path / "devices" / name) for name in ("kona", "kona.old1", "kona.old2")]
    for one, other in itertools.combinations(copies, 2):
        assert {name for name in one if one[name] == other[name]} == {"ca.pem"}


def test_provisioning_that_was_interrupted_is_taken_up(
    provision: Any, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(label, "write", interrupted)
    assert provision("kona", "--authority", ca)[0] == 130
    monkeypatch.undo()
    status, out, _ = provision("kona", "--authority", ca)
    assert status == 0 and "identity of kona: made" in out and (tmp_path / "devices" / "kona" / "label.png").exists()
    ssl.create_default_context().load_cert_chain(*(tmp_path / "devices" / "kona" / name for name in ("cert.pem", "key.pem")))


@pytest.mark.parametrize(
    ("words", "broker", "says"),
    [
        ([], BROKER, "--broker mqtts://: give --ca FILE, or --authority FOLDER"),
        ([], "mqtt://broker.example", "--broker: anyone could read the device's password"),
        (["--insecure", "--ca", "x"], "mqtt://broker.example", "--ca and --authority are for mqtts://"),
        (["--ca", "{tmp}/nothing.pem"], BROKER, "nothing.pem: cannot be read: No such file or directory; name the CA's"),
        (["--ca", "{tmp}/bad.pem"], BROKER, "{tmp}/bad.pem is no certificate: name the CA's, PEM, with --ca"),
        (["--authority", "{tmp}/ca", "--out", "{tmp}/bad.pem"], BROKER, "Not a directory; name another folder with --out"),
        (["--authority", "{tmp}/bad.pem/x", "--new-authority"], BROKER, "cannot be made: Not a directory; name another folder"),
        (["--authority", "{tmp}/nothing"], BROKER, "ca.key of a CA: No such file or directory; --new-authority makes"),
        (["--authority", "{tmp}/ca", "--new-authority"], BROKER, "{tmp}/ca holds a CA already"),
        (["--authority", "{tmp}/other"], BROKER, "{tmp}/other: ca.key is not the key of ca.pem"),
        (["--authority", "{tmp}/garbage"], BROKER, "{tmp}/garbage: ca.pem and ca.key must be PEM"),
        (["--authority", "{tmp}/ca", "--days", "7000"], BROKER, None),
        (["--new-authority"], BROKER, "--new-authority: give --authority FOLDER"),
        (["--ca", "{tmp}/ca/ca.pem"], "mqtts://me:secret@broker.example", "--broker: give no user"),
        (["--ca", "{tmp}/ca/ca.pem"], "mqtts://" + "x" * 254, "mqtt"),
        (["--ca", "{tmp}/ca/ca.pem", "--port", "/dev/x"], BROKER, "--offline: give --device, and no --port"),
    ],
)
def test_bad_arguments_are_one_line_and_make_nothing(
    words: list[str], broker: str, says: str | None, provision: Any, ca: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.pem").write_text("no")
    another = certificates.key_pem(certificates.new_key())
    for name, pem, key in ("other", (ca / "ca.pem").read_bytes(), another), ("garbage", b"", b""):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.pem").write_bytes(pem)
        (tmp_path / name / "ca.key").write_bytes(key)
    status, _, err = provision("kona", *(word.replace("{tmp}", str(tmp_path)) for word in words), broker=broker)
    if says is None:
        assert status == 0
        return
    assert status == 2 and err.count("\n") == 1 and says.replace("{tmp}", str(tmp_path)) in err, err
    assert not (tmp_path / "devices").exists()


@pytest.mark.parametrize("device", ["", ".", "..", "a/b", "../x", "a+b", "a#", "-x", "x" * 33, "ä", "a b"])
def test_id_that_can_be_no_topic_or_folder_is_refused(device: str, provision: Any, ca: Path, tmp_path: Path) -> None:
    status, _, err = provision(device, "--authority", ca)
    assert status == 2 and "cannot be a device's id" in err and not (tmp_path / "devices").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"device": "kona"}', b'{"device": 1}'])
def test_damaged_owner_copy_is_not_overwritten(content: bytes, provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--authority", ca)
    path = tmp_path / "devices" / "kona" / "identity.json"
    path.write_bytes(content)
    status, _, err = provision("kona", "--authority", ca)
    assert status == 2 and "identity.json is damaged" in err and path.read_bytes() == content
