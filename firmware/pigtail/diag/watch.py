"""Watches for trouble codes that come after asking began: asking may be what upset the car, so the gate is muted then.

Each ECU is asked for its stored codes before all else, and once a minute: as ISO 14229-1 says, or else SAE J1979, where its id
is one of that.
"""

from micropython import const
from pigtail import once
from pigtail.diag.isotp import Failure

_PERIOD_MS = const(60000)
_PRIORITY = const(1000)
_STORED = b"\x19\x02\x0c"  # pending or confirmed
_OBD_STORED = b"\x03"


class Codes:
    """Those of one ECU; it takes answers of the poller's."""

    def __init__(self, name, is_obd, guard, tell):
        self._name = name
        self._is_obd = is_obd
        self._guard = guard
        self._tell = tell
        self._known = None
        self._latest = b""

    def heard(self, answer) -> None:
        if answer == self._latest:
            return
        codes = _codes(answer)
        self._latest = answer
        if self._known is None:
            self._known = codes
        for code in codes - self._known:
            self._known.add(code)
            self._guard.mute("dtc")
            self._tell("dtc", "%s %s" % (self._name, once.call("pigtail.diag.dtc", "text", code)))

    def instead(self):
        if self._is_obd:
            self._is_obd, self._known = False, None
            return _OBD_STORED
        return None


def _codes(answer):
    """As `diag.dtc.codes` has them, which is too large to be loaded for each answer."""
    is_uds = answer[0] == 0x59
    at, size = (3, 4) if is_uds else (2, 2)
    rows = (len(answer) - at) // size
    if len(answer) < at or is_uds and len(answer) != at + rows * size or not is_uds and rows < answer[1]:
        raise Failure("form")
    rows = rows if is_uds else answer[1]
    codes = {answer[i] << 16 | answer[i + 1] << 8 | (answer[i + 2] if is_uds else 0) for i in range(at, at + rows * size, size)}
    return codes if is_uds else codes - {0}  # some ECUs fill up with zeros


def requests(servers, guard, tell) -> list:
    """What the poller is to ask, besides its schedule, of `servers` (name to uds.Server)."""
    found = []
    for name, server in servers.items():
        tx_id = server.ecu.tx_id  # ISO 15765-4: 7E0 to 7E7, or 18DAxxF1
        is_obd = tx_id & 0x1FFF00FF == 0x18DA00F1 if server.ecu.is_extended_id else tx_id >> 3 == 0x7E0 >> 3
        taker = Codes(name, is_obd, guard, tell)
        found.append((name, _STORED, _PERIOD_MS, _PRIORITY, ("awake",), taker))
    return found
