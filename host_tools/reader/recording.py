"""A recording: MQTT messages as they came, one record after the other, in a file (docs/decoder.md describes it).

    4 bytes `PTM1` | u16 length of the topic | u32 length of the payload | topic, UTF-8 | payload | u32 CRC-32 of all before

Integers are little-endian. Recordings may be appended to each other. Whoever records may be stopped at any time, so the last
record may be cut; a damaged one is passed over, and the reading goes on at the next that is sound.
"""

import struct
import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import NamedTuple

from host_tools.errors import InputError

MARK = b"PTM1"
MOST_PAYLOAD = 1 << 24  # bytes: more than any device sends
_HEAD = struct.Struct("<4sHI")
_CRC = struct.Struct("<I")
_MOST_TRIES = 8  # how many times its size is read, at most, to find the next sound record


class Message(NamedTuple):
    """A message, and where in the file its record begins."""

    topic: str
    payload: bytes
    offset: int


class Damage(NamedTuple):
    """`size` bytes from `offset` on are no record; `is_end`: they are the last ones, and begin like one that was cut."""

    offset: int
    size: int
    is_end: bool


class Recorder:
    """Appends messages to a binary file without a buffer. Raises OSError where the file cannot be written."""

    def __init__(self, file: RawIOBase) -> None:
        self._file = file

    def write(self, topic: str, payload: bytes) -> None:
        """Appends a message."""
        rest = memoryview(record(topic, payload))
        while rest:
            rest = rest[self._file.write(rest) :]


def record(topic: str, payload: bytes) -> bytes:
    """The record of a message."""
    name = topic.encode()
    body = _HEAD.pack(MARK, len(name), len(payload)) + name + payload
    return body + _CRC.pack(zlib.crc32(body))


def messages(data: bytes) -> Iterator[Message | Damage]:
    """What is in a recording. Raises InputError where so much in it is damaged that nothing can be found."""
    at, budget = 0, _MOST_TRIES * len(data)
    while at < len(data):
        message, end = _record(data, at)
        if message:
            yield message
            at = end
            continue
        begin = at
        while message is None and (at := data.find(MARK, at + 1)) >= 0:
            message, end = _record(data, at)
            budget -= end - at
            if budget < 0:
                raise InputError(f"damaged from byte {begin} on: too many records that are none")
        at = len(data) if at < 0 else at
        yield Damage(begin, at - begin, at == len(data) and _is_cut(data, begin))


def _record(data: bytes, at: int) -> tuple[Message | None, int]:
    """The record at `at` and where it ends; None, and how far it was read, where there is none."""
    if len(data) - at < _HEAD.size or not data.startswith(MARK, at):
        return None, at + _HEAD.size
    _, topic_size, size = _HEAD.unpack_from(data, at)
    topic_end = at + _HEAD.size + topic_size
    end = topic_end + size
    if size > MOST_PAYLOAD or end + _CRC.size > len(data):
        return None, at + _HEAD.size
    try:
        topic = data[at + _HEAD.size : topic_end].decode()
    except UnicodeDecodeError:
        return None, topic_end
    if zlib.crc32(memoryview(data)[at:end]) != _CRC.unpack_from(data, end)[0]:
        return None, end
    return Message(topic, data[topic_end:end], at), end + _CRC.size


def _is_cut(data: bytes, at: int) -> bool:
    """Whether what is from `at` on could be the beginning of a record that is longer."""
    rest = len(data) - at
    if rest < _HEAD.size:
        return data[at:].startswith(MARK[:rest])
    mark, topic_size, size = _HEAD.unpack_from(data, at)
    return bool(mark == MARK) and size <= MOST_PAYLOAD and _HEAD.size + topic_size + size + _CRC.size > rest
