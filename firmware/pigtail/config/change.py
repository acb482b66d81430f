"""A change of the configuration on flash by the device itself. What it writes is checked at the next start, as all is."""

import json
import os
from pair import Pair
from pigtail.config.migrations import migrate

_PATH = "/config.json"
_LAST_GOOD = "/config"


def set_period(signal: str, period_ms: int) -> int:
    """Sets a signal's period; as `set_key`, and raises ValueError for a number out of range."""
    config = read()
    periods = config.setdefault("periods", {})
    periods[signal] = period_ms
    if len(periods) > 64 or not 0 <= period_ms <= 3600000:
        raise ValueError("takes 0 (on change) to 3600000 ms, and 64 signals at most")
    return write(config, _PATH)


def set_key(key: str, value) -> int:
    """Sets a key and counts the version up; returns the version. Raises ValueError where there is a file that is not in force,
    or after 65535 changes; OSError when the flash refuses, the file then stays as it was."""
    config = read()
    config[key] = value
    return write(config, _PATH)


def read() -> dict:
    """What is in force, of today's schema. Raises ValueError where there is a file that is not."""
    last_good = Pair(_LAST_GOOD).read() or b"{}"
    try:
        with open(_PATH, "rb") as f:
            if f.read() != last_good:
                raise ValueError("config.json is not the one in force")
    except OSError:
        pass  # there is none: then it is made
    return migrate(json.loads(last_good))


def write(config: dict, path: str) -> int:
    """Counts the version up and makes `config` the file `path`, whole or not at all. Raises as `set_key`."""
    version = config.get("version", 0) + 1
    if version > 0xFFFF:
        raise ValueError("takes 65535 changes")
    config["version"] = version
    with open(path + ".new", "w") as f:
        json.dump(config, f)
    os.rename(path + ".new", path)
    return version
