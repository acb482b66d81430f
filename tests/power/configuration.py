"""The configuration's power cuts: written by somebody, changed by the device, tried, kept, taken back; cut at every program and
erase, in each way in which a cut can tear it.

`micropython configuration.py SEED [BUG]`: what comes into force is what was there before that step or what it was to
be, and after two starts nothing of a trial is left. With a bug seeded it prints what was caught.
"""

import asyncio
import json
import os
import random
import vfs

from nor import Nor, apply, torn
from pigtail.config import change, store, trial

_SIZE, _BLOCKS = 512, 64
_PAD = {"S%d" % i: 1000 for i in range(20)}  # more than a block


class Cut(Exception):
    """A power cut after which something does not hold that must."""


class Broker:
    state, granted = "online", True


async def _at_once(ms):
    pass


def _mounted(nor):
    vfs.mount(vfs.VfsLfs2(nor), "/")
    os.chdir("/")


def _somebody_writes(port):
    """As `pigtail config push` does."""
    with open("/config.json.new", "w") as f:
        json.dump({"mqtt.port": port, "periods": _PAD}, f)
    os.rename("/config.json.new", "/config.json")


def _in_force():
    config, error = store.load()
    return config["mqtt.port"], error


def _keep():
    asyncio.run(trial.watch(json.loads(_content("/config.tried"))["version"], Broker, Broker, None))


def _content(path):
    with open(path, "rb") as f:
        return f.read()


def _steps():
    """(what is done, the ports that may be in force when the power goes while it is done)."""
    yield lambda: _somebody_writes(1000), {1883, 1000}
    yield _in_force, {1000}
    port = 1000
    for n in range(1, 7):
        fresh = 1000 + n
        if n % 3 == 0:
            yield lambda fresh=fresh: _somebody_writes(fresh), {port, fresh}
            yield _in_force, {fresh}
            port = fresh
            continue
        if n % 3 == 1:
            yield lambda port=port: change.set_key("mqtt.port", port), {port}
            yield _in_force, {port}
        yield lambda fresh=fresh: trial.propose({"mqtt.port": fresh}), {port, fresh}
        yield _in_force, {port, fresh}  # renamed, it is taken back
        if n % 2:
            yield _keep, {port, fresh}
            port = fresh
        yield _in_force, {port}


def _script(nor):
    """Runs it once; (operations so far, the ports allowed from there on)."""
    facts = []
    _mounted(nor)
    for step, allowed in _steps():
        facts.append((len(nor.journal), allowed))
        step()
    vfs.umount("/")
    return facts


def _survives(left, allowed):
    _mounted(Nor(_BLOCKS, _SIZE, left))
    try:
        port, _ = _in_force()
        if port not in allowed:
            raise Cut("%d is in force, not of %r" % (port, allowed))
        for _ in range(2):  # a trial that the cut left is taken back, with a version of its own
            port, error = _in_force()
        if port not in allowed or error:
            raise Cut("then %d is in force (%s), not of %r" % (port, error, allowed))
        if [name for name in os.listdir("/") if name.startswith("config.tr") and not name.endswith(".new")]:
            raise Cut("something is on trial for ever")
        if change.set_key("mqtt.port", 2000) and _in_force() != (2000, None):
            raise Cut("it cannot be changed any more")
    finally:
        vfs.umount("/")


def cuts(seed):
    """How many were survived. Raises Cut at the first that was not."""
    random.seed(seed)
    trial.sleep_ms = _at_once
    nor = Nor(_BLOCKS, _SIZE)
    vfs.VfsLfs2.mkfs(nor)
    start, nor.journal = bytearray(nor.data), []
    try:
        facts = _script(nor)
    except (OSError, ValueError) as error:
        raise Cut("the script itself: %s" % error)  # noqa: B904 (MicroPython has no chaining)
    for n, operation in enumerate(nor.journal):
        allowed = [ports for operations, ports in facts if operations <= n][-1]
        for way in range(4):
            left = bytearray(start)
            torn(left, _SIZE, operation, way)
            try:
                _survives(left, allowed)
            except (Cut, OSError, ValueError, KeyError) as error:
                raise Cut("operation %d of %d, way %d: %s" % (n, len(nor.journal), way, error))  # noqa: B904 (MicroPython has no chaining)
        apply(start, _SIZE, operation)
    return 4 * len(nor.journal)


class TriedForEver:
    """A bug: a trial that failed is not taken back but tried again."""

    @staticmethod
    def begin():
        if "config.try" in os.listdir("/"):
            os.rename("/config.try", "/config.tried")
        return _content("/config.tried"), None


class RemovedFirst:
    """A bug: the old file goes before the new one takes its name."""

    listdir, remove = os.listdir, os.remove

    @staticmethod
    def rename(old, new):
        if new[1:] in os.listdir("/"):
            os.remove(new)
        os.rename(old, new)


def main(seed, bug=None):
    vfs.umount("/")
    if bug == "tried_for_ever":
        trial.begin = TriedForEver.begin
    elif bug == "removed_first":
        trial.os = change.os = RemovedFirst
    try:
        print("%d cuts survived" % cuts(int(seed)))
    except Cut as error:
        print("caught: %s" % error)
