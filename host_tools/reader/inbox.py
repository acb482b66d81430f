"""MQTT messages to events, without any network: it keeps the profiles, the books, and what waits for a profile."""

import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from host_tools.errors import InputError
from host_tools.reader.account import Account
from host_tools.reader.batch import Batch, decode
from host_tools.reader.clocks import Clocks
from host_tools.reader.header import Header, read_header
from host_tools.signals.pack import identity, unpack
from host_tools.signals.profile import Profile

ROOT = "pigtail/v1"
HELD_BATCHES = 10_000  # how many batches may wait for their profile, which a kept session brings last
HELD_BYTES = 64 << 20  # and how much of them: a device's own have some 1,400 bytes each
_TOPIC = re.compile(rf"{ROOT}/([^/]+)/(status|telemetry|gap|event|reply|profile/([0-9a-f]{{8}}))")


@dataclass(frozen=True)
class Status:
    """The device's birth, status or last will: the JSON object as it came."""

    device: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Gap:
    """The device says: `count` samples of `boot` and `stream` from sequence `first` on will not come."""

    device: str
    boot: int
    stream: int  # id
    first: int
    count: int
    reason: str
    stream_name: str  # `purpose/priority`, or the id where the device's profile is not known


@dataclass(frozen=True)
class FramesLost:
    """The device says: its controller lost `frames` of the bus between two uptimes of `boot`. The same boot and `from_ms` may
    come again, with more."""

    device: str
    boot: int
    frames: int
    from_ms: int
    to_ms: int
    reason: str


@dataclass(frozen=True)
class ProfileSeen:
    """A profile that was not known yet came; `profile_hash` is its identity in batch headers."""

    device: str
    profile_hash: int
    profile: Profile


@dataclass(frozen=True)
class BatchEvent:
    """A batch came: its `samples` are those that had not come before, placed by what is known of their boot's clock so far;
    `size` is its payload in bytes."""

    device: str
    batch: Batch
    size: int


@dataclass(frozen=True)
class Happened:
    """Something happened to the device: `kind` and a text, event `number` of its `boot`, `uptime_ms` after power-on."""

    device: str
    boot: int
    number: int
    uptime_ms: int
    kind: str
    text: str


@dataclass(frozen=True)
class Reply:
    """The device's answer to the command with this id: the `result`, or, where it is not `ok`, the `reason` and a text."""

    device: str
    id: str
    command: str
    ok: bool
    result: dict[str, Any]
    reason: str
    text: str


@dataclass(frozen=True)
class Trouble:
    """Something could not be read, or the connection broke (then `device` is empty)."""

    device: str
    reason: str


Event = Status | Gap | FramesLost | Happened | Reply | ProfileSeen | BatchEvent | Trouble


class Inbox:
    """Turns messages into events, each sample once. `accounts` are the books by device.

    One that takes part in a `share` gets some of the messages, its fellows the others: it keeps no books, as what one of them
    lacks or has twice can only be told where all of it comes together.
    """

    def __init__(self, device: str | None = None, held_batches: int = HELD_BATCHES, share: str | None = None) -> None:
        if device is not None and (not device or set(device) & set("/+#\0")):
            raise InputError(f"{device!r} cannot be a device: it is empty or has one of / + # in it")
        if share is not None and (not share or set(share) & set("/+#\0")):
            raise InputError(f"{share!r} cannot be a share: it is empty or has one of / + # in it")
        self.accounts: dict[str, Account] = {}
        self.share = share
        self.shared_samples = 0  # that came by the share
        self.clocks = Clocks()
        self.held: deque[tuple[str, int, bytes]] = deque()
        self._held_bytes = 0
        self._device = device
        self._held_batches = held_batches
        self._profiles: dict[tuple[str, int], Profile] = {}
        self._told: dict[tuple[str, str], Event] = {}  # by device and topic, the last one
        self._in_force: dict[tuple[str, int], Profile] = {}  # by device and boot

    @property
    def filters(self) -> list[str]:
        """The MQTT topic filters that bring everything this inbox reads."""
        below = f"{ROOT}/{self._device or '+'}"
        shared = "" if self.share is None else f"$share/{self.share}/"  # it would bring nothing that is retained
        plain = [f"{below}/profile/+", *(f"{below}/{kind}" for kind in ("status", "event", "reply"))]
        return [*plain, f"{shared}{below}/gap", f"{shared}{below}/telemetry"]

    def retained(self, device: str) -> list[str]:
        """The topics on which a device that was heard has left something retained."""
        profiles = [profile_hash for owner, profile_hash in self._profiles if owner == device]
        return [f"{ROOT}/{device}/status", *(f"{ROOT}/{device}/profile/{profile_hash:08x}" for profile_hash in profiles)]

    def receive(self, topic: str, payload: bytes) -> Iterator[Event]:
        """The events that a message makes. Never raises for its content; topics of others make no event."""
        match = _TOPIC.fullmatch(topic)
        if not match or self._device not in (None, match[1]):
            return  # amqtt hands retained messages of any topic to every new connection
        device, kind = match[1], match[2]
        try:
            if kind == "telemetry":
                yield from self._telemetry(device, payload)
            elif payload and kind == "status":  # an empty payload only clears what was retained
                yield Status(device, json_object(payload))
            elif payload and kind == "gap":
                yield self._gap(device, json_object(payload))
            elif payload and kind == "event":
                yield from self._once(kind, _happened(device, json_object(payload)))
            elif payload and kind == "reply":
                yield from self._once(kind, reply(device, json_object(payload)))
            elif payload:
                yield from self._profile(device, int(match[3], 16), payload)
        except InputError as error:
            yield Trouble(device, f"{kind}: {error}")

    def _once(self, kind: str, event: Happened | Reply) -> Iterator[Event]:
        """What was told again because its PUBACK got lost comes right behind the first."""
        if self._told.get((event.device, kind)) != event:
            self._told[event.device, kind] = event
            yield event

    def _telemetry(self, device: str, payload: bytes) -> Iterator[Event]:
        header = read_header(payload)
        profile = self._profiles.get((device, header.profile_hash))
        if profile is None:
            self._hold(device, header.profile_hash, payload)
            while len(self.held) > self._held_batches or self._held_bytes > HELD_BYTES:
                yield self._given_up(*self.held.popleft())
            return
        batch = decode(payload, profile)
        self._in_force[device, header.boot] = profile
        self.clocks.learn(device, header, profile.grid_ms)
        fresh = self._booked(device, header)
        if fresh or not header.count:
            samples = tuple(s for s in batch.samples if _is_in(s.sequence, fresh))
            occurrences = tuple(o for o in batch.occurrences if _is_in(o.sequence, fresh))
            batch = replace(batch, samples=samples, occurrences=occurrences)
            yield BatchEvent(device, self.clocks.placed(device, batch), len(payload))

    def _hold(self, device: str, profile_hash: int, payload: bytes) -> None:
        self.held.append((device, profile_hash, payload))
        self._held_bytes += len(payload)

    def _booked(self, device: str, header: Header) -> list[tuple[int, int]]:
        """The parts of a batch's samples that are new here."""
        if self.share is not None:
            self.shared_samples += header.count
            return [(header.first, header.first + header.count)]
        account = self.accounts.setdefault(device, Account())
        fresh = account.fresh(header.boot, header.stream, header.first, header.count)
        account.add(header.boot, header.stream, header.first, header.count)
        return fresh

    def _profile(self, device: str, profile_hash: int, payload: bytes) -> Iterator[Event]:
        if (device, profile_hash) in self._profiles:
            return
        profile = unpack(payload)
        if identity(payload) != profile_hash:
            raise InputError(f"its identity is {identity(payload):08x}, not the one its topic names")
        self._profiles[device, profile_hash] = profile
        yield ProfileSeen(device, profile_hash, profile)
        waiting, self.held, self._held_bytes = self.held, deque(), 0
        for held in waiting:
            if held[:2] == (device, profile_hash):
                yield from self.receive(f"{ROOT}/{device}/telemetry", held[2])
            else:
                self._hold(*held)

    def _gap(self, device: str, fields: dict[str, Any]) -> Gap | FramesLost:
        if "frames" in fields:
            boot, frames, from_ms, to_ms = _numbers_of_gap(fields, boot=1, frames=1, from_ms=0, to_ms=0)
            if self.share is None:
                self.accounts.setdefault(device, Account()).frames_lost(boot, from_ms, to_ms, frames)
            return FramesLost(device, boot, frames, from_ms, to_ms, fields["reason"])
        boot, stream, first, count = _numbers_of_gap(fields, boot=1, stream=0, first=0, count=1)
        reason = fields["reason"]
        if self.share is None:
            self.accounts.setdefault(device, Account()).ledgered(boot, stream, first, count, reason)
        return Gap(device, boot, stream, first, count, reason, self._stream_name(device, boot, stream))

    def missing(self) -> Iterator[str]:
        """A line for each part of a stream that neither came nor is ledgered, though a later one came."""
        for device, account in sorted(self.accounts.items()):
            for boot, stream in account.streams:
                for first, stop in account.missing(boot, stream):
                    yield f"{device}: {stop - first} samples of boot {boot}, stream {stream}, from {first} on are missing"

    def _stream_name(self, device: str, boot: int, stream: int) -> str:
        """By the profile of that boot, or else by the device's last one; the id where neither knows it."""
        known = [profile for (owner, _), profile in self._profiles.items() if owner == device]
        if (device, boot) in self._in_force:
            known.append(self._in_force[device, boot])
        try:
            return known[-1].stream_name(stream)
        except (IndexError, InputError):
            return f"stream {stream}"

    def _given_up(self, device: str, profile_hash: int, payload: bytes) -> Trouble:
        self._held_bytes -= len(payload)
        header = read_header(payload)
        samples = f"{header.count} samples of boot {header.boot}, stream {header.stream}, from {header.first} on"
        return Trouble(
            device,
            f"telemetry: {samples} are given up: their profile {profile_hash:08x} did not come",
        )


def _is_in(sequence: int, parts: list[tuple[int, int]]) -> bool:
    return any(first <= sequence < stop for first, stop in parts)


def _numbers_of_gap(fields: dict[str, Any], **least: int) -> list[int]:
    """These fields in their order. Raises InputError where one is no whole number or less than it may be, or the reason is no
    text."""
    numbers = [fields.get(name) for name in least]
    good = all(type(number) is int and low <= number < 1 << 64 for number, low in zip(numbers, least.values(), strict=True))
    if not isinstance(fields.get("reason"), str) or not good:
        *names, last = least
        raise InputError(f"it does not name {', '.join(names)} and {last} as whole numbers and the reason as text")
    return [number for number in numbers if number is not None]


def _happened(device: str, fields: dict[str, Any]) -> Happened:
    numbers = [fields.get(name) for name in ("boot", "number", "uptime_ms")]
    kind, text = fields.get("kind"), fields.get("text")
    good = all(type(number) is int and 0 <= number < 1 << 64 for number in numbers)
    if not good or not isinstance(kind, str) or not isinstance(text, str):
        raise InputError("it does not name boot, number and uptime_ms as whole numbers and kind and text as text")
    boot, number, uptime_ms = map(int, numbers)  # type: ignore[arg-type]  # checked in `good`
    return Happened(device, boot, number, uptime_ms, kind, text)


def reply(device: str, fields: dict[str, Any]) -> Reply:
    """A device's reply from its JSON object. Raises InputError for what is none."""
    ok, result = fields.get("ok"), fields.get("result", {})
    texts = [fields.get("id"), fields.get("command"), fields.get("reason", ""), fields.get("text", "")]
    if type(ok) is not bool or not isinstance(result, dict) or not all(isinstance(text, str) for text in texts):
        raise InputError("it does not name id and command as text, ok, and a result or a reason")
    identity_, command, reason, text = map(str, texts)
    return Reply(device, identity_, command, ok, result, reason, text)


def json_object(payload: bytes) -> dict[str, Any]:
    """The JSON object in `payload`. Raises InputError for what is none."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON ({error})") from error
    if not isinstance(fields, dict):
        raise InputError("it is no JSON object")
    return fields
