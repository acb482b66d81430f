"""The configuration in force as it may be told: without secrets, and in parts that each fit into one message."""

import json
import os
from micropython import const
from pair import Pair
from pigtail.config.migrations import migrate
from pigtail.config.secrets import shown

_ROOM = const(1024)  # bytes of JSON
_TRIED = "config.tried"


def read(skip: int) -> dict:
    """What is set, without its first `skip` entries: as many as there is room for. An entry is a key, or one item of a key that
    has several; `next` is what to skip for the rest, None where there is none. Raises ValueError for a `skip` below 0."""
    if skip < 0:
        raise ValueError("skip: takes 0 or more")
    config = _in_force()
    part, size, i = {}, 0, 0
    for key, value in _entries(config):
        i += 1
        if i <= skip:
            continue
        size += len(json.dumps({key: value}).encode())
        if size > _ROOM and part:
            i -= 1
            break
        if key not in part:
            part[key] = value
        elif isinstance(value, list):
            part[key] += value
        else:
            part[key].update(value)
    else:
        i = None
    return {"version": config.get("version", 0), "config": part, "next": i}


def _in_force():
    """What is on trial, or else the last that was good."""
    if _TRIED in os.listdir("/"):
        with open("/" + _TRIED, "rb") as f:
            text = f.read()
    else:
        text = Pair("/config").read() or b"{}"
    return migrate(json.loads(text))


def _entries(config):
    for key in sorted(config):
        value = shown(key, config[key])
        if isinstance(value, dict) and value:
            for name in sorted(value):
                yield key, {name: value[name]}
        elif isinstance(value, list) and value:
            for item in value:
                yield key, [item]
        else:
            yield key, value
