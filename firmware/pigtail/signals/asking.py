"""Whom the profile's text allows to ask, and by which signals the vehicle's state is known: loaded at the start, where the gate
may open, and forgotten."""

import deflate
import json
from pigtail.signals.profile import LOW_HALF, row_of


def load(profile):
    """(ECUs as the text has them; states: name to (row, index, raw values)). Raises ValueError or KeyError for a text that is not
    as the tools write it."""
    states = {}
    with open(profile.path, "rb") as f:
        f.seek(profile.text_at)
        with deflate.DeflateIO(f, deflate.ZLIB) as text:
            head = json.loads(text.readline())
            wanted = head.get("states", {})
            for i in range(profile.signals if wanted else 0):
                if i and profile.classes[i - 1] & LOW_HALF:
                    continue
                line = text.readline()
                for name in wanted:
                    if wanted[name]["signal"].encode() in line and json.loads(line)["name"] == wanted[name]["signal"]:
                        states[name] = row_of(profile, i), i, wanted[name]["raw"]
    if len(states) < len(wanted):
        raise ValueError("states")  # a profile that the tools have checked has them all
    return head.get("ecus", ()), states
