"""The broker, from here: its name, its port, TLS, an MQTT session; then what the device says of itself there."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import replace

from host_tools.broker_options import LOCAL
from host_tools.doctor import trust
from host_tools.doctor.finding import ERROR, OK, WARNING, Case, Finding
from host_tools.doctor.trust import DeviceTls
from host_tools.errors import BrokerError, InputError
from host_tools.reader import Listener, Status
from host_tools.reader.connection import Address, Connection, Trust, parse
from host_tools.reader.health import health
from host_tools.reader.inbox import Inbox

ANSWER_S = 5.0
STATUS_S = 15.0  # a status comes every 10 s
SETTLED_MS = 5000
SOON_DAYS = 14
DEPLOY = "`pigtail deploy --vehicle NAME`; `pigtail signals check` tells what fits a recording"
QUIET = 100  # frames from which a bus with nothing known on it is another car's


def look(case: Case) -> Iterator[Finding]:
    """Whether each broker is reached, trusted and spoken to; without --broker those that the device is told of, as it would."""
    try:
        addresses = _addresses(case)
    except InputError as error:
        yield Finding("broker", ERROR, str(error))
        return
    if not addresses:
        yield Finding("broker", WARNING, "none is named, and no device says one: not looked at", "name it with --broker")
    for address in addresses:
        spare = f"{address}, to be tried then: " if address is not addresses[0] else ""
        yield from (replace(finding, text=spare + finding.text) for finding in _examined(case, address))


def _examined(case: Case, address: Address) -> Iterator[Finding]:
    try:
        with socket.create_connection((address.host, address.port), ANSWER_S) as wire:
            secured = list(_secured(address, wire))
    except OSError as error:
        todo = "is it on, is the name right, does a firewall let you pass? name another with --broker"
        yield Finding("broker", ERROR, f"{address} is not reached: {error.strerror or error}", todo)
        return
    yield from secured
    if any(finding.level == ERROR for finding in secured):
        return
    try:
        asyncio.run(_probe(address))
    except BrokerError as error:
        yield Finding("broker", ERROR, str(error))
    else:
        case.address = case.address or address
        yield Finding("broker", OK, f"{address} takes MQTT sessions{' of ' + address.user if address.user else ''}")


def status(case: Case) -> Iterator[Finding]:
    """What the device says there, and whether its profile is that of the car it is in."""
    if case.address is None:
        return
    device = case.device or (case.config or {}).get("device") or None
    said = asyncio.run(_status(case.address, device, case.boot))
    if said is None:
        todo = "is it on, and are its Wi-Fi and its broker right? `pigtail logs --port PORT` shows what it says"
        yield Finding("online", ERROR, f"{device or 'no device'} told the broker nothing for {STATUS_S:g} s", todo)
        return
    rows = health(said.fields)
    yield Finding("online", OK, f"{said.device} tells the broker how it is")
    for row in rows:
        if not row.is_well:
            yield Finding(row.name, WARNING, row.text, "`pigtail monitor` shows it live")
    yield from _match(case, said)


def _match(case: Case, said: Status) -> Iterator[Finding]:
    told, frames, messages = (said.fields.get(key) for key in ("profile", "frames", "messages"))
    if not told or not isinstance(frames, dict) or not isinstance(messages, dict):
        return
    heard, known, received = messages.get("heard", 0), messages.get("known", 0), frames.get("received", 0)
    words = f"{heard} of its {known} messages are on this bus"
    if case.identity is not None and told != f"{case.identity:08x}":
        yield Finding("match", ERROR, f"profile {told} is in force, not the one that lies there", DEPLOY)
    elif not received:
        yield Finding("match", WARNING, "the bus is silent: nothing tells whether the profile fits", "turn the ignition on")
    elif not heard and received >= QUIET:
        yield Finding("match", ERROR, f"{words}: another car's profile, or another bus of this car", DEPLOY)
    elif heard * 2 < known:
        yield Finding("match", WARNING, words, "is the car on? `pigtail signals check` compares a recording")
    else:
        yield Finding("match", OK, words)


def _addresses(case: Case) -> list[Address]:
    """The one that the user names, else those of the device's configuration. Raises InputError."""
    if case.broker is not None:
        return [parse(case.broker, case.trust)]
    if case.config is None:
        return [parse(LOCAL)] if case.device else []
    config = case.config
    tls = None
    if config.get("mqtt.tls"):
        tls = case.trust.context() if case.trust != Trust() else trust.of(config, case.files)
    user, password = config.get("mqtt.user") or None, config.get("mqtt.password") or None
    host, port = config.get("mqtt.host", "127.0.0.1"), config.get("mqtt.port", 1883)
    others = (text.partition(":") for text in config.get("mqtt.brokers", ()))
    places = [(host, port), *((name, int(its) if its else port) for name, _, its in others)]
    return [Address(name, its, user, password, tls) for name, its in places]


def _secured(address: Address, wire: socket.socket) -> Iterator[Finding]:
    """What TLS says; or that there is none."""
    if address.tls is None:
        if _is_near(wire):
            yield Finding("TLS", OK, "not used, and the broker is in this network")
        else:
            todo = "name the broker as mqtts://"
            yield Finding("TLS", WARNING, "not used: everybody on the way can read values and password", todo)
        return
    try:
        with address.tls.wrap_socket(wire, server_hostname=address.host) as secure:
            yield _trusted(secure)
            if isinstance(address.tls, DeviceTls):
                yield from _other_key(address.tls, secure)
    except ssl.SSLCertVerificationError as error:
        yield Finding("TLS", ERROR, f"its certificate is not trusted ({error.verify_message})", _how_to_trust(address))
    except OSError as error:
        todo = "is it the right port? mqtt:// is without TLS"
        yield Finding("TLS", ERROR, f"no TLS there ({error.strerror or error})", todo)


def _trusted(secure: ssl.SSLSocket) -> Finding:
    ends = str((secure.getpeercert() or {}).get("notAfter", ""))
    if not ends:
        return Finding("TLS", OK, f"{secure.version()}, the key is the pinned one")
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / 86400
    words = f"{secure.version()}, the certificate is good for {days:,.0f} days"
    if days < SOON_DAYS:
        return Finding("TLS", WARNING, words, "renew it: devices turn away from an expired one")
    return Finding("TLS", OK, words)


def _other_key(tls: DeviceTls, secure: ssl.SSLSocket) -> Iterator[Finding]:
    """A pinned key that is not the broker's, where there is a CA as well."""
    key = trust.key_sha256(secure.getpeercert(True) or b"")
    if tls.pin and key != tls.pin:
        words = "its key is not the pinned one: the device refuses it as long as it does not know the time"
        yield Finding("TLS", WARNING, words, f"where the broker has a new key: `pigtail config set mqtt.pin={key}`")


def _how_to_trust(address: Address) -> str:
    if not isinstance(address.tls, DeviceTls):
        return "name its CA with --ca"
    if address.tls.is_by_pin:
        return "where the broker has a new key, pin that: `pigtail config set mqtt.pin=…`"
    name = address.tls.server_name or address.host
    return f"the device wants one for {name} (mqtt.server_name), signed by its own CA (mqtt.ca_file, `pigtail provision`)"


def _is_near(wire: socket.socket) -> bool:
    """Whether the other end is on a private network or this machine."""
    return ipaddress.ip_address(wire.getpeername()[0].partition("%")[0]).is_private


async def _probe(address: Address) -> None:
    async with Connection(address):
        pass


async def _status(address: Address, device: str | None, boot: int | None) -> Status | None:
    """One of this boot, some seconds old, so that the bus was heard and the time asked for; else the last that came."""
    last: Status | None = None
    with suppress(TimeoutError, BrokerError):
        async with asyncio.timeout(STATUS_S), aclosing(Listener(address, Inbox(device), reconnect=False)) as events:
            async for event in events:
                if isinstance(event, Status) and boot in (None, event.fields.get("boot")):
                    last = event
                    if _is_settled(event):
                        break
    return last


def _is_settled(said: Status) -> bool:
    uptime_ms = said.fields.get("uptime_ms")
    return type(uptime_ms) is int and uptime_ms >= SETTLED_MS
