"""Debian packages without root, against an apt that misbehaves; the real one is tried by `make setup`."""

from pathlib import Path

import pytest

from host_tools.errors import SetupError
from host_tools.toolchain import debian

SITE = "bookworm-security http://deb.example/debian-security\nbookworm http://deb.example/debian/\n"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins that is all of PATH; apt-get answers `indextargets` and leaves its calls in `calls`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tmp_path / "keys.gpg").touch()
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "keys.gpg")
    monkeypatch.setattr(debian, "own_suite", lambda: "bookworm")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    tool(tools, "apt-get", "")
    return tools


def tool(tools: Path, name: str, body: str) -> None:
    script = f'#!/bin/sh\necho "$@" >> {tools}/calls\n'
    script += f'case "$1" in indextargets) printf "{SITE}"; exit;; esac\n{body}\n'
    (tools / name).write_text(script)
    (tools / name).chmod(0o755)


def test_packages_are_unpacked_from_the_machines_own_site(apt: Path, tmp_path: Path) -> None:
    tool(apt, "apt-get", '[ "$1" = download ] && touch a.deb b.deb; true')
    tool(apt, "dpkg-deb", 'mkdir -p "$3"; touch "$3/$(basename "$2")"')
    debian.fetch(["a", "b"], "i386", "trixie", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.deb", "b.deb"]
    assert "download -q a b" in (apt / "calls").read_text()


@pytest.mark.parametrize("suite", ["bookworm", "one that apt's sources call stable"])
def test_security_archive_is_not_taken_for_the_site(
    apt: Path, monkeypatch: pytest.MonkeyPatch, suite: str
) -> None:
    monkeypatch.setattr(debian, "own_suite", lambda: suite)
    assert debian._site() == "http://deb.example/debian/"


@pytest.fixture
def helper(apt: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in of apt-helper that writes the file and leaves its calls in `calls`."""
    tool(apt, "apt-helper", 'touch "$3"')
    monkeypatch.setattr(debian, "_HELPER", str(apt / "apt-helper"))
    return apt


def test_files_of_a_lock_come_from_the_machines_own_site_by_their_hash(helper: Path, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("ab12  pool/a_1+x.deb\ncd34  pool/b_2.deb\n")
    tool(helper, "dpkg-deb", 'mkdir -p "$3"; touch "$3/$(basename "$2")"')
    debian.fetch_locked(tmp_path / "lock", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_1+x.deb", "b_2.deb"]
    calls = [line.split() for line in (helper / "calls").read_text().splitlines() if "download-file" in line]
    assert [(call[1], call[3]) for call in calls] == [
        ("http://deb.example/debian/pool/a_1+x.deb", "SHA256:ab12"),
        ("http://deb.example/debian/pool/b_2.deb", "SHA256:cd34"),
    ]


def test_file_of_a_lock_that_the_archive_no_longer_has(helper: Path, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("ab12  pool/a.deb\n")
    tool(helper, "apt-helper", 'echo "E: 404" >&2; echo "E: Download Failed" >&2; exit 100')
    with pytest.raises(SetupError, match="download-file failed: E: 404"):
        debian.fetch_locked(tmp_path / "lock", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_what_the_machine_lacks_is_fetched(apt: Path, tmp_path: Path) -> None:
    plan = 'echo "Inst libfoo1 (1.0 Debian [amd64])"; echo "Inst foo (1.0 Debian [amd64])"; echo "Conf foo (1.0)"'
    tool(apt, "apt-get", f'case "$1" in install) {plan};; download) touch foo.deb;; esac')
    tool(apt, "dpkg", "echo amd64")
    tool(apt, "dpkg-deb", 'mkdir -p "$3"')
    debian.fetch_missing("foo", tmp_path / "out")
    assert "download -q libfoo1 foo" in (apt / "calls").read_text()


def test_apt_that_fails_says_why_in_one_line(apt: Path, tmp_path: Path) -> None:
    tool(
        apt,
        "apt-get",
        '[ "$1" = download ] && { echo "W: slow" >&2; echo "E: No such package x" >&2; exit 100; }; true',
    )
    with pytest.raises(SetupError) as error:
        debian.fetch(["x"], "i386", "trixie", tmp_path / "out")
    assert str(error.value) == "apt-get download failed: E: No such package x"
    assert not (tmp_path / "out").exists()


def test_package_that_does_not_unpack_leaves_nothing_behind(apt: Path, tmp_path: Path) -> None:
    tool(apt, "apt-get", '[ "$1" = download ] && touch a.deb; true')
    tool(apt, "dpkg-deb", 'mkdir -p "$3/half"; echo "dpkg-deb: error: short read" >&2; exit 2')
    with pytest.raises(SetupError, match="short read"):
        debian.fetch(["a"], "i386", "trixie", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys.gpg").touch()
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "keys.gpg")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="this machine has no apt-get"):
        debian.fetch(["a"], "i386", "trixie", tmp_path / "out")


def test_machine_without_debians_keys(apt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(SetupError, match="debian-archive-keyring"):
        debian.fetch(["a"], "i386", "trixie", tmp_path / "out")
