"""A device at a serial port: MicroPython, clock, flash, firmware, configuration, profile; and whether the firmware starts."""

import time
from calendar import timegm
from collections.abc import Iterator

from host_tools.config.draft import COUNTED
from host_tools.config.places import in_force
from host_tools.device import connect, only
from host_tools.device.deploy import NotStarted, safe_mode, started
from host_tools.device.ports import all_ports
from host_tools.device.release import PROFILE, architecture, made, plan, survey
from host_tools.device.serial import Device
from host_tools.doctor import chip, trust
from host_tools.doctor.finding import ERROR, OK, WARNING, Case, Finding
from host_tools.errors import InputError
from host_tools.signals import find
from host_tools.signals.pack import identity, pack, unpack
from host_tools.toolchain.micropython import LEAST_VERSION

SLOW_S = 5.0  # that a clock may be wrong
NOT_SET = 2024  # a year before it: the clock of a chip that was not told the time


def look(case: Case) -> Iterator[Finding]:
    """All that a cable tells. The firmware stops, and is started again."""
    try:
        port = only(case.port)
        Device(port).close()
    except InputError as error:
        if case.is_remote:
            yield Finding("port", WARNING, "no board at any serial port: what only a cable tells is not looked at")
        else:
            yield Finding("port", ERROR, str(error))
        return
    board = next((known.board for known in all_ports() if known.path == port), "")
    yield Finding("port", OK, f"{port}{board and ': '}{board}")
    try:
        with connect(port) as device:
            yield from _stopped(device, case)
            if case.slot:
                yield from _starts(device, case)
    except InputError as error:
        yield Finding("device", ERROR, str(error))


def _stopped(device: Device, case: Case) -> Iterator[Finding]:
    yield from _micropython(device, case)
    yield _clock(device)
    yield from chip.look(device, case)
    yield from _firmware(device, case)
    yield _config(device, case)
    yield from _tls_files(device, case)
    yield from _profile(device, case)


def _micropython(device: Device, case: Case) -> Iterator[Finding]:
    facts = "(lambda i: (tuple(i.version[:3]), getattr(i, '_machine', '')))(__import__('sys').implementation)"
    version, machine = device.eval(facts, like=((0, 0, 0), ""))
    words = f"{'.'.join(map(str, version))} on {machine}"
    least = ".".join(map(str, LEAST_VERSION[:2]))
    if version < LEAST_VERSION:
        yield Finding("MicroPython", ERROR, words, f"`pigtail flash` a build of {least} or newer")
        return
    try:
        case.arch = architecture(device)
    except InputError as error:
        yield Finding("MicroPython", ERROR, f"{words}: {error}")
    else:
        yield Finding("MicroPython", OK, f"{words}, {case.arch}")


def _clock(device: Device) -> Finding:
    fields: tuple[int, ...] = device.eval("tuple(__import__('time').gmtime()[:6])", like=(0,) * 6)
    if fields[0] < NOT_SET:
        return Finding("clock", OK, "not set since power-on; the firmware asks a time server for it (clock.host)")
    try:
        wrong = timegm((*fields, 0, 0, 0)) - time.time()
    except (ValueError, OverflowError):
        return Finding("clock", WARNING, f"it tells no time that there is: {fields}", "switch the board off and on")
    if abs(wrong) > SLOW_S:
        todo = "let it reach its time server (clock.host): samples carry this time until then"
        return Finding("clock", WARNING, f"it is {wrong:+.0f} s off this machine's", todo)
    return Finding("clock", OK, f"{wrong:+.0f} s off this machine's")


def _firmware(device: Device, case: Case) -> Iterator[Finding]:
    """Whether it is this checkout's, whole."""
    if not case.arch:
        return
    release = made(case.arch)
    found = survey(device, release)
    if found.active is None:
        yield Finding("firmware", ERROR, "there is none", f"`{case.deploy}`")
        return
    case.slot = found.active
    try:
        todo = plan(release, found)
    except InputError as error:
        yield Finding("firmware", WARNING, str(error))
        return
    if todo.flips or todo.replace:
        yield Finding("firmware", WARNING, f"what is in /{found.active} is not this checkout's", f"`{case.deploy}`")
    else:
        yield Finding("firmware", OK, f"this checkout's, in /{found.active}")


def _config(device: Device, case: Case) -> Finding:
    """What is in force."""
    config, trouble = in_force(device)
    case.config = config or None
    if trouble:
        found = "the last good one is in force" if config else "the defaults are in force"
        return Finding("config", ERROR, f"{trouble}; {found}", "write it again: `pigtail config push`")
    if not config:
        todo = "tell it its Wi-Fi and its broker: `pigtail config set`"
        return Finding("config", WARNING, "there is none: the defaults are in force", todo)
    keys = len(config.keys() - set(COUNTED))
    return Finding("config", OK, f"{keys} keys set, broker {config.get('mqtt.host', '127.0.0.1')}")


def _tls_files(device: Device, case: Case) -> Iterator[Finding]:
    """Takes what the configuration names."""
    config = case.config or {}
    for key in trust.FILES if config.get("mqtt.tls") else ():
        if path := config.get(key):
            content = device.get(path)
            if content is None:
                yield Finding("config", ERROR, f"{path} is not there, which {key} names", "`pigtail provision` puts it there")
            else:
                case.files[key] = content


def _profile(device: Device, case: Case) -> Iterator[Finding]:
    path = str((case.config or {}).get("profile", PROFILE))
    packed = device.get(path)
    todo = f"`{case.deploy} --vehicle {case.vehicle or 'NAME'}`"
    if packed is None:
        yield Finding("profile", ERROR, f"there is none at {path}: nothing is sampled", todo)
        return
    try:
        profile = unpack(packed)
    except InputError as error:
        yield Finding("profile", ERROR, f"{path}: {error}", todo)
        return
    case.identity = identity(packed)
    words = f"{profile.vehicle or profile.name} {case.identity:08x}, {sum(len(m.signals) for m in profile.messages)} signals"
    if case.vehicle and identity(pack(find.find(case.vehicle, 1000, lambda _: None))) != case.identity:
        yield Finding("profile", ERROR, f"{words}, not {case.vehicle}'s as it is here", todo)
    else:
        yield Finding("profile", OK, words)


def _starts(device: Device, case: Case) -> Iterator[Finding]:
    """Starts what was stopped."""
    try:
        said = started(device)
    except NotStarted as error:
        yield Finding("start", ERROR, f"the firmware does not start: {error}", f"`pigtail logs`, then `{case.deploy}`")
        return
    boot = said.get("boot")
    case.boot = boot if isinstance(boot, int) else None
    if trouble := safe_mode(said):
        yield Finding("start", ERROR, trouble, "`pigtail logs` while it starts again shows what crashes; then `pigtail deploy`")
    else:
        yield Finding("start", OK, f"firmware {said.get('firmware')} runs, boot {boot}")
    if said.get("restarts"):
        yield Finding("start", ERROR, f"parts of it had to be started again: {said['restarts']}", "`pigtail logs` shows why")
    if said.get("config_error"):
        yield Finding("config", ERROR, str(said["config_error"]), "correct that key: `pigtail config set`")
    if said.get("profile_error") and case.identity is not None:  # else it is told
        yield Finding("profile", ERROR, str(said["profile_error"]), f"`{case.deploy} --vehicle NAME`")
