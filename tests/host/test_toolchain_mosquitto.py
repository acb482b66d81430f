"""Which mosquitto is taken, and that its absence is no error."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.errors import SetupError
from host_tools.toolchain import debian, mosquitto


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with nothing: PATH is one empty folder, nothing was fetched."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mosquitto, "_SYSTEM", str(tmp_path))
    monkeypatch.setattr(mosquitto, "_FETCHED", tmp_path / "cache")
    mosquitto.find.cache_clear()
    yield
    mosquitto.find.cache_clear()


def program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_machine_without_mosquitto() -> None:
    assert mosquitto.find() is None


def test_mosquitto_on_path_is_taken(tmp_path: Path) -> None:
    program(tmp_path / "mosquitto", "echo mosquitto version 2.0; exit 3")
    assert mosquitto.find() == ([str(tmp_path / "mosquitto")], {})


def test_mosquitto_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "mosquitto", "echo 'libwebsockets.so.17: cannot open' >&2; exit 127")
    program(tmp_path / "cache/usr/sbin/mosquitto", '[ -n "$LD_LIBRARY_PATH" ] && echo mosquitto version 2.0')
    libraries = tmp_path / "cache/usr/lib/any"
    program(libraries / "libx.so.1", "")
    assert mosquitto.find() == (
        [str(tmp_path / "cache/usr/sbin/mosquitto")],
        {"LD_LIBRARY_PATH": str(libraries)},
    )


def test_fetched_one_that_does_not_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "fetch_missing", lambda package, into: into)
    with pytest.raises(SetupError, match="does not run"):
        mosquitto.fetch()
    assert mosquitto.find() is None
