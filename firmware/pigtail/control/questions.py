"""Runs the commands that are about asking the car: loaded for one and forgotten."""

import asyncio
from binascii import hexlify, unhexlify
from micropython import const
from pigtail import once, uptime
from pigtail.diag.isotp import Failure

_PROFILE = "/profile.bin"  # where the configuration names no other
_PAGE = const(8)  # frames of the gate's log in one reply: with sixteen ECUs it must fit into a message
_BUSY_TIMES = const(30)  # how often it is tried to get in between the schedule's requests
_BUSY_MS = const(100)


def run(commands, name, given):
    """A generator that returns the result. Raises ValueError, with one line, for what cannot be; OSError with why it failed."""
    if name == "allow":
        return _allowed(commands, given["requests"])
    tester = commands.tester
    if tester is None:
        raise ValueError("requests are not allowed")
    if name == "gate":
        return _gate(tester, given["skip"])
    if name == "unmute":
        tester.unmute()
        return {}
    ecu = given["ecu"]
    if ecu not in tester.servers and (name == "clear" or ecu not in tester.functional):
        raise ValueError("ecu: the profile has no " + ecu)
    try:
        request = unhexlify(given["request"])
    except ValueError:
        request = b""
    if not request:
        raise ValueError("request: takes hex digits")
    return (yield from _answer((_clear if name == "clear" else ask)(tester, ecu, request)))


def _allowed(commands, requests):
    """For the profile that is in force now, with whatever periods, and no other."""
    if commands.profile is None:
        raise ValueError("there is no profile")
    identity = ""
    if requests:
        path = once.call("pigtail.config.change", "read").get("profile", _PROFILE)
        identity = once.call("pigtail.signals.asking", "identity", path)
    version = once.call("pigtail.config.change", "set_key", "requests.profile", identity)
    commands.restarts = True
    return {"version": version}


def _gate(tester, skip):
    """What the gate let through, newest last, without the `skip` newest; what came and was dropped; and whom it knows."""
    guard, now = tester.guard, uptime.ms() // 10
    end = max(0, len(guard.log) - skip)
    log = [[(now - at) * 10, ident, hexlify(data).decode()] for at, ident, data in guard.log[max(0, end - _PAGE) : end]]
    ecus = [[name, tester.servers[name].ecu.tx_id, tester.servers[name].rx_id] for name in tester.servers]
    ecus += [[name, tester.functional[name].tx_id, None] for name in tester.functional]
    result, counts = tester.status(), tester.isotp.counts
    result["isotp"] = {reason: counts[reason] for reason in counts if counts[reason]}
    result["log"] = log
    result["ecus"] = ecus
    return result


async def ask(tester, name, request):
    """The answer of the ECU of this name or, of a functional one, {name: answer or Failure}. Raises Failure."""
    if name in tester.servers:
        await _free([tester.servers[name]])
        return await tester.client.ask(tester.servers[name], request)
    ecu = tester.functional[name]
    names = [name for name in tester.servers if tester.servers[name].ecu.is_extended_id == ecu.is_extended_id]
    servers = [tester.servers[name] for name in names]
    await _free(list(tester.servers.values()))
    answers = await tester.client.ask_all(ecu, servers, request)
    return {name: answers[i] for i, name in enumerate(names)}


async def _clear(tester, name, request):
    """As `ask`, with the permission for it, which ends with it even where the gate refused."""
    server = tester.servers[name]
    await _free([server])
    tester.guard.permit_clear(server.ecu, request[0])
    try:
        return await tester.client.ask(server, request)
    finally:
        server.ecu.may_clear = None


async def _free(servers):
    """Waits until nobody else asks any of them; there are pauses in any schedule."""
    for _ in range(_BUSY_TIMES):
        if not any([server.is_asked for server in servers]):
            return
        await asyncio.sleep_ms(_BUSY_MS)
    raise Failure("under_way")


def _answer(question):
    """Goes on until it is answered."""
    done = []

    async def put():
        try:
            done.append(await question)
        except (Exception, asyncio.CancelledError) as failure:  # whatever is not told here is waited for without end
            done.append(failure)

    asyncio.create_task(put())
    while not done:
        yield
    answer = done[0]
    if isinstance(answer, (ValueError, MemoryError, OSError)):
        raise answer
    if isinstance(answer, BaseException):
        raise OSError(str(answer) if isinstance(answer, Failure) else repr(answer))
    if isinstance(answer, dict):
        return {"answers": {name: _told(answer[name]) for name in answer}}
    return {"answer": _told(answer)}


def _told(answer):
    return {"failure": str(answer)} if isinstance(answer, Failure) else hexlify(answer).decode()
