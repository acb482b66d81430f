"""Which profile is in force: the configured one; the same without the owner's periods; the last good one; or none.

A profile that was loaded and checked is kept once as /profile.good, so that a damaged or foreign file costs no signal.
"""

import os
from pigtail.signals.profile import Profile, ProfileError

_LAST_GOOD = "/profile.good"


def load(path: str, periods: dict):
    """(profile, None), or (what is used instead, None where there is nothing, and one line that says why)."""
    why = None
    for candidate, own in (path, periods), (path, None), (_LAST_GOOD, None):
        try:
            profile = _load(candidate, own)
        except (ProfileError, OSError) as error:
            why = why or "%s: %s" % (candidate, error)
            continue
        if candidate == path:
            why = _keep(path) or why
        return profile, why
    return None, why


def _load(path, periods):
    if not periods:
        return Profile(path)
    from pigtail.signals.reschedule import scheduled  # only where the owner has set periods

    return scheduled(path, periods)


def _keep(path):
    """Copies the file unless the copy has its identity; a text when flash refuses."""
    if _identity(path) == _identity(_LAST_GOOD):
        return None
    try:
        with open(path, "rb") as source, open(_LAST_GOOD + ".new", "wb") as copy:
            piece = source.read(512)
            while piece:
                copy.write(piece)
                piece = source.read(512)
        os.rename(_LAST_GOOD + ".new", _LAST_GOOD)
    except OSError:
        return "flash keeps no copy of the profile"


def _identity(path):
    """The CRC at the file's end, None where there is no file."""
    try:
        with open(path, "rb") as f:
            f.seek(-4, 2)
            return f.read(4)
    except OSError:
        return None
