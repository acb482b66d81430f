"""Whom the profile's text allows to ask, what is asked on schedule, and by which signals the vehicle's state is known: loaded
at the start, where the gate may open, and forgotten."""

import deflate
import json
from binascii import unhexlify
from pigtail.signals.profile import LOW_HALF, row_of

_AWAKE = ("awake",)


def identity(path: str) -> str:
    """That of the packed profile in this file, as hex: the questions are the same with whatever periods. Raises OSError."""
    with open(path, "rb") as f:
        f.seek(-4, 2)
        return "%08x" % int.from_bytes(f.read(), "little")


def load(profile):
    """(ECUs as the text has them; states: name to (row, index, raw values); requests as `diag.poller` has them). Raises
    ValueError or KeyError for a text that is not as the tools write it."""
    states = {}
    with open(profile.path, "rb") as f:
        f.seek(profile.text_at)
        with deflate.DeflateIO(f, deflate.ZLIB) as text:
            head = json.loads(text.readline())
            names = {told["name"]: told["name"] for told in head.get("ecus", ()) if "rx_id" in told}
            requests = [_request(told, names) for told in head.get("requests", ())]
            wanted = head.get("states", {})
            for i in range(profile.signals if wanted else 0):
                if i and profile.classes[i - 1] & LOW_HALF:
                    continue
                line = text.readline()
                for name in wanted:
                    if wanted[name]["signal"].encode() in line and json.loads(line)["name"] == wanted[name]["signal"]:
                        states[name] = row_of(profile, i), i, wanted[name]["raw"]
    _check_prefixes(head.get("ecus", ()))
    if len(states) < len(wanted):
        raise ValueError("states")  # a profile that the tools have checked has them all
    return head.get("ecus", ()), states, requests


def _check_prefixes(ecus):
    """Behind one id the first byte is for all an address, or for all a length: the gate judges by that."""
    prefixed = {}
    for told in ecus:
        key = told["tx_id"], told.get("is_extended_id", False)
        if prefixed.setdefault(key, "prefix" in told) != ("prefix" in told):
            raise ValueError("two ecus have one tx_id, with a prefix and without")


def _request(told, names):
    """The same texts and tuples for all where they can be: there may be many."""
    states = tuple(told.get("while", _AWAKE))
    windows = tuple([n for window in told["windows"] for n in window])
    if told["period_ms"] < 1 or not told["request"]:
        raise ValueError("requests")
    return (
        names[told["ecu"]], unhexlify(told["request"]), told["period_ms"], told.get("priority", 0),
        _AWAKE if states == _AWAKE else states, windows,
    )  # fmt: skip
