"""Runs the commands that are about the device itself: loaded for one and forgotten, as is each of its steps."""

import json
from micropython import const
from pigtail import once, uptime

_MOST = const(16)  # signals of a snapshot, ids of a capture
_LONGEST_MS, _MOST_FRAMES = const(60_000), const(100_000)
_LINES = const(8)  # of the list of signals, between two turns of the bus


def run(commands, name, given):
    """A generator that returns the result. Raises ValueError, with one line, for arguments that it cannot take, or OSError."""
    if name == "snapshot":
        found = yield from _find(commands.profile, given["signals"])
        return once.call("pigtail.control.snapshot", "snapshot", commands.profile, commands.values, found)
    if name == "set_period":
        name, ms = given["signal"], given["period_ms"]
        found = yield from _find(commands.profile, [name])
        fault = once.call("pigtail.signals.reschedule", "fault", commands.profile, found[name][0], ms)
        if fault:
            raise ValueError(fault)
        version = once.call("pigtail.config.change", "set_period", name, ms)
        commands.restarts = True
        return {"version": version}
    if name == "config":
        version = once.call("pigtail.config.trial", "propose", given["set"])
        commands.restarts = True
        return {"version": version}
    if name == "settings":
        return once.call("pigtail.config.telling", "read", given["skip"])
    if name == "capture":
        return _captured(commands, given["ids"], given["duration_ms"], given["frames"])
    if name == "reboot":
        commands.restarts = True
        return {}
    if name == "flush":
        if commands.sampler:
            commands.sampler.close()
        return {"bytes": commands.outbox.bytes}
    return {"uptime_ms": uptime.ms()}  # ping


def _find(profile, names):
    """For each name what `listing` has written of it."""
    if not 1 <= len(names) <= _MOST or not all([type(name) is str for name in names]):
        raise ValueError("signals: takes 1 to %d names" % _MOST)
    if profile is None:
        raise ValueError("there is no profile")
    found, wanted, i = {}, [name.encode() for name in names], 0
    with open("/signals", "rb") as f:
        if f.readline() != b"%08x\n" % profile.identity:
            raise OSError("no list of signals")
        line = f.readline()
        while line:
            i += 1
            if not i % _LINES:
                yield
            if any([name in line for name in wanted]):
                fields = json.loads(line)
                if fields[1] in names:
                    found[fields[1]] = fields
            line = f.readline()
    for name in names:
        if name not in found:
            raise ValueError("the profile has no " + name)
    return found


def _captured(commands, ids, ms, frames):
    """The frames follow on the topic `capture`."""
    if commands.bus is None:
        raise OSError("no bus")
    if len(ids) > _MOST or not all([type(ident) is int and 0 <= ident < 1 << 30 for ident in ids]):
        raise ValueError("ids: takes up to %d ids, a 29-bit one with bit 29 set" % _MOST)
    if not 1 <= ms <= _LONGEST_MS or not 1 <= frames <= _MOST_FRAMES:
        raise ValueError("duration_ms: takes 1 to %d; frames: 1 to %d" % (_LONGEST_MS, _MOST_FRAMES))
    if commands.capture:
        raise ValueError("one is under way")
    bus, number = commands.bus, commands.captures + 1
    told = commands.base + "/capture", commands.outbox.boot, commands.clock, number
    commands.begin(once.call("pigtail.can.capture", "Capture", bus, *told, ids, ms, frames))
    if bus.admit_all and not (ids and all([_is_admitted(commands, ident) for ident in ids])):
        commands.capture.open_filters()
    return {"capture": number}


def _is_admitted(commands, ident):
    """Whether the filters let it in, for the profile or for who asks; without a profile they let in all."""
    profile, asked = commands.profile, commands.tester.ids() if commands.tester else ()
    if profile is None:
        return True
    if any([ident & asked[i + 1] == asked[i] for i in range(0, len(asked), 2)]):
        return True
    return any([profile.message_id(m) == ident and not profile.is_window(m) for m in range(profile.messages)])
