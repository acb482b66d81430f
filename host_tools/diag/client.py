"""Asks through a device: each request is a signed command, and passes the device's gate."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from host_tools.control import Key, send
from host_tools.diag.firmware import Failure
from host_tools.errors import InputError, PigtailError
from host_tools.reader import Reply
from host_tools.reader.connection import Address

_NEGATIVE = re.compile(r"negative ([0-9a-f]{2})")
_PASSING = ("under_way", "ecu_budget", "budget", "queue")
_TIMES, _PAUSE_S = 6, 0.3
_LOG = 32  # frames that a device keeps of what it sent
_OBD = range(0x7E0, 0x7E8)  # ISO 15765-4: physical requests


class Refused(PigtailError):
    """The device does not do it; the message says why."""


@dataclass(frozen=True)
class Ecu:
    """One that the device's profile names; `rx_id` None: functional, many answer."""

    name: str
    tx_id: int
    rx_id: int | None

    @property
    def is_obd(self) -> bool:
        """Whether its id is one of those that SAE J1979 goes to."""
        return self.tx_id in _OBD


@dataclass(frozen=True)
class Client:
    """Commands `device` at the broker; waits so long for each reply."""

    address: Address
    device: str
    key: Key
    wait_s: float

    async def gate(self) -> dict[str, Any]:
        """The state of the gate as the device tells it, with all of its log. Raises Refused, NoReply, BrokerError."""
        told = dict((await self._done("gate", {"skip": 0})).result)
        page = told["log"]
        while page and len(told["log"]) < _LOG:  # a reply has room for some
            page = (await self._done("gate", {"skip": len(told["log"])})).result["log"]
            told["log"] = [*page, *told["log"]]
        return told

    async def ecus(self, name: str | None) -> list[Ecu]:
        """Those that can be asked, or the one of that name. Raises InputError for none."""
        every = [Ecu(*told) for told in (await self._done("gate", {"skip": _LOG})).result["ecus"]]
        found = [ecu for ecu in every if ecu.rx_id is not None]
        known = ", ".join(ecu.name for ecu in found)
        if not found:
            raise InputError(f"{self.device} may ask nobody: its profile names no ecus")
        if name is None:
            return found
        named = [ecu for ecu in found if ecu.name == name]
        if not named:
            raise InputError(f"--ecu: {self.device} does not know {name!r}; give one of {known}")
        return named

    async def ask(self, ecu: Ecu, request: bytes) -> bytes:
        """The positive answer; where the device is just asking by its schedule, it is told again. Raises Failure where there is
        none, and what `gate` raises."""
        for _ in range(_TIMES):
            reply = await self._send("ask", {"ecu": ecu.name, "request": request.hex()})
            if reply.ok or reply.text not in _PASSING:
                break
            await asyncio.sleep(_PAUSE_S)
        return _answer(reply, self.device)

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
        return await send(self.address, self.device, self.key, command, arguments, self.wait_s)

    async def _done(self, command: str, arguments: Mapping[str, object]) -> Reply:
        reply = await self._send(command, arguments)
        if not reply.ok:
            raise _refused(reply, self.device)
        return reply


def _answer(reply: Reply, device: str, is_wanted: bool = True) -> bytes:
    if not reply.ok:
        if reply.reason != "failed":
            raise _refused(reply, device)
        negative = _NEGATIVE.fullmatch(reply.text)
        raise Failure("negative", int(negative[1], 16)) if negative else Failure(reply.text or "no_answer")
    try:
        answer = bytes.fromhex(reply.result["answer"] if is_wanted else "00")
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"{device} replies what no device does: {reply.result}") from error
    if not answer:
        raise Failure("form")
    return answer


def _refused(reply: Reply, device: str) -> Refused:
    if reply.reason == "unknown_command":
        return Refused(f"{device} does not know the command {reply.command}: it needs newer firmware")
    if reply.text == "requests are not allowed":
        return Refused(f"{device} asks nothing: its owner must allow it first, with `pigtail diag allow`")
    return Refused(f"{device} refuses to {reply.command}: {reply.reason} {reply.text}".strip())
