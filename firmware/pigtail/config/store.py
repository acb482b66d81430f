"""The configuration on flash: /config.json is what somebody wrote, the pair /config is the last one that was good."""

import json
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
