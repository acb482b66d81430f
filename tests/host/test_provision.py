"""`pigtail provision`: every secret is made for one device alone, kept for its owner alone, and never overwritten by mistake."""

import errno
import itertools
import json
import os
import re
import ssl
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from host_tools import cli
from host_tools.config import firmware
from host_tools.control import read_key
from host_tools.provision import certificates, identity, keys, label

BROKER = "mqtts://broker.example"
NOW = datetime.now(UTC)


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


def signed(ca: Path, asked: Path, **changes: Any) -> bytes:
    """What somebody's CA makes of a signing request; `changes` have the public key, the days from now, the use."""
    key = cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key((ca / "ca.key").read_bytes(), None))
    request = x509.load_pem_x509_csr(asked.read_bytes())
    first, last = changes.get("days", (-1, 30))
    made = (
        x509.CertificateBuilder().subject_name(request.subject).public_key(changes.get("key", request.public_key()))
        .issuer_name(x509.load_pem_x509_certificate((ca / "ca.pem").read_bytes()).subject).serial_number(7)
        .not_valid_before(NOW + timedelta(days=first)).not_valid_after(NOW + timedelta(days=last))
    )  # fmt: skip
    if "use" in changes:
        made = made.add_extension(x509.ExtendedKeyUsage([changes["use"]]), False)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("is_named", [True, False])
def test_certificate_of_the_owners_own_ca_is_brought_by_name_or_in_the_folder(
    is_named: bool, provision: Any, ca: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--ca", ca / "ca.pem")
    chain = signed(ca, folder / "request.csr", use=ExtendedKeyUsageOID.CLIENT_AUTH) + (ca / "ca.pem").read_bytes()
    brought = tmp_path / "signed.pem" if is_named else folder / "cert.pem"
    brought.write_bytes(chain)
    status, out, err = provision("kona", "--ca", ca / "ca.pem", *(["--cert", brought] if is_named else []))
    assert (status, err) == (0, "") and (f"{folder}/cert.pem: not there -> there\n" in out) == is_named
    assert (folder / "cert.pem").read_bytes() == chain
    ssl.create_default_context().load_cert_chain(folder / "cert.pem", folder / "key.pem")
    status, out, _ = provision("kona", "--ca", ca / "ca.pem")
    assert status == 0 and "->" not in out and (folder / "cert.pem").read_bytes() == chain


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"key": keys.new().public_key()}, "is the certificate of another key: have the device's request.csr signed"),
        ({"days": (-9, -1)}, f"was valid until {NOW - timedelta(days=1):%Y-%m-%d}: have request.csr signed again"),
        ({"days": (2, 9)}, f"is not valid before {NOW + timedelta(days=2):%Y-%m-%d}: have request.csr signed again"),
        ({"use": ExtendedKeyUsageOID.SERVER_AUTH}, "is not for a client: have request.csr signed with the extended key usage"),
        (None, "is no certificate: name the device's, PEM, with --cert"),
    ],
)
def test_certificate_that_is_of_no_use_to_the_device_is_one_line_and_changes_nothing(
    changes: dict[str, Any] | None, says: str, is_named: bool, provision: Any, ca: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--ca", ca / "ca.pem")
    brought = tmp_path / "signed.pem" if is_named else folder / "cert.pem"
    brought.write_bytes(b"no" if changes is None else signed(ca, folder / "request.csr", **changes))
    before = contents(folder)
    status, out, err = provision("kona", "--ca", ca / "ca.pem", *(["--cert", brought] if is_named else []))
    assert (status, out) == (2, "") and f"{brought}" in err and says in err and err.count("\n") == 1, err
    assert contents(folder) == before


def test_certificate_for_a_key_that_is_still_to_be_made_is_refused(provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--authority", ca)
    before = contents(tmp_path / "devices" / "kona")
    for words in ["leaf"], ["kona", "--replace"]:
        status, _, err = provision(*words, "--ca", ca / "ca.pem", "--cert", tmp_path / "devices" / "kona" / "cert.pem")
        assert status == 2 and "--cert: no certificate can fit a key that is still to be made" in err and err.count("\n") == 1
    assert contents(tmp_path / "devices" / "kona") == before and not (tmp_path / "devices" / "leaf").exists()


def test_other_authority_signs_anew_and_the_same_one_does_not(provision: Any, ca: Path, tmp_path: Path) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--authority", ca)
    before = contents(folder)
    status, out, _ = provision("kona", "--authority", tmp_path / "second", "--new-authority")
    changes = f"{folder}/cert.pem: there -> another\n{folder}/ca.pem: there -> another\nidentity of kona: was there"
    assert status == 0 and changes in out
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"cert.pem", "ca.pem"}
    second = x509.load_pem_x509_certificate((tmp_path / "second" / "ca.pem").read_bytes())
    x509.load_pem_x509_certificate(after["cert.pem"]).verify_directly_issued_by(second)
    assert provision("kona", "--authority", tmp_path / "second")[0] == 0 and contents(folder) == after
    assert json.loads(provision("kona", "--authority", ca, "--json")[1])["changes"] == [
        {"key": f"{folder}/{name}", "before": "there", "after": "another"} for name in ("cert.pem", "ca.pem")
    ]


@pytest.mark.parametrize("days", [(-9, -1), (2, 9)])
def test_certificate_that_is_out_of_its_time_is_signed_anew(
    days: tuple[int, int], provision: Any, ca: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--authority", ca)
    (folder / "cert.pem").write_bytes(signed(ca, folder / "request.csr", days=days))
    assert provision("kona", "--authority", ca)[0] == 0
    assert x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes()).not_valid_after_utc > NOW + timedelta(days=3000)


@pytest.mark.parametrize("content", [None, b"", b"no", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_signing_request_that_is_lost_or_damaged_is_made_again(
    content: bytes | None, provision: Any, ca: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--ca", ca / "ca.pem")
    (folder / "request.csr").unlink() if content is None else (folder / "request.csr").write_bytes(content)
    status, _, err = provision("kona", "--authority", ca)
    assert (status, err) == (0, "")
    asked = x509.load_pem_x509_csr((folder / "request.csr").read_bytes())
    assert asked.is_signature_valid and asked.subject.rfc4514_string() == "CN=kona"
    ssl.create_default_context().load_cert_chain(folder / "cert.pem", folder / "key.pem")


def of_another_curve() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize("content", [None, b"", b"no", of_another_curve()])
def test_key_that_is_lost_or_damaged_is_one_line(content: bytes | None, provision: Any, ca: Path, tmp_path: Path) -> None:
    folder = tmp_path / "devices" / "kona"
    provision("kona", "--ca", ca / "ca.pem")
    (folder / "key.pem").unlink() if content is None else (folder / "key.pem").write_bytes(content)
    before = contents(folder)
    status, _, err = provision("kona", "--authority", ca)
    says = "cannot be read: No such file or directory; bring" if content is None else "is damaged: bring"
    assert status == 2 and f"{folder}/key.pem" in err and says in err and err.count("\n") == 1, err
    assert contents(folder) == before


@pytest.mark.parametrize("call", ["chmod", "rename", "mkstemp"])
def test_folder_that_cannot_be_written_is_one_line(
    call: str, provision: Any, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    folder = tmp_path / "devices" / "kona"
    provision("kona", "--authority", ca)
    before = contents(folder)
    monkeypatch.setattr({"chmod": os, "rename": Path, "mkstemp": tempfile}[call], call, refused)
    status, _, err = provision("kona", "--authority", ca, "--replace")
    assert status == 2 and "Read-only file system" in err and err.count("\n") == 1, err
    monkeypatch.undo()
    assert before in [contents(path) for path in folder.parent.iterdir()]


def test_folder_in_place_of_a_file_is_one_line(provision: Any, ca: Path, tmp_path: Path) -> None:
    provision("kona", "--ca", ca / "ca.pem")
    (tmp_path / "devices" / "kona" / "cert.pem").mkdir()
    for words in (["--ca", ca / "ca.pem"], ["--authority", ca]):
        status, _, err = provision("kona", *words)
        assert status == 2 and "cert.pem: cannot be read: Is a directory" in err and err.count("\n") == 1, err


def test_ca_of_no_use_is_one_line_and_makes_nothing(provision: Any, ca: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.pem"
    provision("kona", "--ca", ca / "ca.pem")
    old.write_bytes(signed(ca, tmp_path / "devices" / "kona" / "request.csr", days=(-9, -1)))
    status, _, err = provision("leaf", "--ca", old)
    assert status == 2 and f"{old}: was valid until" in err and "--ca" in err and err.count("\n") == 1, err
    both = tmp_path / "both.pem"
    both.write_bytes(old.read_bytes() + (ca / "ca.pem").read_bytes())
    assert provision("leaf", "--ca", both)[0] == 0
    status, _, err = provision("next", "--authority", ca, "--days", "7000", "--cert", old)
    assert status == 2 and "give one of --cert and --authority" in err and not (tmp_path / "devices" / "next").exists()
    key = ed25519.Ed25519PrivateKey.generate()
    root = x509.CertificateBuilder().subject_name(keys.name("ca")).issuer_name(keys.name("ca")).serial_number(1)
    root = root.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9000))
    (ca / "ca.pem").write_bytes(root.sign(key, None).public_bytes(serialization.Encoding.PEM))
    (ca / "ca.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    status, _, err = provision("next", "--authority", ca)
    assert status == 2 and "neither RSA nor of an elliptic curve" in err and not (tmp_path / "devices" / "next").exists()


def test_authority_that_ends_before_the_certificate_would_puts_nothing_aside(
    provision: Any, ca: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_CA_YEARS", timedelta(days=100))
    status, _, err = provision("kona", "--authority", tmp_path / "short", "--new-authority", "--days", "90")
    assert status == 0, err
    status, _, err = provision("kona", "--authority", tmp_path / "short", "--replace")
    assert status == 2 and "the CA is valid until" in err and "give fewer --days" in err and err.count("\n") == 1
    assert [path.name for path in (tmp_path / "devices").iterdir()] == ["kona"]


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
        (["--insecure", "--ca", "x"], "mqtt://broker.example", "--ca, --cert and --authority are for mqtts://"),
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
    another = keys.pem(keys.new())
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
