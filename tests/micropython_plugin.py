"""pytest plugin: runs tests/firmware/test_*.py inside MicroPython, each file in a process and a heap of its own.

Every function `test_*`, plain or async, is a test of its own. The file meets the compiled firmware and the board `unix`
(see tests/firmware/runner.py for what it sees) in 128 KiB of heap; a line `# heap: 256k` asks for another size. With a line
`# also with: one other` it is run three times, twice with one of these modules beside the tests imported before it. A
failing `assert a == b` shows both values: such lines are rewritten, line for line, before the file is compiled. Modules
beside the tests whose names do not begin with `test_` can be imported by them.
"""

import ast
import functools
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from host_tools.errors import PigtailError
from host_tools.paths import BUILD, FIRMWARE, ROOT
from host_tools.sim import board
from host_tools.toolchain import build, micropython

TIME_LIMIT_S = 120
_RUNNER = ROOT / "tests" / "firmware" / "runner.py"
_REPORT, _TRACEBACK = "\x02", "\x03"  # the runner's marks: a line of JSON follows, a traceback follows
_OPERATORS = {
    "Eq": "==",
    "NotEq": "!=",
    "Lt": "<",
    "LtE": "<=",
    "Gt": ">",
    "GtE": ">=",
    "In": "in",
    "Is": "is",
}
_PLACE = re.compile(r'\s*File "(?P<file>[^"]+)", line (?P<line>\d+)')


@dataclass
class Outcome:
    """What became of one test: state is passed, failed or skipped; text is its traceback or reason."""

    state: str
    text: str
    output: str = ""


class FirmwareFailure(Exception):
    """A test failed inside MicroPython; the message is its traceback."""


class FirmwareModule(pytest.File):
    """A test file for MicroPython; runs as a whole when the first of its tests is asked for."""

    outcomes: dict[str, dict[str, Outcome]]

    def collect(self) -> Iterator["FirmwareTest"]:
        self.outcomes = {}
        source = self.path.read_text()
        also = re.search(r"^# also with: (.+)$", source, re.MULTILINE)
        for before in ("", *(also[1].split() if also else ())):
            for node in ast.parse(source).body:
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    name = f"{node.name}[{before}]" if before else node.name
                    yield FirmwareTest.from_parent(self, name=name, line=node.lineno - 1, test=node.name, before=before)

    def outcome(self, test: str, before: str) -> Outcome:
        """What became of this test with that module before it, after running all of the file's tests that were selected so."""
        if before not in self.outcomes:
            items = [item for item in self.session.items if isinstance(item, FirmwareTest) and item.parent is self]
            names = [item.test for item in items if item.before == before]
            self.outcomes[before] = run(self.path, names, before=before)
        return self.outcomes[before][test]


class FirmwareTest(pytest.Item):
    """One function of a test file for MicroPython."""

    def __init__(self, *, line: int, test: str, before: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.line, self.test, self.before = line, test, before  # pytest's own `function` is no text

    def runtest(self) -> None:
        assert isinstance(self.parent, FirmwareModule)
        outcome = self.parent.outcome(self.test, self.before)
        if outcome.output:
            self.add_report_section("call", "MicroPython's output", outcome.output)
        if outcome.state == "skipped":
            pytest.skip(outcome.text)
        if outcome.state == "failed":
            raise FirmwareFailure(outcome.text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, FirmwareFailure | PigtailError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line, self.name


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compiles the firmware once, before several processes look for it."""
    if not hasattr(session.config, "workerinput"):
        _board()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> FirmwareModule | None:
    """Takes the files below a folder `firmware` away from pytest's own collection."""
    if module_path.parent.name != "firmware":
        return None
    return FirmwareModule.from_parent(parent, path=module_path)


def run(path: Path, names: list[str], time_limit_s: float = TIME_LIMIT_S, before: str = "") -> dict[str, Outcome]:
    """Runs these tests of one file in one process, after the module `before` if any; a process that dies or hangs fails the rest
    of them."""
    source = path.read_text()
    heap = re.search(r"^# heap: (\d+[km])$", source, re.MULTILINE)
    with tempfile.TemporaryDirectory(prefix="pigtail-test-") as folder:
        compiled = _compiled(path, explained(source), Path(folder))
        argv, _ = micropython.find().argv(["-c", "import runner"], heap[1] if heap else "128k")
        tree, modules = _board()
        facts = {
            "slot": tree / "slot",
            "root": tree / "root",
            "board": modules,
            "tests": compiled,
            "data": ROOT / "tests" / "data",
            "names": names,
            "before": before,
        }
        environment = os.environ | {
            "MICROPYPATH": f"{compiled}:.frozen",
            "PIGTAIL_SIM": folder,
            "PIGTAIL_TEST": json.dumps(facts | {"module": path.stem}, default=str),
        }
        said, end = _process(argv, environment, time_limit_s)
    return _outcomes(said, end, names)


def explained(source: str) -> str:
    """The source with every `assert a == b` made to show both values; all lines keep their numbers."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and node.msg is None and isinstance(node.test, ast.Compare):
            _explain(lines, node, node.test)
    return "".join(lines)


def _explain(lines: list[str], node: ast.Assert, test: ast.Compare) -> None:
    operator = _OPERATORS.get(type(test.ops[0]).__name__)
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    alone = lines[first][: node.col_offset].isspace()
    if operator is None or len(test.ops) > 1 or not alone:
        return
    left, right = ast.unparse(test.left), ast.unparse(test.comparators[0])
    told = (
        f"assert (_left := ({left})) {operator} (_right := ({right})), '%r {operator} %r' % (_left, _right)"
    )
    lines[first] = lines[first][: node.col_offset] + told + "\n"
    lines[first + 1 : last] = ["\n"] * (last - first - 1)


def _compiled(path: Path, source: str, folder: Path) -> Path:
    """A folder with the test file, the runner and what the tests share as .mpy."""
    arch = micropython.find().mpy_arch
    (folder / "tests").mkdir()
    rewritten = folder / path.name
    rewritten.write_text(source)
    shared = sorted(file for file in _RUNNER.parent.glob("*.py") if not file.name.startswith("test_"))
    for file in (rewritten, *shared):
        compiled = build.module(file, f"tests/firmware/{file.name}", arch)
        (folder / "tests" / file.with_suffix(".mpy").name).write_bytes(compiled.read_bytes())
    return folder / "tests"


@functools.cache
def _board() -> tuple[Path, Path]:
    """The firmware, with line numbers that the device does without, and the board's modules."""
    BUILD.mkdir(exist_ok=True)
    _, modules = board.compiled()
    return build.firmware(BUILD / "unix" / "lines", micropython.find().mpy_arch, options=()), modules


def _process(argv: list[str], environment: dict[str, str], time_limit_s: float) -> tuple[str, str]:
    """What the process said, and how it ended when that was not as it should."""
    process = subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said, _ = process.communicate(timeout=time_limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return said.decode(errors="replace"), f"still running after {time_limit_s:g} s"
    return said.decode(errors="replace"), f"ended with status {process.returncode}"


def _outcomes(said: str, end: str, names: list[str]) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    output: list[str] = []
    for line in said.splitlines(keepends=True):
        before, mark, report = line.partition(_REPORT)
        output.append(before)
        if mark:
            name, state, reason = json.loads(report)
            printed, _, traceback = "".join(output).partition(_TRACEBACK)
            outcomes[name] = Outcome(state, reason or located(traceback), printed)
            output = []
    died = f"MicroPython {end}, before this test was over; it said:\n{located(''.join(output))}"
    return {name: outcomes.get(name, Outcome("failed", died)) for name in names}


def located(traceback: str) -> str:
    """A MicroPython traceback, the exception first, with the source lines that it names where they are known."""
    lines = [line for line in traceback.splitlines() if "tests/firmware/runner.py" not in line]
    told = []
    if lines and lines[0].startswith("Traceback"):
        lines = [lines[-1], *lines[1:-1]]
    for line in lines:
        told.append(line)
        if place := _PLACE.match(line):
            paths = [folder / place["file"] for folder in (ROOT, FIRMWARE)]
            source = next((path.read_text().splitlines() for path in paths if path.is_file()), [])
            told += [f"    {text.strip()}" for text in source[int(place["line"]) - 1 : int(place["line"])]]
    return "\n".join(told)
