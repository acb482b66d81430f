"""A change of the configuration on flash by the device itself. What it writes is checked at the next start, as all is."""

import json
import os
from pair import Pair

_PATH = "/config.json"
_LAST_GOOD = "/config"


def set_period(signal: str, period_ms: int) -> int:
    """Sets a signal's period and counts the version up; returns the version. Raises ValueError where there is a file that is not
    in force, or a number is out of range; OSError when the flash refuses, the file then stays as it was."""
    last_good = Pair(_LAST_GOOD).read() or b"{}"
    try:
        with open(_PATH, "rb") as f:
            if f.read() != last_good:
                raise ValueError("config.json is not the one in force")
    except OSError:
        pass  # there is none: then it is made
    config = json.loads(last_good)
    periods = config.setdefault("periods", {})
    periods[signal] = period_ms
    version = config.get("version", 0) + 1
    if version > 0xFFFF or len(periods) > 64 or not 0 <= period_ms <= 3600000:
        raise ValueError("takes 0 (on change) to 3600000 ms, 64 signals at most, and 65535 changes")
    config["version"] = version
    with open(_PATH + ".new", "w") as f:
        json.dump(config, f)
    os.rename(_PATH + ".new", _PATH)
    return version
