"""A change that came over the air: on trial for one boot, kept only when the device is at a broker with it.

A command writes /config.try. The start renames it to /config.tried before it comes into force, so whatever ends that boot (the
time limit here, the watchdog, a power cut) leaves the next one a trial that failed, and /config.json as it was.
"""

import json
import os
from asyncio import sleep_ms
from micropython import const
from pair import Pair
from pigtail.config import change

_LIMIT_MS = const(300_000)
_TURN_MS = const(500)
_TRY, _TRIED, _PATH = "/config.try", "/config.tried", "/config.json"
_KEPT = "schema", "version", "device", "command.key"  # without these the owner would not find it again


def propose(changes: dict) -> int:
    """Puts what is in force with `changes` on trial, from the next start on; a key with None is as if it was never set. Returns
    the version. Raises as `change.set_key`."""
    for key in changes:
        if key in _KEPT:
            raise ValueError(key + ": not over the air")
    if _TRIED[1:] in os.listdir("/"):
        raise ValueError("a change is on trial")
    config = change.read()
    for key in changes:
        config[key] = changes[key]
        if changes[key] is None:
            del config[key]
    return change.write(config, _TRY)


def begin():
    """(the file that is on trial in this boot, None), or (None, what became of it)."""
    try:
        if _TRY[1:] not in os.listdir("/"):
            return None, _take_back()
        os.rename(_TRY, _TRIED)
        return _read(), None
    except OSError as error:
        return None, "no change can be tried: %s" % error


def refuse(error) -> str:
    """Ends the trial before it began; what became of it."""
    try:
        os.remove(_TRIED)
    except OSError:
        pass  # the next start tries again
    return "the change was refused: %s" % error


def _take_back():
    """Its version counts: no two configurations have the same."""
    try:
        change.set_key("version", json.loads(_read())["version"])
    except (ValueError, KeyError, TypeError):
        pass
    os.remove(_TRIED)
    return "the change was taken back: no broker could be reached with it"


def _read():
    with open(_TRIED, "rb") as f:
        return f.read()


async def watch(version: int, uplink, client, restart) -> None:
    """Keeps what is on trial, of this version, once the broker lets the device read commands; does `restart()`, without it, when
    that takes too long."""
    for _ in range(_LIMIT_MS // _TURN_MS):
        await sleep_ms(_TURN_MS)
        if uplink.state == "online" and getattr(client, "granted", True):  # without commands there is nothing to grant
            break
    else:
        return restart()
    try:
        text = _read()
        if json.loads(text)["version"] == version:
            os.rename(_TRIED, _PATH)
            Pair("/config").write(text)
    except (OSError, MemoryError):
        restart()
