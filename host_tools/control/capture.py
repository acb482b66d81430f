"""A raw capture as the device tells it, chunk by chunk, to frames (firmware/SPEC.md, section 4)."""

import asyncio
import struct
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import can

from host_tools.control.message import Key
from host_tools.control.send import NoReply, send
from host_tools.errors import InputError, PigtailError
from host_tools.reader.connection import Address, Connection
from host_tools.reader.inbox import ROOT

MOST_IDS = 16
MOST_MS, MOST_FRAMES = 60_000, 100_000
_HEAD = struct.Struct("<BBHIIIIIQQ")
_SLOT = struct.Struct("<II8s")
_LAST, _CLOCK = 1, 2
_EXTENDED = 1 << 29
_TICKS = 1 << 28


class Refused(PigtailError):
    """The device does not capture; the message says why."""


@dataclass(frozen=True)
class Chunk:
    """Frames with the time they came: UTC in s since 1970, or s since the device's boot where its clock is not known. `dropped`:
    those that had no room, and overruns of the controller, from the capture's start. `number` is the capture's, `place` the
    chunk's in it, from 0."""

    number: int
    place: int
    dropped: int
    is_last: bool
    frames: tuple[can.Message, ...]


def decode(payload: bytes) -> Chunk:
    """A chunk from its bytes. Raises InputError for what no device sends."""
    if len(payload) < _HEAD.size:
        raise InputError("a chunk of a capture is cut off")
    version, flags, count, _, number, place, dropped, tick, uptime_ms, utc_of_boot_ms = _HEAD.unpack_from(payload)
    if version != 1:
        raise InputError(f"a chunk of a capture has version {version}; this pigtail reads 1: update it")
    if len(payload) != _HEAD.size + count * _SLOT.size:
        raise InputError(f"a chunk of a capture has {len(payload)} bytes for {count} frames")
    origin_ms = utc_of_boot_ms if flags & _CLOCK else 0
    frames = []
    for ident, word, data in _SLOT.iter_unpack(payload[_HEAD.size :]):
        age_ms = (tick - word) % _TICKS
        frames.append(
            can.Message(
                timestamp=(origin_ms + uptime_ms - age_ms) / 1000,
                arbitration_id=ident & (_EXTENDED - 1),
                is_extended_id=bool(ident & _EXTENDED),
                data=data[: word >> 28],
            )
        )
    return Chunk(number, place, dropped, bool(flags & _LAST), tuple(frames))


async def capture(
    address: Address, device: str, key: Key, ids: Sequence[int], seconds: float, frames: int, wait_s: float = 10.0
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a new capture, each once and in order; `ids` have bit 29 set for a 29-bit one, none means all.

    Raises Refused, NoReply where the device does not answer or falls silent for `wait_s`, and BrokerError.
    """
    arguments = {"ids": list(ids), "duration_ms": round(seconds * 1000), "frames": frames}
    topic = f"{ROOT}/{device}/capture"
    silent_s = wait_s + seconds  # a bus without these frames has nothing to tell until the end
    async with Connection(address) as client:
        await client.subscribe(topic, qos=1)
        reply = await send(address, device, key, "capture", arguments, wait_s)
        if not reply.ok:
            raise Refused(f"{device} refuses to capture: {reply.reason} {reply.text}".strip())
        place = 0
        while True:
            try:
                async with asyncio.timeout(silent_s):
                    message = await anext(client.messages)
            except TimeoutError:
                raise NoReply(f"{device} fell silent in the middle of the capture") from None
            assert isinstance(message.payload, bytes)
            chunk = decode(message.payload)
            if chunk.number == reply.result["capture"] and chunk.place == place:  # not one that comes twice
                place += 1
                yield chunk
                if chunk.is_last:
                    return
