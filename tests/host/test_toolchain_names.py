"""Short names of what is private: the code does the same, and what others use keeps its name."""

import ast
import re
from pathlib import Path

import pytest

from host_tools.paths import FIRMWARE
from host_tools.toolchain import names
from host_tools.toolchain.names import readable, shortened

BASE = '''
def _twice(x):
    return 2 * x


class Base:
    def __init__(self, start, size=3):
        self._start = start
        self.size = size

    def _step(self, by):
        self._start += by
        return self._start

    def run(self, times):
        total = 0

        def add(more, *, times=times):
            nonlocal total
            total += more * times
            return [more for more in range(more)]

        add(self._step(times))
        return _twice(total), (lambda times: times + self.size)(times)
'''
CHILD = '''
from base import Base


class Child(Base):
    START_ONLY = "_step", "size"

    def __init__(self, start):
        super().__init__(start, size=4)
        self._own = 100

    def _step(self, by):
        return super()._step(by) + self._own
'''
ALONE = '''
class Alone:
    def __init__(self, first, second):
        self._first, self._second = first, second

    def both(self):
        return self._first, self._second
'''
PATHS = Path("base.py"), Path("child.py"), Path("alone.py")


@pytest.fixture
def renamed() -> dict[str, str]:
    return {path.stem: text for path, text in shortened(dict(zip(PATHS, (BASE, CHILD, ALONE), strict=True))).items()}


def run(base: str, child: str, alone: str) -> list[object]:
    names: dict[str, object] = {}
    for text in base, child.replace("from base import Base", ""), alone:
        exec(text, names)
    return [eval(code, names) for code in ("Base(1).run(5)", "Child(1).run(5)", "Alone(7, 8).both()", "Base(1, size=9).size")]


def test_the_code_does_the_same(renamed: dict[str, str]) -> None:
    assert run(**renamed) == run(BASE, CHILD, ALONE) == [(60, 8), (1060, 9), (7, 8), 9]


def test_private_names_are_gone_and_shared(renamed: dict[str, str]) -> None:
    whole = "".join(renamed.values())
    for name in "_twice", "_step", "_start", "_own", "_first", "_second", "by", "first":
        assert f"{name} " not in whole and f"{name})" not in whole and f"{name}(" not in whole, name
    assert "self._0" in renamed["child"] and "self._1" in renamed["base"]  # of one family
    assert "self._0, self._1" in renamed["alone"]


def test_private_functions_are_numbered_and_those_of_other_modules_from_the_start_again(renamed: dict[str, str]) -> None:
    assert "def f0(" in renamed["base"] and "f0(total)" in renamed["base"]
    assert "def f1(" in renamed["base"] and "def f1(" in renamed["child"]  # it stands for the one it overrides
    other = shortened({Path("a.py"): "def _one(): pass\ndef _two(): pass", Path("b.py"): "def _three(): pass"})
    assert other == {Path("a.py"): "def f0():\n    pass\n\ndef f1():\n    pass", Path("b.py"): "def f0():\n    pass"}


def test_names_of_functions_as_text_are_the_short_ones(renamed: dict[str, str]) -> None:
    assert "START_ONLY = ('f1', 'size')" in renamed["child"]


def test_what_is_given_by_name_keeps_its_name(renamed: dict[str, str]) -> None:
    assert "size=3" in renamed["base"] and "size=4" in renamed["child"]


def test_constants_are_assigned_one_by_one_so_that_none_is_kept() -> None:
    text = "from micropython import const\n_A, _B = const(1), const(2)\n_C, _D = const(3), 4\n"
    assert shortened({Path("base.py"): text})[Path("base.py")].splitlines()[1:] == [
        "_A = const(1)", "_B = const(2)", "_C, _D = (const(3), 4)",
    ]  # fmt: skip


def test_no_module_knows_another_ones_private_attributes() -> None:
    """Else the short names would take each other's places."""
    sources = {path: path.read_text() for path in FIRMWARE.rglob("*.py")}
    for path, text in shortened(sources).items():
        names = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
        left = {name for name in names if name.startswith("_") and name[1].isalpha()}
        assert left <= {"_send_str", "_recv_len"}, path


def test_result_is_kept_until_a_text_changes_or_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "STORE", tmp_path)
    made: list[int] = []
    make = names._shortened
    monkeypatch.setattr(names, "_shortened", lambda sources, others: made.append(1) or make(sources, others))
    caller = tmp_path / "caller.py"
    caller.write_text("")
    first = shortened({Path("base.py"): BASE}, [caller])
    assert shortened({Path("base.py"): BASE}, [caller]) == first and len(made) == 1
    assert "start" not in first[Path("base.py")].replace("_start", "")
    caller.write_text("f(start=1)")
    assert "start" in shortened({Path("base.py"): BASE}, [caller])[Path("base.py")] and len(made) == 2
    for kept in tmp_path.glob("*.json"):
        kept.write_text("[")
    assert "start" in shortened({Path("base.py"): BASE}, [caller])[Path("base.py")] and len(made) == 3
    for n in range(names._KEPT):
        shortened({Path("base.py"): f"{BASE}\nX = {n}"})
    assert len(list(tmp_path.glob("*.json"))) == names._KEPT
def test_traceback_of_a_device_gets_its_names_and_lines_back() -> None:
    root = Path("/firmware")
    sources = {root / "pigtail/base.py": BASE, root / "pigtail/child.py": CHILD, root / "pigtail/alone.py": ALONE}
    told = (
        'File "pigtail.app", in main\nFile "pigtail.base", line 1, in f0\nFile "pigtail.child", in f1\n'
        'File "pigtail.base", in f999\nFile "asyncio.core", in f2\nValueError: in f2'
    )
    assert readable(told, sources, root) == (
        'File "pigtail.app", in main\nFile "pigtail/base.py", line 2, in _twice\nFile "pigtail/child.py", line 12, in _step\n'
        'File "pigtail.base", in f999\nFile "asyncio.core", in f2\nValueError: in f2'
    )


def test_traceback_of_a_real_crash_reads_as_the_source() -> None:
    sources = {path: path.read_text() for path in FIRMWARE.rglob("*.py")}
    session = FIRMWARE / "pigtail/uplink/session.py"
    line = next(n for n, text in enumerate(sources[session].splitlines(), 1) if "def _send(" in text)
    (short,) = re.findall(r"self\.(f\d+)\(\):\n", shortened(sources)[session])  # while writable and self._send()
    told = readable(f'  File "pigtail.uplink.session", line 1, in {short}', sources, FIRMWARE)
    assert told == f'  File "pigtail/uplink/session.py", line {line}, in _send'
