"""docs/faults.md: every test that it names is there, and every fault that peers shipped stands in it."""

import re
from pathlib import Path

import pytest

from host_tools.paths import ROOT

TEXT = (ROOT / "docs" / "faults.md").read_text()
FILES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
TESTS = {name for text in FILES.values() for name in re.findall(r"def (test_\w+)\(", text)}
NAMED = sorted(set(re.findall(r"`((?:test_|…)\w[^`]*?)(?:\[[^`]*\])?`", TEXT)))


def stands_for(name: str, test: str) -> bool:
    """Whether `name`, in which `…` is any part, names this test."""
    return re.fullmatch(re.escape(name).replace("…", ".*"), test) is not None


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name: str) -> None:
    files = {Path(path).name for path in FILES}  # which may be named without their folder
    assert name in files or any(stands_for(name, test) for test in TESTS)


def test_named_files_are_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)`", TEXT)
    assert len(named) > 10 and all((ROOT / path).is_file() for path in named)


@pytest.mark.parametrize("test", sorted(test for test in TESTS if test.startswith("test_peers_")))
def test_every_test_of_what_peers_shipped_is_named(test: str) -> None:
    assert any(stands_for(name, test) for name in NAMED)
