"""The profile's signals as lines of a file, so that a command finds one without the memory that inflating the text takes. Made
while the device starts, once for each profile."""

import deflate
import json
import os
from pigtail.signals.profile import LOW_HALF

_PATH = "/signals"


def make(profile) -> None:
    """Writes the file unless it is this profile's: its identity, then for each signal JSON [index of the descriptor, name,
    length, signed, float, scale, offset]. Where that cannot be, there is none of this profile, and commands that need it fail."""
    head = b"%08x\n" % profile.identity
    try:
        with open(_PATH, "rb") as f:
            if f.readline() == head:
                return
    except OSError:
        pass  # none yet
    try:
        with open(profile.path, "rb") as f, open(_PATH + ".new", "wb") as out:
            out.write(head)
            f.seek(profile.text_at)
            with deflate.DeflateIO(f, deflate.ZLIB) as text:
                text.readline()
                for i in range(profile.signals):
                    if not (i and profile.classes[i - 1] & LOW_HALF):
                        t = json.loads(text.readline())
                        fields = [i, t["name"], t["length"], t["signed"]]
                        fields += [t.get("float", False), t.get("scale", 1), t.get("offset", 0)]
                        out.write(json.dumps(fields))
                        out.write(b"\n")
        os.rename(_PATH + ".new", _PATH)
    except (OSError, ValueError, KeyError, MemoryError):
        pass
