"""Runs the commands that are about asking the car: loaded for one and forgotten."""

import asyncio
from binascii import hexlify, unhexlify
from micropython import const
from pigtail import once
from pigtail.diag.isotp import Failure
from time import ticks_diff, ticks_ms

_PAGE = const(16)  # frames of the gate's log in one reply


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
    return (yield from _answer(tester.ask(ecu, request) if name == "ask" else tester.clear(ecu, request)))


def _allowed(commands, requests):
    """For the profile that is in force now, and no other."""
    if commands.profile is None:
        raise ValueError("there is no profile")
    identity = "%08x" % commands.profile.identity if requests else ""
    version = once.call("pigtail.config.change", "set_key", "requests.profile", identity)
    commands.restarts = True
    return {"version": version}


def _gate(tester, skip):
    """What the gate let through, newest last, without the `skip` newest; and whom it knows."""
    guard, now = tester.guard, ticks_ms()
    end = max(0, len(guard.log) - skip)
    log = [[ticks_diff(now, at), ident, hexlify(data).decode()] for at, ident, data in guard.log[max(0, end - _PAGE) : end]]
    ecus = [[name, tester.servers[name].ecu.tx_id, tester.servers[name].rx_id] for name in tester.servers]
    ecus += [[name, tester.functional[name].tx_id, None] for name in tester.functional]
    result = tester.status()
    result["log"] = log
    result["ecus"] = ecus
    return result


def _answer(question):
    """Goes on until it is answered."""
    done = []

    async def put():
        try:
            done.append(await question)
        except (Failure, ValueError) as failure:
            done.append(failure)

    asyncio.create_task(put())
    while not done:
        yield
    answer = done[0]
    if isinstance(answer, ValueError):
        raise answer
    if isinstance(answer, Failure):
        raise OSError(str(answer))
    if isinstance(answer, dict):
        return {"answers": {name: _told(answer[name]) for name in answer}}
    return {"answer": _told(answer)}


def _told(answer):
    return {"failure": str(answer)} if isinstance(answer, Failure) else hexlify(answer).decode()
