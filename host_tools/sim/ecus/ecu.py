"""One virtual ECU on the bus: which frames are for it, what it does with them, and what became of that."""

from collections import Counter
from collections.abc import Iterator, Sequence

import can

from host_tools.sim.ecus.facts import Behaviour, Facts, Spans
from host_tools.sim.ecus.segments import Frame, Receiver, Sender, framed
from host_tools.sim.ecus.server import Server

_SINGLE, _FIRST, _CONSECUTIVE, _FLOW = range(4)
_NEGATIVE, _PENDING = 0x7F, 0x78
_STEP_S = 0.001  # between frames of a flood
_LONGEST_STANDARD = 0x7FF
_AS_USUAL = Behaviour()


class VirtualEcu:
    """`counts`: requests asked and answered, those dropped since an answer was under way, alarms, and how long answers ended."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.counts = Counter[str](asked=0, answered=0)
        self._server = Server(facts)
        self._receiver = Receiver(facts)
        self._senders: list[Sender] = []
        self._seen = Counter[int]()  # requests that a behaviour is for

    def take(self, frame: can.Message) -> list[can.Message]:
        """What this ECU sends upon a frame, in any order; both with their times in s since the car started."""
        facts, at = self.facts, frame.timestamp
        functional = frame.arbitration_id in facts.functional
        is_mine = frame.is_extended_id == facts.is_extended_id and (functional or frame.arbitration_id == facts.tx_id)
        prefix = b"" if facts.prefix is None else bytes([facts.prefix])
        data = bytes(frame.data)
        if not is_mine or frame.is_remote_frame or not data.startswith(prefix):
            return []
        data = data[len(prefix) :]
        self.counts["alarms"] += _within(facts.alarm, at)
        if _within(facts.asleep, at) or not data:
            return []
        kind = data[0] >> 4
        if kind == _SINGLE:
            return self._request(data[1 : 1 + data[0]], at, functional) if 0 < data[0] < len(data) else []
        if functional or len(data) < 3:
            return []
        if kind == _FIRST:
            return self._messages(self._receiver.first(at, data))
        if kind == _CONSECUTIVE:
            request, frames = self._receiver.consecutive(at, data)
            return self._messages(frames) + (self._request(request, at, False) if request else [])
        return self._flow(at, data) if kind == _FLOW else []

    def _flow(self, at: float, data: bytes) -> list[can.Message]:
        waiting = [sender for sender in self._senders if sender.awaits(at)]
        sent = self._messages(waiting[-1].flow(at, data), waiting[-1].answer_id) if waiting else []
        self._forget()
        return sent

    def _request(self, request: bytes, at: float, functional: bool) -> list[can.Message]:
        self.counts["asked"] += 1
        waiting = [sender for sender in self._senders if sender.awaits(at)]
        self._forget()
        if waiting:
            self.counts["dropped"] += 1
            return []
        manners = self._manners(request, at)
        payload = manners.answer if manners.answer is not None else self._server.answer(request, at, functional)
        if manners.nrc is not None:
            payload = bytes([_NEGATIVE, request[0], manners.nrc])
        at += (self.facts.delay_ms if manners.delay_ms is None else manners.delay_ms) / 1000
        if manners.silent:
            return []
        if manners.frames:
            return self._messages([(at + n * _STEP_S, data) for n, data in enumerate(manners.frames)], manners.answer_id)
        return list(self._answer(request, payload, manners, at)) if payload is not None else []

    def _answer(self, request: bytes, payload: bytes, manners: Behaviour, at: float) -> Iterator[can.Message]:
        self.counts["answered"] += 1
        flow_control = framed(self.facts, b"\x30\0\0")
        yield from self._messages([(at + n * _STEP_S, flow_control) for n in range(manners.flow_controls)], manners.answer_id)
        at += manners.flow_controls * _STEP_S
        pending = framed(self.facts, bytes([3, _NEGATIVE, request[0], _PENDING]))
        yield from self._messages(
            [(at + n * manners.pending_ms / 1000, pending) for n in range(manners.pending)], manners.answer_id
        )
        at += manners.pending * manners.pending_ms / 1000
        for n in range(manners.copies):
            sender = Sender(self.facts, payload, manners, at + n * manners.copies_ms / 1000)
            self._senders.append(sender)
            yield from self._messages(sender.begin(), manners.answer_id)

    def _manners(self, request: bytes, at: float) -> Behaviour:
        """The first behaviour that is for this request now; each counts the requests that it would be for."""
        chosen = _AS_USUAL
        for n, behaviour in enumerate(self.facts.behaviours):
            if not request.startswith(behaviour.request) or not behaviour.since <= at < behaviour.until:
                continue
            self._seen[n] += 1
            if chosen is _AS_USUAL and behaviour.after < self._seen[n] <= behaviour.after + behaviour.times:
                chosen = behaviour
        return chosen

    def _forget(self) -> None:
        """Lets go of answers that are over."""
        for sender in self._senders:
            if sender.outcome:
                self.counts[sender.outcome] += 1
        self._senders = [sender for sender in self._senders if not sender.is_over]

    def _messages(self, frames: Sequence[Frame], answer_id: int | None = None) -> list[can.Message]:
        identity = self.facts.rx_id if answer_id is None else answer_id
        is_extended = self.facts.is_extended_id if answer_id is None else answer_id > _LONGEST_STANDARD
        return [can.Message(at, identity, is_extended, data=data, is_rx=True) for at, data in frames]


def _within(spans: Spans, at: float) -> bool:
    return any(start <= at < end for start, end in spans)
