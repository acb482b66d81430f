"""The one gate: every frame that this device sends passes `send`, and only what reads may pass.

It judges the bytes that would go on the bus, not what somebody says of them: an ISO-TP single frame (ISO 15765-2, 9.6.2) with a
service that reads, or a flow control for an answer under way, to an id that the profile names. First and consecutive frames
do not pass: no request that reads needs them. What is refused is counted by reason. Nobody else has the controller's `send`.
"""

import struct
from micropython import const
from pigtail import uptime
from time import ticks_diff, ticks_ms

_FRAMES_A_SECOND = const(10)
_HEARTBEAT_MS = const(5000)
_PAUSE_MS = const(300000)  # after another tester was heard
_UNDER_WAY_MS = const(10000)  # the longest that an unanswered request keeps its ECU
_TEC = const(32)  # transmit error counter: four frames in a row that failed (ISO 11898-1, 12.1.4)
_PASSIVE, _BUS_OFF = const(3), const(4)  # machine.CAN.STATE_PASSIVE, STATE_BUS_OFF
_EXTENDED = const(2)  # machine.CAN.FLAG_EXT_ID
_LOG = const(32)  # frames
_SENT = "<II8s"  # uptime in 10 ms, which ticks lose after six days; id, data
_SENT_SIZE = const(16)
_FLOW_CONTROL, _OVERFLOW = const(0x30), const(2)

# What may be asked: service -> lengths that such a request may have. SAE J1979 01 to 0A, ISO 14229-1 19, 22, 3E, and what older
# cars have for reading (ISO 14230-3: 12, 13, 17, 18, 1A, 21). Never 11, 27, 28, 2E, 2F, 31, 34 to 37, 3D, 85, nor anything else.
READS = {
    0x01: b"\2\3\4\5\6\7", 0x02: b"\3\5\7", 0x03: b"\1", 0x05: b"\3", 0x06: b"\2\3\4\5\6\7", 0x07: b"\1", 0x09: b"\2",
    0x0A: b"\1", 0x12: b"\2\3\4\5", 0x13: b"\1\3", 0x17: b"\3", 0x18: b"\4", 0x1A: b"\2", 0x21: b"\2\3",
    0x19: b"\2\3\4\5\6", 0x22: b"\3\5\7", 0x3E: b"\2",
}  # fmt: skip
DEFAULT = b"\x01\x02\x03\x07\x09\x0a\x19\x22\x3e"
_CLEARS = {0x04: b"\1", 0x14: b"\4"}  # by a permission for a single use
_SESSION, _DEFAULT_SESSION, _PROGRAMMING = const(0x10), const(1), const(2)
_DTC, _TESTER_PRESENT = const(0x19), const(0x3E)
_DTC_READS = b"\x01\x02\x03\x04\x06\x0a"  # subfunctions of 19


class Ecu:
    """Whom the profile allows to ask. `prefix`: first byte of every frame where addressing is extended or mixed. `sessions`: what
    the profile states for reading. `safe`: states of the vehicle beside "awake" in which asking is harmless. `functional`:
    several may answer, so none is sent a flow control at this id. `interval_ms`: the least between two requests."""

    def __init__(self, tx_id, is_extended_id=False, prefix=None, sessions=b"", safe=(), functional=False, interval_ms=100):
        if _PROGRAMMING in sessions:
            raise ValueError("ecu %x: the programming session may never be allowed" % tx_id)
        self.tx_id = tx_id
        self.is_extended_id = is_extended_id
        self.prefix = prefix
        self.at = 0 if prefix is None else 1  # where ISO-TP's first byte stands in a frame
        self.sessions = sessions
        self.safe = safe
        self.functional = functional
        self.interval_ms = interval_ms
        self.asked_at = None
        self.is_under_way = False
        self.may_clear = None  # the one clearing service that is permitted, once


class TxGuard:
    """Shut until `open`. `vehicle()` gives "awake", or else "locked", "asleep", "charging", "unknown"; `on_mute(reason)` keeps a
    mute over power cuts, and `muted` is the one that was kept."""

    def __init__(self, ecus, services, vehicle, on_mute, muted=""):
        for service in services:
            if service not in READS:
                raise ValueError("service %02x may never be allowed" % service)
        self._ecus = ecus
        self._services = services
        self._vehicle = vehicle
        self._on_mute = on_mute
        self._send = None
        self._beat_at = None
        self._other_at = None
        self._sent_at = []
        self.muted = muted  # why, until the owner says otherwise
        self._log = bytearray(_LOG * _SENT_SIZE)  # there from the start: what is sent is noted whatever the heap has left
        self.sent = 0
        self.refused = {}  # by reason

    @property
    def log(self) -> list:
        """(uptime in 10 ms, id, data) of the latest frames, oldest first."""
        first = max(0, self.sent - _LOG)
        return [struct.unpack_from(_SENT, self._log, n % _LOG * _SENT_SIZE) for n in range(first, self.sent)]

    def open(self, can) -> None:
        """What is allowed goes out by this controller from now on. Its bit rate must be certain."""
        self._send = can.send
        self._beat_at = ticks_ms()

    def shut(self) -> None:
        self._send = None

    @property
    def is_open(self) -> bool:
        return self._send is not None and not self.muted

    def mute(self, reason: str) -> None:
        """Nothing goes out until the owner says otherwise."""
        if not self.muted:
            self.muted = reason
            self._on_mute(reason)

    def unmute(self) -> None:
        """The owner says otherwise."""
        self.muted = ""
        self._beat_at = ticks_ms()

    def beat(self) -> None:
        """The supervisor is alive."""
        self._check_heartbeat()
        self._beat_at = ticks_ms()

    def watch(self, state: int, transmit_errors: int) -> None:
        """To be called once a second with the controller's state and its transmit error counter."""
        self._forget(ticks_ms())
        self._check_heartbeat()
        if self._send is None:
            return
        if state >= _BUS_OFF:
            self.mute("bus_off")
        elif state == _PASSIVE or transmit_errors >= _TEC:
            self.mute("transmit_errors")

    def heard(self) -> None:
        """Another tester's request came from the bus; `can.ears` tells them."""
        self._other_at = ticks_ms()

    def permit_clear(self, ecu, service: int) -> None:
        """The owner allows to clear this ECU's trouble codes by this service, once."""
        if service not in _CLEARS:
            raise ValueError("service %02x does not clear trouble codes" % service)
        ecu.may_clear = service

    def ended(self, ecu) -> None:
        """Its request was answered, or will not be."""
        ecu.is_under_way = False

    def send(self, arbitration_id: int, is_extended_id: bool, data) -> str:
        """Sends one frame of eight bytes. Returns "" when it is on its way, else why it is not; that is counted."""
        now = ticks_ms()
        self._forget(now)
        self._check_heartbeat()
        ecu = self._ecu(arbitration_id, is_extended_id, data[0] if data else None)
        reason = self._refusal(ecu, data)
        if not reason:
            flags = _EXTENDED if is_extended_id else 0
            try:
                if self._send(arbitration_id, data, flags) is None:
                    reason = "queue"
            except OSError:  # bus-off or listen-only by now, which `watch` has still to see
                reason = "queue"
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
            return reason
        self._note(ecu, data, now)
        return ""

    def _ecu(self, arbitration_id, is_extended_id, first):
        """Whom a frame with this first byte is for; several may stand behind one id, told apart by their prefixes."""
        for ecu in self._ecus:
            if ecu.tx_id == arbitration_id and ecu.is_extended_id == is_extended_id and ecu.prefix in (None, first):
                return ecu

    def _refusal(self, ecu, data):
        if self.muted:
            return "muted"
        if self._send is None:
            return "shut"
        if self._other_at is not None:
            return "other_tester"
        if ecu is None:
            return "id"
        if len(data) != 8:
            return "form"
        reason = self._flow_control(ecu, data[ecu.at]) if _is_flow_control(ecu, data) else self._request(ecu, data)
        if not reason and not self._is_safe(ecu):
            reason = "vehicle"
        if not reason and len(self._sent_at) >= _FRAMES_A_SECOND:
            reason = "budget"
        return reason

    def _flow_control(self, ecu, pci):
        """Only while an answer may come: to this ECU's own request or to a functional one."""
        if pci & 0x0F > _OVERFLOW:
            return "form"
        return "" if self._is_under_way(ecu) and not ecu.functional else "not_under_way"

    def _is_under_way(self, ecu):
        """A request to this ECU, or a functional one, which reaches it; to a functional one any counts."""
        return any(other.is_under_way and (other is ecu or other.functional or ecu.functional) for other in self._ecus)

    def _request(self, ecu, data):
        length = data[ecu.at]
        if length == 0 or ecu.at + length > 7:  # first and consecutive frames among them
            return "form"
        if not self._may_ask(ecu, length, data[ecu.at + 1], data[ecu.at + 2]):
            return "service"
        if self._is_under_way(ecu):
            return "under_way"
        return "" if ecu.asked_at is None else "ecu_budget"

    def _may_ask(self, ecu, length, service, second):
        if service in _CLEARS:
            return service == ecu.may_clear and length in _CLEARS[service]
        if service == _SESSION:
            return length == 2 and bool(ecu.sessions) and (second == _DEFAULT_SESSION or second in ecu.sessions)
        if service not in self._services or length not in READS[service]:
            return False
        if service == _DTC:
            return second in _DTC_READS
        return service != _TESTER_PRESENT or second & 0x7F == 0

    def _is_safe(self, ecu):
        state = self._vehicle()
        if state == "unknown":
            state = "locked"
        return state == "awake" or state in ecu.safe

    def _note(self, ecu, data, now):
        if not _is_flow_control(ecu, data):
            ecu.asked_at = now
            ecu.is_under_way = True
            if data[ecu.at + 1] in _CLEARS:
                ecu.may_clear = None
        self._sent_at.append(now)
        struct.pack_into(_SENT, self._log, self.sent % _LOG * _SENT_SIZE, uptime.ms() // 10, ecu.tx_id, data)
        self.sent += 1

    def _check_heartbeat(self):
        if self._send is not None and ticks_diff(ticks_ms(), self._beat_at) >= _HEARTBEAT_MS:
            self.mute("heartbeat")

    def _forget(self, now):
        """Lets go of times that are over; ticks that are days old could not be told from coming ones."""
        while self._sent_at and ticks_diff(now, self._sent_at[0]) >= 1000:
            self._sent_at.pop(0)
        if self._other_at is not None and ticks_diff(now, self._other_at) >= _PAUSE_MS:
            self._other_at = None
        for ecu in self._ecus:
            if ecu.asked_at is None:
                continue
            age = ticks_diff(now, ecu.asked_at)
            if age >= _UNDER_WAY_MS:
                ecu.is_under_way = False
            if age >= ecu.interval_ms and not ecu.is_under_way:
                ecu.asked_at = None


def _is_flow_control(ecu, data):
    return data[ecu.at] & 0xF0 == _FLOW_CONTROL
