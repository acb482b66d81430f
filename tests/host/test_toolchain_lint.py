"""The firmware against MicroPython's stubs: what MicroPython lacks is found."""

from pathlib import Path

import pytest

from host_tools.paths import CACHE
from host_tools.toolchain import lint

pytestmark = pytest.mark.skipif(
    not (CACHE / "stubs" / "setup").exists(), reason="no stubs yet: run make lint"
)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import functools", 'module named "functools"'),
        ("import time\ndef f():\n    return time.monotonic()", '"monotonic"'),
        ("import machine\ndef f():\n    machine.WDT(timeuot=3)", '"timeuot"'),
        ("import asyncio\nasync def f():\n    asyncio.sleep_ms(5)", "must be used"),
    ],
)
def test_what_micropython_lacks_is_found(tmp_path: Path, code: str, words: str) -> None:
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted/bad.py").write_text(code)
    found = lint.faults(tmp_path / "planted")
    assert len(found) == 1 and found[0].startswith("planted/bad.py:") and words in found[0]


def test_micropythons_own_names_pass(tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    code = "import time, gc\n@micropython.viper\ndef f(a: ptr8) -> int:\n    return a[0]\ndef g():\n    gc.mem_free()\n"
    (tmp_path / "planted/good.py").write_text(code + "    return time.ticks_ms() + 1\n")
    assert lint.faults(tmp_path / "planted") == []
