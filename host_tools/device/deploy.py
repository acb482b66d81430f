"""Deploying: carries a plan out, and waits for the firmware to say that it runs."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from host_tools.device import pairs
from host_tools.device.release import POINTER, Found, Plan, Release, digest, plan, survey
from host_tools.device.serial import Device, Progress
from host_tools.errors import InputError
from host_tools.progress import Watcher

START_S = 20.0  # from the soft reset to the firmware's word that it runs
FAILED = '{"state": "failed"}'  # firmware/fallback.py: it could not be loaded, as the line before says

_COPY = """
def _c(source, target):
    with open(source, 'rb') as f, open(target, 'wb') as g:
        b = f.read(512)
        while b:
            g.write(b)
            b = f.read(512)
"""


@dataclass(frozen=True)
class Deployed:
    """What was done; numbers are of files. `status` is what the firmware says of itself; where it says nothing, `error` says
    why, and `back` is the slot that was put in force again. Where that is not known, or could not be done, `left` says what is
    on the device now, and what to do."""

    slot: str
    sent: int
    bytes: int
    copied: int
    removed: int
    flipped: bool
    status: dict[str, object] | None
    error: str | None = None
    back: str | None = None
    left: str | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether the firmware runs, not in safe mode, and none of its parts had to be started again."""
        return self.status is not None and not self.status.get("restarts") and safe_mode(self.status) is None


class _Nobody:
    """Is told in vain."""

    def step(self, what: str) -> None:
        pass

    def written(self, done: int, total: int) -> None:
        pass


_NOBODY = _Nobody()
_TRACEBACK = "Traceback (most recent call last):"


class NotStarted(Exception):
    """The firmware did not come up; says why."""


def deploy(
    device: Device, release: Release, profile: bytes | None = None, watcher: Watcher = _NOBODY
) -> Deployed:
    """Makes `release`, and `profile` where one is given, what the device runs; the old firmware is put back where the new one
    does not come up. Raises InputError where nothing was put in force."""
    watcher.step("comparing with what is there")
    found = survey(device, release)
    todo = plan(release, found, profile)
    sent = len(todo.send) + len(todo.replace)
    _prepare(device, todo, watcher)
    done = Deployed(todo.slot, sent, todo.bytes_sent, len(todo.copy), len(todo.remove), todo.flips, None)
    old = found.active if todo.flips else None
    left = "the old firmware boots, or the new one, whole: `pigtail deploy` again finishes it"
    try:
        _put_in_force(device, todo, found)
        watcher.step(f"waiting until it runs, {START_S:g} s at most")
        left = f"what is in /{todo.slot} is in force, and nobody has seen it run: `pigtail deploy` again looks"
        status, trouble = _outcome(device, is_new=old is not None)
    except InputError as error:
        return replace(done, error=_reason(device, error), left=left)
    if trouble is None or old is None:
        return replace(done, status=status, error=trouble)
    watcher.step("it does not run: putting the old one back")
    try:
        device.stop()
        point(device, old)
        device.reboot()
    except InputError as error:
        left = f"the firmware does not start, and the old one, in /{old}, could not be put back ({_reason(device, error)}): the "
        left += f"new one, in /{todo.slot}, may be in force still: reset the board, and `pigtail deploy` a firmware that runs"
        return replace(done, error=trouble, left=left)
    return replace(done, error=trouble, back=old)


def _outcome(device: Device, is_new: bool) -> tuple[dict[str, object] | None, str | None]:
    """What the firmware says once it is started, or why it does not run: safe mode, too, where it is new."""
    lines: list[str] = []
    try:
        said = started(device, lines.append)
        if said.get("safe_mode") and _TRACEBACK not in lines:  # for crashes of before: the next start tries all again
            said = started(device, lines.append)
    except NotStarted as words:
        return None, str(words)
    return (None, str(said.get("last_crash"))) if is_new and said.get("safe_mode") else (said, None)


def _reason(device: Device, error: InputError) -> str:
    return str(error).removeprefix(f"{device.port}: ")


def counted(files: int) -> str:
    """So many files, for people."""
    return f"{files} file{'s' * (files != 1)}"


def apply(device: Device, plan: Plan, found: Found) -> None:
    """Carries `plan` out. Whenever it ends early, the firmware that was in force boots, or the new one, whole.

    Raises InputError.
    """
    _prepare(device, plan, _NOBODY)
    _put_in_force(device, plan, found)


def _prepare(device: Device, plan: Plan, watcher: Watcher) -> None:
    """Puts all there, beside what is in force. Raises InputError, with the old firmware in force, where something did not arrive
    as it was sent."""
    if not (plan.send or plan.replace or plan.copy or plan.remove):
        return
    watcher.step(f"sending {counted(len(plan.send) + len(plan.replace))}, {plan.bytes_sent:,} bytes")
    sent = 0

    def progress(n: int) -> None:
        nonlocal sent
        sent += n
        watcher.written(sent, plan.bytes_sent)

    _fill(device, plan, progress)
    for path, content in plan.replace.items():
        device.send(f"{path}.new", content, progress)
    watcher.step("comparing what has arrived")
    _verify(device, plan)


def _put_in_force(device: Device, plan: Plan, found: Found) -> None:
    for path in plan.replace:
        device.exec(f"import os\nos.rename({f'{path}.new'!r}, {path!r})")
    if plan.flips or not found.count:
        point(device, plan.slot)


def point(device: Device, slot: str) -> None:
    """Puts `slot` in force."""
    copies = [f"{POINTER}.{copy}" for copy in (0, 1)]
    count, _ = pairs.newest(*map(device.get, copies))
    device.send(copies[count + 1 & 1], pairs.pair(slot.encode(), count + 1))
    if pairs.newest(*map(device.get, copies)) != (count + 1, slot.encode()):
        raise InputError(f"{device.port}: the pointer to the new firmware did not arrive as it was sent: try again")


def started(device: Device, note: Callable[[str], None] = lambda line: None) -> dict[str, object]:
    """Soft-resets the device; what its firmware says of itself when all its parts run. `note` gets every line of the console.

    Raises NotStarted when it ends, or says nothing of the kind for START_S.
    """
    boots, last = False, ""
    for line in device.start(START_S, START_S):
        if not boots:
            boots = line.endswith("MPY: soft reboot")
            continue
        note(line)
        if said := _said(line):
            return said
        if line == FAILED or line.startswith("MicroPython v"):  # the REPL: nothing runs
            raise NotStarted(last or "there is no main.py")
        last = line.strip() or last
    raise NotStarted(last or f"it said nothing for {START_S:g} s")


def safe_mode(status: Mapping[str, object]) -> str | None:
    """One line, where the firmware that says this of itself runs in safe mode: that it does, and why."""
    if not status.get("safe_mode"):
        return None
    return f"firmware {status.get('firmware')} runs in safe mode, without the bus; the last crash: {status.get('last_crash')}"


def _said(line: str) -> dict[str, object] | None:
    try:
        said = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.get("state") == "running" else None


def _fill(device: Device, plan: Plan, progress: Progress) -> None:
    """Makes the slot what it has to be."""
    for path in plan.remove:
        device.exec(f"import os\nos.remove({path!r})")
    if plan.copy:
        device.exec(_COPY)
    for source, target in plan.copy:
        device.make_folders(target)
        device.exec(f"_c({source!r}, {target!r})")
    for path, content in plan.send.items():
        device.send(path, content, progress)


def _verify(device: Device, plan: Plan) -> None:
    """Raises InputError unless the slot and what waits to be renamed are as they have to be."""
    wanted = plan.wanted | {f"{path}.new": digest(content) for path, content in plan.replace.items()}
    if not (plan.flips or plan.replace):
        return
    there = device.hashes([f"/{plan.slot}", *(f"{path}.new" for path in plan.replace)])
    wrong = sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
    if wrong:
        raise InputError(f"{device.port}: {wrong[0]} did not arrive as it was sent; the old firmware stays in force: try again")
