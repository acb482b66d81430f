"""Small firmwares for tests of deploying: the real files outside the slots, and a package that says which version it is."""

import shutil
from pathlib import Path

from host_tools.device import release
from host_tools.device.pairs import pair
from host_tools.device.release import Release
from host_tools.paths import FIRMWARE
from host_tools.toolchain import build, micropython

APP = """
import json
from pigtail import same
from pigtail.parts import first, second

def main():
    parts = [same.VERSION, first.VERSION, second.VERSION]
    print(json.dumps({"state": "running", "restarts": {}, "version": VERSION, "parts": parts}))

VERSION = %d
"""
LONG = 6000  # bytes of a text: littlefs gives such a file blocks of its own


def small(folder: Path, version: int, app: str = APP) -> Release:
    """Made in `folder`; its module `same` is that of every version, `only1` is version 1's alone."""
    source = folder / f"source{version}"
    (source / "pigtail" / "parts").mkdir(parents=True)
    for name in "boot.py", "fallback.py", "main.py", "pair.py":
        shutil.copyfile(FIRMWARE / name, source / name)
    modules = {"same": "VERSION = 0", "parts/first": f"VERSION = {version}", f"only{version}": ""}
    modules |= {"parts/second": f"VERSION = {version}\nLONG = {'x' * LONG!r}", "app": app % version if "%" in app else app}
    for name, text in modules.items():
        (source / "pigtail" / f"{name}.py").write_text(text)
    built = build.firmware(folder / f"built{version}", micropython.find().mpy_arch, source)
    shutil.rmtree(built / "slot" / "umqtt")
    return release.read(built)


def said_by(version: int) -> dict[str, object]:
    """What a whole `small` says when it boots."""
    return {"state": "running", "restarts": {}, "version": version, "parts": [0, version, version]}


def files(on: Release, slot: str = "a", count: int = 1) -> dict[str, bytes]:
    """The files of a device that has it."""
    inside = {f"/{slot}/{name}": content for name, content in on.slot.items()}
    return {**on.root, **inside, f"/slot.{count & 1}": pair(slot.encode(), count)}
