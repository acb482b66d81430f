"""Watches for trouble codes that come after asking began: asking may be what upset the car, so the gate is muted then.

Each ECU is asked for its pending and confirmed codes before all else, and once a minute, in every state of the vehicle in which
it is asked for anything: as ISO 14229-1 says, or else SAE J1979, where its id is one of that.
"""

from micropython import const
from pigtail import once
from pigtail.diag.isotp import Failure

_PERIOD_MS = const(60000)
_PRIORITY = const(1000)
_STORED = b"\x19\x02\x0c"  # pending or confirmed
_OBD_STORED, _OBD_PENDING = const(0x03), const(0x07)  # asked in turn


class Codes:
    """Those of one ECU; it takes answers of the poller's."""

    START_ONLY = ("requests",)

    def __init__(self, name, is_obd, guard, tell):
        self._name = name
        self._guard = guard
        self._tell = tell
        self._asks = bytearray(1) if is_obd else None  # by SAE J1979, which the poller has as well; 0: not yet
        self._known = set()
        self._first = 1  # answers to come that tell what was there before

    def heard(self, answer):
        """Whether it is to be asked again at once."""
        codes, asks = _codes(answer), self._asks
        if self._first:
            self._first -= 1
            self._known |= codes
        for code in codes - self._known:
            self._known.add(code)
            self._guard.mute("dtc")
            self._tell("dtc", "%s %s" % (self._name, once.call("pigtail.diag.dtc", "text", code)))
        if asks and asks[0]:
            asks[0] ^= _OBD_STORED ^ _OBD_PENDING
            return asks[0] == _OBD_PENDING

    def instead(self):
        asks = self._asks
        if not asks or asks[0] == _OBD_STORED or not (asks[0] or self._first):  # it has told its codes: that is its way
            return None
        if asks[0]:
            self._asks, self._first = None, 0
            self._tell("unsupported", self._name + " 07: only 03")
        else:
            self._first, self._known = 2, set()
        asks[0] = _OBD_STORED
        return asks

    @staticmethod
    def requests(servers, schedule, guard, tell) -> list:
        """What the poller is to ask, beside its schedule, of `servers` (name to uds.Server)."""
        found = []
        for name, server in servers.items():
            states = {"awake"}
            for request in schedule:
                if request[0] == name:
                    states.update(request[4])
            tx_id = server.ecu.tx_id  # ISO 15765-4: 7E0 to 7E7, or 18DAxxF1
            is_obd = tx_id & 0x1FFF00FF == 0x18DA00F1 if server.ecu.is_extended_id else tx_id >> 3 == 0x7E0 >> 3
            taker = Codes(name, is_obd, guard, tell)
            found.append((name, _STORED, _PERIOD_MS, _PRIORITY, tuple(states), taker))
        return found


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
