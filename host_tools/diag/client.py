"""Asks through a device: each request is a command, over MQTT or by a cable, and passes the device's gate."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from host_tools.control import NoReply
from host_tools.control.carriers import Send
from host_tools.diag.firmware import Failure
from host_tools.diag.sent import KEPT, Moved, Sent
from host_tools.errors import BrokerError, InputError, PigtailError
from host_tools.reader import Reply

_NEGATIVE = re.compile(r"negative ([0-9a-f]{2})")
_PASSING = ("under_way", "ecu_budget", "budget", "queue")
_TIMES, _PAUSE_S = 6, 0.3
_SILENCES = 2  # questions in a row without a reply: then the device is gone
_STANDARD = 0x7FF
_OBD = range(0x7E0, 0x7E8)  # ISO 15765-4: physical requests
_WIDE_OBD, _WIDE_BITS = 0x18DA00F1, 0x1FFF00FF  # those of 29 bits, and what of them counts


class Refused(PigtailError):
    """The device does not do it; the message says why."""


class TooLong(Refused):
    """What it found has no room in one of its replies."""


@dataclass(frozen=True)
class Ecu:
    """One that the device's profile names; `rx_id` None: functional, many answer."""

    name: str
    tx_id: int
    rx_id: int | None

    @property
    def is_wide(self) -> bool:
        """Whether its id has 29 bits."""
        return self.tx_id > _STANDARD

    @property
    def is_obd(self) -> bool:
        """Whether its id is one of those that SAE J1979 goes to. Those of 29 bits are any ECU's, with emissions or without."""
        return self.tx_id & _WIDE_BITS == _WIDE_OBD if self.is_wide else self.tx_id in _OBD


class Asks(Protocol):
    """Who puts questions to ECUs."""

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        """The positive answer; raises Failure."""
        ...


@dataclass
class Client:
    """Commands `device`, whose replies `send` brings. `silences`: so many questions in a row had none."""

    device: str
    send: Send
    silences: int = 0

    async def gate(self) -> dict[str, Any]:
        """The state of the gate as the device tells it, with all of its log, and how much of that was `overwritten` before it was
        read. Raises Refused, NoReply, BrokerError."""
        told = (await self._done("gate", {"skip": 0})).result
        sent = Sent(told)
        while (skip := sent.skip) is not None:  # a reply has room for some
            try:
                sent.take(skip, (await self._done("gate", {"skip": skip})).result)
            except Moved:
                raise Refused(f"{self.device} was restarted while its log was read: try again") from None
        return {**told, "log": sent.log, "overwritten": sent.overwritten}

    async def ecus(self, name: str | None) -> list[Ecu]:
        """Those that can be asked each by itself, or the one of that name. Raises InputError for none."""
        everyone, found = await self.whom(name)
        if everyone:
            raise InputError(f"--ecu: {name} is several at once, which this does not take; give one of {_names(found)}")
        return found

    async def whom(self, name: str | None) -> tuple[Ecu | None, list[Ecu]]:
        """(the functional one, where that is its name; those that it reaches), or else (None, `ecus`). Raises InputError for
        none."""
        every = [Ecu(*told) for told in (await self._done("gate", {"skip": KEPT})).result["ecus"]]
        found = [ecu for ecu in every if ecu.rx_id is not None]
        if not found:
            raise InputError(f"{self.device} may ask nobody: its profile names no ecus")
        if name is None:
            return None, found
        named = [ecu for ecu in every if ecu.name == name]
        if not named:
            raise InputError(f"--ecu: {self.device} does not know {name!r}; give one of {_names(found)}")
        if named[0].rx_id is None:
            return named[0], [ecu for ecu in found if ecu.is_wide == named[0].is_wide]
        return None, named

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        """The positive answer; where the device is just asking by its schedule, it is told again. Raises Failure where there is
        none, "no_reply" where not even the device says so: what was read before stands. Raises Refused."""
        try:
            return _answer(await self._asked(ecu, request), self.device)
        except TooLong as error:
            raise Failure("too_long") from error

    async def ask_all(self, everyone: Ecu, request: bytes) -> dict[str, bytes | Failure]:
        """What each of those has to say that this functional one reaches, by name. Raises as `ask`."""
        return _answers(await self._asked(everyone, request), self.device)

    async def _asked(self, ecu: Ecu, request: bytes) -> Reply:
        if self.silences >= _SILENCES:  # each more would be waited for in vain
            raise Failure("no_reply")
        for _ in range(_TIMES):
            try:
                reply = await self._send("ask", {"ecu": ecu.name, "request": request.hex()})
            except (NoReply, BrokerError) as error:
                self.silences += 1
                raise Failure("no_reply") from error
            self.silences = 0
            if reply.ok or reply.text not in _PASSING:
                break
            await asyncio.sleep(_PAUSE_S)
        return reply

    async def clear(self, ecu: Ecu, request: bytes) -> None:
        """Clears an ECU's trouble codes. Raises as `ask`."""
        _answer(await self._send("clear", {"ecu": ecu.name, "request": request.hex()}), self.device, False)

    async def allow(self, requests: bool) -> None:
        """Lets the device ask, or forbids it. Raises as `gate`."""
        await self._done("allow", {"requests": requests})

    async def unmute(self) -> None:
        """Ends what has muted the gate. Raises as `gate`."""
        await self._done("unmute", {})

    async def _send(self, command: str, arguments: Mapping[str, object]) -> Reply:
        return await self.send(command, arguments)

    async def _done(self, command: str, arguments: Mapping[str, object]) -> Reply:
        reply = await self._send(command, arguments)
        if not reply.ok:
            raise _refused(reply, self.device)
        return reply


def _names(ecus: Iterable[Ecu]) -> str:
    return ", ".join(ecu.name for ecu in ecus)


def _answer(reply: Reply, device: str, is_wanted: bool = True) -> bytes:
    _check(reply, device)
    answer = _told(reply.result.get("answer"), reply, device) if is_wanted else b"\0"
    if isinstance(answer, Failure):
        raise answer
    return answer


def _answers(reply: Reply, device: str) -> dict[str, bytes | Failure]:
    _check(reply, device)
    answers = reply.result.get("answers")
    if not isinstance(answers, dict):
        raise _odd(reply, device)
    return {name: _told(told, reply, device) for name, told in answers.items()}


def _check(reply: Reply, device: str) -> None:
    """Raises Failure for a question that came to nothing, Refused for one that was not put."""
    if not reply.ok:
        raise _failure(reply.text) if reply.reason == "failed" else _refused(reply, device)


def _told(told: object, reply: Reply, device: str) -> bytes | Failure:
    """One ECU's part of a reply."""
    if isinstance(told, dict) and isinstance(told.get("failure"), str):
        return _failure(told["failure"])
    try:
        return bytes.fromhex(told) or Failure("form")  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise _odd(reply, device) from error


def _failure(text: str) -> Failure:
    negative = _NEGATIVE.fullmatch(text)
    return Failure("negative", int(negative[1], 16)) if negative else Failure(text or "no_answer")


def _odd(reply: Reply, device: str) -> Refused:
    return Refused(f"{device} replies what no device does: {reply.result}")


def _refused(reply: Reply, device: str) -> Refused:
    if reply.reason == "too_long":
        return TooLong(f"{device} has no room in a reply for what it found")
    if reply.reason == "unknown_command":
        return Refused(f"{device} does not know the command {reply.command}: it needs newer firmware")
    if reply.text == "requests are not allowed":
        return Refused(f"{device} asks nothing: its owner must allow it first, with `pigtail diag allow`")
    return Refused(f"{device} refuses to {reply.command}: {reply.reason} {reply.text}".strip())
