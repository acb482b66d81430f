"""The configuration on flash: /config.json is what somebody wrote, the pair /config is the last one that was good. What is on
trial comes first, see `trial`."""

import json
import os
from micropython import const
from pair import Pair
from pigtail.config.migrations import migrate
from pigtail.config.schema import ConfigError, check

_PATH = "/config.json"
_LAST_GOOD = "/config"
_DEEPEST = const(3)  # brackets within brackets


def load():
    """(configuration, None), or (last good configuration or the defaults, one line that says what is wrong with the file)."""
    there, news = os.listdir("/"), None
    if "config.try" in there or "config.tried" in there:
        from pigtail.config import trial  # here: hardly ever

        text, news = trial.begin()
        try:
            if text is not None:
                return _checked(text), None
        except (ValueError, ConfigError) as error:
            news = trial.refuse(error)
    config, error = _load()
    return config, error or news


def _load():
    pair = Pair(_LAST_GOOD)
    last_good = pair.read()
    try:
        with open(_PATH, "rb") as f:
            written = f.read()
        config = _checked(written)
    except OSError:
        if last_good is None:
            return check({}), None
        return _last(last_good), "config.json is missing"
    except MemoryError:
        return _last(last_good), "config.json is too long"
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


def _checked(text):
    """Raises ValueError for what is not JSON, ConfigError for what is wrong in it."""
    given = _parsed(text)
    return check(migrate(given) if type(given) is dict else given)


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
            if depth > _DEEPEST:
                break
        elif c in b"}]":
            depth -= 1
    if depth:
        raise ValueError
    return json.loads(text)


def _last(payload):
    """What the pair holds was checked when it was written; a firmware that no longer takes it starts from the defaults."""
    try:
        return _checked(payload) if payload else check({})
    except (ValueError, ConfigError):
        return check({})
