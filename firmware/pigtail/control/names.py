"""Finds signals by their names in the profile's text, a few lines at a time: the bus is read in between."""

import deflate
import json
from micropython import const
from pigtail.signals.profile import LOW_HALF

_LINES = const(8)


def find(profile, names):
    """A generator; its value has for each name that is there (index of the descriptor, length, signed, float, scale, offset)."""
    found = {}
    wanted = [name.encode() for name in names]
    with open(profile.path, "rb") as f:
        f.seek(profile.text_at)
        with deflate.DeflateIO(f, deflate.ZLIB) as text:
            text.readline()
            for i in range(profile.signals):
                if i % _LINES == _LINES - 1:
                    yield
                if i and profile.classes[i - 1] & LOW_HALF:
                    continue
                line = text.readline()
                if any([name in line for name in wanted]):
                    t = json.loads(line)
                    if t["name"] not in names:
                        continue
                    found[t["name"]] = i, t["length"], t["signed"], t.get("float", False), t.get("scale", 1), t.get("offset", 0)
    return found
