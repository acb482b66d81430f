"""The configuration on flash: /config.json is what somebody wrote, the pair /config is the last one that was good."""

import json
import os
from pair import Pair
from pigtail.config.schema import ConfigError, check

_PATH = "/config.json"
_LAST_GOOD = "/config"


def load():
    """(configuration, None), or (last good configuration or the defaults, one line that says what is wrong with the file)."""
    pair = Pair(_LAST_GOOD)
    last_good = pair.read()
    try:
        with open(_PATH, "rb") as f:
            written = f.read()
    except OSError:
        written = None
    if written is None:
        if last_good is None:
            return check({}), None
        return _last(last_good), "config.json is missing"
    try:
        config = check(_parsed(written))
    except ValueError:
        return _last(last_good), "config.json is not JSON"
    except ConfigError as error:
        return _last(last_good), "config.json: " + str(error)
    if written != last_good:
        try:
            pair.write(written)
        except OSError:
            return config, "config.json is in force, but flash keeps no copy"
    return config, None


def set_in(key: str, name: str, value) -> int:
    """Sets `name` in the object `key` of config.json and counts its version up; returns the version. Raises ValueError, one line,
    when the file was no good or would be none; OSError when the flash refuses, the file then stays as it was."""
    try:
        with open(_PATH, "rb") as f:
            written = f.read()
    except OSError:
        written = Pair(_LAST_GOOD).read() or b"{}"
    try:
        given = _parsed(written)
        check(given)
        given[key] = dict(given.get(key, {}))
        given[key][name] = value
        given["version"] = given.get("version", 0) + 1
        check(given)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    with open(_PATH + ".new", "w") as f:
        json.dump(given, f)
    os.rename(_PATH + ".new", _PATH)
    return given["version"]


def _parsed(text):
    """MicroPython's json takes a file that was cut off for a whole one; here it is a ValueError like all that is not JSON."""
    depth = 0
    quoted = escaped = False
    for c in text:
        if escaped:
            escaped = False
        elif c == 0x22:
            quoted = not quoted
        elif quoted:
            escaped = c == 0x5C
        elif c in b"{[":
            depth += 1
        elif c in b"}]":
            depth -= 1
    if depth:
        raise ValueError
    return json.loads(text)


def _last(payload):
    """What the pair holds was checked when it was written; a firmware that no longer takes it starts from the defaults."""
    try:
        return check(json.loads(payload)) if payload else check({})
    except (ValueError, ConfigError):
        return check({})
