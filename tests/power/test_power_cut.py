"""A power cut at every program and erase of a session that fills the flash (faults 1, 2 and 3), and that the harness catches the
bugs it is for.

`make test` tries some of the cuts, `make test-power` (POWER=long) many more.
"""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from on_device import process

HERE = Path(__file__).parent
LONG = os.environ.get("POWER") == "long"
SECTORS = [(seed, 3) for seed in range(1, 7)] if LONG else [(1, 9)]  # seed; every which operation is cut
FILES = [(seed, 40) for seed in range(1, 4)] if LONG else [(1, 200)]
BUGS = [
    "flush_that_lies",
    "missing_crc_check",
    "header_before_payload",
    "erase_before_the_journal_is_saved",
    "no_reservation",
    "tail_that_is_not_saved",
]
tried = []


@functools.cache
def harness(*arguments: object, of: str = "harness") -> str:
    """The last line of what the harness says."""
    start = f"import sys; sys.path[:0] = ['{HERE}', '{HERE.parent / 'firmware'}']; import {of}; {of}.main"
    device = process(["-c", f"{start}(*{tuple(str(a) for a in arguments)!r})"], heap="16m")
    try:
        said, _ = device.communicate(timeout=280)
    except subprocess.TimeoutExpired:
        said = "still running after 280 s"
    finally:
        device.kill()
    return said.strip().splitlines()[-1]


def survived(said: str) -> int:
    tried.append(counts(said)[0])
    return tried[-1]


def counts(said: str) -> tuple[int, int]:
    """Cuts that were survived, and how many of them came in the recovery from another."""
    match = re.fullmatch(r"(\d+) cuts survived(?:, (\d+) of them in the recovery from another)?", said)
    assert match, said
    return int(match[1]), int(match[2] or 0)


@pytest.mark.parametrize(("seed", "every"), SECTORS)
def test_fault_1_power_cut_at_every_operation_of_the_sectors(seed: int, every: int) -> None:
    assert survived(harness("sectors", seed, every)) > 500


@pytest.mark.parametrize(("seed", "every"), FILES)
def test_fault_1_power_cut_at_every_operation_of_the_littlefs(seed: int, every: int) -> None:
    assert survived(harness("files", seed, every)) > 300


@pytest.mark.parametrize(("back_end", "runs"), [("sectors", SECTORS), ("files", FILES)])
def test_fault_2_second_cut_at_every_operation_of_the_recovery_from_the_first(back_end: str, runs: list[tuple[int, int]]) -> None:
    for seed, every in runs:
        assert counts(harness(back_end, seed, every))[1] > 100


def test_fault_1_power_cut_at_every_operation_while_the_configuration_is_kept() -> None:
    assert survived(harness("pair", 1, 1)) > 500


def test_fault_1_power_cut_at_every_operation_of_a_change_of_the_configuration() -> None:
    assert survived(harness(1, of="configuration")) > 500


@pytest.mark.parametrize("bug", ["tried_for_ever", "removed_first"])
def test_seeded_bug_of_the_configuration_is_caught(bug: str) -> None:
    said = harness(1, bug, of="configuration")
    assert said.startswith("caught: "), said


@pytest.mark.parametrize("bug", BUGS)
def test_seeded_bug_is_caught(bug: str) -> None:
    said = harness("sectors", 2, 7, bug)
    assert said.startswith("caught: "), said


def test_common_flush_of_files_that_lies_is_caught() -> None:
    said = harness("files", 1, 100, "common_flush_that_lies")
    assert said.startswith("caught: "), said


def test_header_that_is_checked_alone_is_no_bug_while_it_is_written_last() -> None:
    assert survived(harness("sectors", 2, 30, "crc_of_the_header_alone")) > 100


def test_enough_cuts_were_tried(capsys: pytest.CaptureFixture[str]) -> None:
    if not tried:
        pytest.skip("no cut was asked for")
    with capsys.disabled():
        print(f"\npower cuts tried: {sum(tried):,}", file=sys.stderr)
    assert sum(tried) >= (10000 if LONG else 1000)
