"""A release of the firmware, what a device has of it, and the least that must be done.

The firmware lies in one of two slots, /a and /b; the pair /slot says which (firmware/SPEC.md, section 3). A release goes into the
slot that is not in use. Until the pointer is changed, as the last step, the other one boots. What lies outside the slots
(boot.py, main.py, fallback.mpy and pair.mpy, and the profile) is put beside the old file and renamed, which littlefs does whole
or not at all: each of them works with the firmware before and after.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from host_tools.boards import Board
from host_tools.device import pairs
from host_tools.device.serial import Device, DeviceError
from host_tools.errors import InputError
from host_tools.paths import BOARDS, BUILD
from host_tools.toolchain import build
from host_tools.toolchain.micropython import ARCHES, MPY_VERSION

SLOTS = "a", "b"
POINTER = "/slot"
PROFILE = "/profile.bin"
_BLOCK = 4096
_FOLDER = 2 * _BLOCK  # of littlefs


@dataclass(frozen=True)
class Release:
    """Content by name: `root` by path, `slot` by path inside a slot's folder."""

    root: dict[str, bytes]
    slot: dict[str, bytes]


@dataclass(frozen=True)
class Found:
    """What is on the device: hashes by path, the slot in force (None: there is no firmware), the pointer's count."""

    hashes: dict[str, str]
    active: str | None
    count: int
    free: int  # bytes


@dataclass
class Plan:
    """What is to be done, in this order; `slot` is the one that will be in force."""

    slot: str
    flips: bool
    remove: list[str] = field(default_factory=list)
    copy: list[tuple[str, str]] = field(default_factory=list)  # on the device, from the slot in force
    send: dict[str, bytes] = field(default_factory=dict)
    replace: dict[str, bytes] = field(default_factory=dict)  # outside the slots
    wanted: dict[str, str] = field(default_factory=dict)  # the slot's files, when all is done: hashes by path

    @property
    def bytes_sent(self) -> int:
        """Bytes that go over the wire, before they are coded."""
        return sum(map(len, self.send.values())) + sum(map(len, self.replace.values()))


def architecture(device: Device) -> str:
    """What mpy-cross calls the device's architecture. Raises InputError where our firmware cannot run on it."""
    mpy: int = device.eval("getattr(__import__('sys').implementation, '_mpy', 0)", like=0)
    number = mpy >> 10 & 15
    if mpy & 255 != MPY_VERSION or not 0 < number < len(ARCHES):
        raise InputError(f"{device.port}: its MicroPython loads no native code of ours: `pigtail flash` a build of 1.25 or newer")
    return ARCHES[number]


def board_trouble(device: Device) -> str | None:
    """Why the firmware would not find the board's own module on the device, None where it does: it lies there, or is frozen."""
    try:
        device.exec("import board")
    except DeviceError as error:
        return error.traceback.splitlines()[-1].removeprefix("ImportError: ")
    return None


def made(arch: str, board: Board | None = None) -> Release:
    """The release of this checkout for `arch`, compiled, with the board's own modules where one is named: else those which
    the device has stay. Raises InputError, SetupError."""
    if board and board.arch != arch:
        raise InputError(f"{board.name} runs {board.arch or 'no such code'}, but the device runs {arch}: see pigtail boards")
    release = read(build.firmware(BUILD / "deploy" / arch, arch))
    if board:
        release.root.update(modules(board))
    return release


def modules(board: Board) -> dict[str, bytes]:
    """The board's own, by path, in the order in which they go: the second builds on the first. Raises InputError, SetupError."""
    paths = BOARDS / "chip.py", board.folder / "board.py"
    return {f"/{path.stem}.mpy": build.module(path, path.stem, board.arch, build.LEAN).read_bytes() for path in paths}


def read(tree: Path) -> Release:
    """The release in a folder as `toolchain.build` makes it."""
    root, slot = tree / "root", tree / "slot"
    return Release(
        {f"/{file.name}": file.read_bytes() for file in sorted(root.iterdir())},
        {str(file.relative_to(slot)): file.read_bytes() for file in sorted(slot.rglob("*.mpy"))},
    )


def survey(device: Device, release: Release) -> Found:
    """Looks at what is on the device."""
    hashes = device.hashes([*release.root, PROFILE, *(f"/{slot}" for slot in SLOTS)])
    count, named = pairs.newest(device.get(f"{POINTER}.0"), device.get(f"{POINTER}.1"))
    free: int = device.eval("(lambda s: s[0] * s[3])(__import__('os').statvfs('/'))", like=0)
    active = "b" if named == b"b" else "a"  # as boot.py has it
    there = any(path.startswith(f"/{active}/") for path in hashes)
    return Found(hashes, active if there else None, count, free)


def plan(release: Release, found: Found, profile: bytes | None = None) -> Plan:
    """The way from `found` to `release`, and to `profile` where one is given. Raises InputError where the flash is too small."""
    slot = found.active if found.active and _has(found, found.active, release) else _other(found.active)
    result = Plan(slot, flips=slot != found.active)
    outside = release.root | ({PROFILE: profile} if profile is not None else {})
    result.replace = {path: content for path, content in outside.items() if found.hashes.get(path) != digest(content)}
    result.wanted = {f"/{slot}/{name}": digest(content) for name, content in release.slot.items()}
    result.remove = [path for path in found.hashes if path.startswith(f"/{slot}/") and path not in result.wanted]
    for name, content in release.slot.items():
        path, other = f"/{slot}/{name}", f"/{found.active}/{name}"
        if found.hashes.get(path) == result.wanted[path]:
            continue
        if found.hashes.get(other) == result.wanted[path]:
            result.copy.append((other, path))
        else:
            result.send[path] = content
    _check_room(result, found)
    return result


def digest(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def _other(active: str | None) -> str:
    return "b" if active == "a" else "a"


def _has(found: Found, slot: str, release: Release) -> bool:
    """Whether the slot holds this release, and nothing else."""
    there = {path: value for path, value in found.hashes.items() if path.startswith(f"/{slot}/")}
    return there == {f"/{slot}/{name}": digest(content) for name, content in release.slot.items()}


def _check_room(plan: Plan, found: Found) -> None:
    """What is replaced in the slot is counted as if it took new room: so much is free while it is written."""
    fresh = [*plan.send, *(target for _, target in plan.copy)]
    sizes = {path: len(content) for path, content in (plan.send | plan.replace).items()}
    blocks = sum(-(-sizes.get(path, _BLOCK) // _BLOCK) for path in [*fresh, *plan.replace] if path not in found.hashes)
    known = {folder for path in found.hashes for folder in PurePosixPath(path).parents}
    folders = {folder for path in fresh for folder in PurePosixPath(path).parents} - known
    needed = blocks * _BLOCK + len(folders) * _FOLDER
    if needed > found.free:
        raise InputError(
            f"the device's flash has {found.free // 1024} KiB free, and {needed // 1024} KiB are needed: remove files, "
            "or use a board with more flash"
        )
