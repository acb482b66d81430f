"""umqtt.simple from where pip would look, without any network: an index folder of our own."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from host_tools.errors import SetupError
from host_tools.toolchain import umqtt

NAME = f"micropython-umqtt.simple-{umqtt.VERSION}"


@pytest.fixture
def sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An sdist like the real one, the only thing that pip is set up to find."""
    index = tmp_path / "index"
    index.mkdir()
    with tarfile.open(index / f"{NAME}.tar.gz", "w:gz") as archive:
        for name, text in (
            (f"{NAME}/umqtt/simple.py", b"class MQTTClient: pass\n"),
            (f"{NAME}/PKG-INFO", b""),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index / f"{NAME}.tar.gz"


def test_module_is_brought(sdist: Path, tmp_path: Path) -> None:
    umqtt.fetch(tmp_path / "cache/simple.py", hashlib.sha256(sdist.read_bytes()).hexdigest())
    assert (tmp_path / "cache/simple.py").read_text().startswith("class MQTTClient")


def test_other_bytes_under_the_same_name_are_refused(sdist: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="SHA-256 is not the known one"):
        umqtt.fetch(tmp_path / "cache/simple.py")
    assert list((tmp_path / "cache").iterdir()) == []


def test_index_without_it(sdist: Path, tmp_path: Path) -> None:
    sdist.unlink()
    with pytest.raises(SetupError, match="on no package index"):
        umqtt.fetch(tmp_path / "cache/simple.py")


def test_index_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(SetupError, match="could not be fetched"):
        umqtt.fetch(tmp_path / "cache/simple.py")
