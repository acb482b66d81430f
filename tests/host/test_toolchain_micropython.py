"""Which MicroPython is taken, and how it is started."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools.errors import SetupError
from host_tools.toolchain import debian, micropython

GOOD = {"version": [1, 26, 0], "bits": 64, "mpy": 6, "arch": 2, "usable": True}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found is remembered for the life of a process: not from one test to the next."""
    micropython.find.cache_clear()
    yield
    micropython.find.cache_clear()


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, **facts: Any) -> str:
    """Puts a `micropython` on PATH that claims these facts; returns its path."""
    script = folder / "micropython"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(GOOD | facts)}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return str(script)


def test_micropython_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = on_path(tmp_path, monkeypatch)
    found = micropython.find()
    assert (found.command, found.version, found.bits, found.mpy_arch) == ([script], (1, 26, 0), 64, "x64")


@pytest.mark.parametrize("lack", [{"version": [1, 24, 9]}, {"mpy": 5}, {"usable": False}])
def test_unfit_micropython_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lack: dict[str, Any]
) -> None:
    script = on_path(tmp_path, monkeypatch, **lack)
    assert micropython.find().command != [script]


@pytest.mark.parametrize("body", ["exit 1", "echo 'MicroPython v1.9'"])
def test_micropython_that_cannot_answer_is_passed_over(tmp_path: Path, body: str) -> None:
    script = tmp_path / "micropython"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    assert micropython.probe([str(script)], None) is None
    assert micropython.probe([str(tmp_path / "none")], None) is None


def test_machine_without_any_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SetupError("this machine has no apt-get")

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(micropython, "_FETCHED", tmp_path / "mpy32")
    monkeypatch.setattr(debian, "fetch_locked", refuse)
    monkeypatch.setattr(debian, "fetch", refuse)
    with pytest.raises(SetupError) as error:
        micropython.find()
    assert str(error.value) == f"no MicroPython: {micropython.HOW_TO_GET_ONE} (this machine has no apt-get)"


def test_what_the_archive_replaced_comes_by_its_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise SetupError("404")

    fetched: list[tuple[object, ...]] = []
    monkeypatch.setattr(micropython, "_FETCHED", tmp_path / "mpy32")
    monkeypatch.setattr(debian, "fetch_locked", gone)
    monkeypatch.setattr(debian, "fetch", lambda *what: fetched.append(what))
    command, _ = micropython._fetched()
    assert command[-1] == str(tmp_path / "mpy32/usr/bin/micropython")
    assert [what[1:] for what in fetched] == [("i386", "trixie", tmp_path / "mpy32")]


def test_lock_names_each_package_once_by_its_hash() -> None:
    rows = [line.split() for line in micropython._LOCK.read_text().splitlines()]
    assert all(len(sha256) == 64 and int(sha256, 16) and path.endswith("_i386.deb") for sha256, path in rows)
    names = [Path(path).name.split("_")[0] for _, path in rows]
    assert names == ["micropython", *micropython._LIBRARIES]


def test_fetched_one_that_does_not_run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mpy32").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(micropython, "_FETCHED", tmp_path / "mpy32")
    with pytest.raises(SetupError, match=r"does not run on this machine: put MicroPython 1\.25 or newer"):
        micropython.find()


def test_heap_is_limited() -> None:
    argv, _ = micropython.find().argv(["-c", "bytearray(140 * 1024)"], heap="128k")
    assert b"MemoryError" in subprocess.run(argv, capture_output=True).stderr
    argv, _ = micropython.find().argv(["-c", "bytearray(140 * 1024)"], heap="256k")
    assert subprocess.run(argv, capture_output=True).stderr == b""


def test_time_runs_faster_when_asked() -> None:
    """At x1000 a sleep of 100 s is over long before the limit."""
    argv, clock = micropython.find().argv(["-c", "import time; time.sleep(100); print('over')"], speed=1000)
    done = subprocess.run(argv, env=os.environ | clock, capture_output=True, timeout=99)
    assert done.stdout == b"over\n"


def test_real_time_needs_no_faketime() -> None:
    argv, clock = micropython.find().argv(["x.py"])
    assert clock == {}
    assert not any("faketime" in word for word in argv)


def test_other_speed_without_faketime_says_what_to_install() -> None:
    plain = micropython.Micropython(["micropython"], None, (1, 25, 0), 64, "x64")
    assert plain.argv(["x.py"]) == (["micropython", "-X", "heapsize=128k", "x.py"], {})
    with pytest.raises(SetupError, match="libfaketime"):
        plain.argv(["x.py"], speed=4)


def test_faketime_of_the_machine_is_preloaded() -> None:
    own = micropython.Micropython(["micropython"], Path("/lib/ft.so"), (1, 25, 0), 64, "x64")
    _, environment = own.argv(["x.py"], speed=2.5)
    assert environment == {"FAKETIME": "+0 x2.5", "LD_PRELOAD": "/lib/ft.so"}
