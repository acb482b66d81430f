"""The plugin for tests inside MicroPython: every way in which such a test can end."""

import textwrap
from pathlib import Path

import pytest
from micropython_plugin import Outcome, explained, run

TESTS = """
import micropython
from runner import SkipTest, raises

def test_passes():
    pass

async def test_async_passes():
    import asyncio
    await asyncio.sleep_ms(1)

def test_comparison_fails():
    print("before")
    lengths = [1]
    assert lengths == [
        1,
        2,
    ]

def test_skips():
    raise SkipTest("no such bus")

def test_fails_with_locked_heap():
    micropython.heap_lock()
    [1]

def test_heap_is_usable_again():
    assert len(bytearray(1000)) == 1000

def test_raises():
    with raises(ValueError) as caught:
        int("x")
    assert "invalid" in str(caught.error)

def test_does_not_raise():
    with raises(ValueError):
        pass

def test_fails_in_the_firmware():
    from pigtail.config.schema import check
    check("no dict")

def test_has_a_folder_of_its_own():
    with open("/config", "w") as file:
        file.write("x")

def test_asks_the_process_to_exit():
    import sys
    sys.exit(3)
"""


def outcomes(folder: Path, source: str, time_limit_s: float = 120.0) -> dict[str, Outcome]:
    """Runs all tests of this source, in the order of their lines."""
    path = folder / "test_planted.py"
    path.write_text(textwrap.dedent(source))
    names = [line.split("def ")[1].split("(")[0] for line in source.splitlines() if "def test_" in line]
    return run(path, names, time_limit_s)


def test_every_end_of_a_test_is_told_apart(tmp_path: Path) -> None:
    ends = outcomes(tmp_path, TESTS)
    failed = {name for name, end in ends.items() if end.state == "failed"}
    assert failed == {
        "test_comparison_fails",
        "test_fails_with_locked_heap",
        "test_does_not_raise",
        "test_fails_in_the_firmware",
        "test_asks_the_process_to_exit",
    }
    assert ends["test_skips"] == Outcome("skipped", "no such bus")
    assert ends["test_passes"] == Outcome("passed", "")


def test_failure_shows_values_place_and_output(tmp_path: Path) -> None:
    ends = outcomes(tmp_path, TESTS)
    end = ends["test_comparison_fails"]
    assert end.text.splitlines()[0] == "AssertionError: [1] == [1, 2]"
    assert 'File "tests/firmware/test_planted.py", line 15' in end.text
    assert end.output == "before\n"
    assert "heap is locked" in ends["test_fails_with_locked_heap"].text
    assert ends["test_does_not_raise"].text.startswith("AssertionError: did not raise ValueError")
    assert 'File "pigtail/config/schema.py", line' in ends["test_fails_in_the_firmware"].text
    assert "\n    raise ConfigError(" in ends["test_fails_in_the_firmware"].text
    assert ends["test_asks_the_process_to_exit"].text.startswith("SystemExit: 3")


def test_module_that_comes_before_the_file_is_imported_before_it(tmp_path: Path) -> None:
    source = "import sys\nwas_there = 'ecus' in sys.modules\ndef test_it():\n    assert was_there\n"
    path = tmp_path / "test_planted.py"
    path.write_text(source)
    assert [run(path, ["test_it"], before=before)["test_it"].state for before in ("ecus", "")] == ["passed", "failed"]


def test_process_that_dies_fails_the_rest_of_the_file(tmp_path: Path) -> None:
    source = """
    def test_first(): pass
    def test_dies():
        import machine
        print("last words")
        machine.reset()
    def test_never_ran(): pass
    """
    ends = outcomes(tmp_path, source)
    assert [end.state for end in ends.values()] == ["passed", "failed", "failed"]
    assert "last words" in ends["test_dies"].text and "ended with status" in ends["test_never_ran"].text


def test_process_that_hangs_is_ended(tmp_path: Path) -> None:
    ends = outcomes(
        tmp_path, "def test_first(): pass\ndef test_hangs():\n    while True: pass\n", time_limit_s=4
    )
    assert [end.state for end in ends.values()] == ["passed", "failed"]
    assert "still running after 4 s" in ends["test_hangs"].text


def test_file_that_cannot_be_imported_fails_all_its_tests(tmp_path: Path) -> None:
    ends = outcomes(tmp_path, "import nothing_of_that_name\ndef test_a(): pass\ndef test_b(): pass\n")
    assert [end.state for end in ends.values()] == ["failed", "failed"]
    assert "no module named 'nothing_of_that_name'" in ends["test_a"].text


@pytest.mark.parametrize(("heap", "state"), [("", "failed"), ("# heap: 300k\n", "passed")])
def test_heap_is_128k_unless_the_file_asks(tmp_path: Path, heap: str, state: str) -> None:
    ends = outcomes(tmp_path, heap + "def test_large():\n    bytearray(150 * 1024)\n")
    assert ends["test_large"].state == state


def test_rewriting_keeps_line_numbers_and_other_asserts() -> None:
    source = 'def f(a):\n    assert a == (\n        1\n    )\n    assert a, "why"\n    assert 1 < a < 3\n    return 5\n'
    lines = explained(source).split("\n")
    assert lines[1].startswith("    assert (_left := (a)) == (_right := (1)),")
    assert lines[2:] == ["", "", '    assert a, "why"', "    assert 1 < a < 3", "    return 5", ""]
