"""The packed profile's bytes: firmware/SPEC.md, section 1.

The device and every reader of the broker load these bytes, so `unpack` trusts nothing in them.
"""

import struct
import zlib

from host_tools.errors import InputError
from host_tools.signals import descriptor, text
from host_tools.signals.profile import MAX_PERIODS, UNSAMPLED, Message, Profile, Signal

_MAGIC, _VERSION = b"PTPF", 1
_HEADER = struct.Struct("<4sBBHHHI8I")
_ROW = struct.Struct("<IHHBBH")
_CRC = struct.Struct("<I")
_ON_CHANGE = 8
_EXTENDED = 1 << 29
_SWAPPED_FLAG, _ON_CHANGE_FLAG = 1, 2


def pack(profile: Profile) -> bytes:
    """The packed profile; its last four bytes are its identity. Raises InputError for what the bytes cannot carry."""
    for message in profile.messages:
        _check_packable(message)
    descriptors = [descriptor.encode(signal) for signal in profile.signals]
    classes = bytes(_class_of(signal, profile) for signal in profile.signals)
    words = text.compress(profile)
    body = b"".join(
        (
            _header(profile, len(words)),
            _rows(profile),
            struct.pack(f"<{len(descriptors)}I", *descriptors),
            classes + bytes(-len(classes) % 4),
            words,
        )
    )
    return body + _CRC.pack(zlib.crc32(body))


def identity(data: bytes) -> int:
    """The profile hash: the CRC-32 at the end of packed bytes. Raises InputError where they are too short."""
    if len(data) < _HEADER.size + _CRC.size:
        raise InputError("not a packed profile: too short")
    return int(_CRC.unpack(data[-_CRC.size :])[0])


def unpack(data: bytes) -> Profile:
    """The profile in packed bytes, messages named by their ids. Raises InputError where it is damaged."""
    try:
        return _unpack(data)
    except (ValueError, InputError) as error:
        raise InputError(f"not a packed profile that can be used: {error}") from error


def _check_packable(message: Message) -> None:
    for signal in message.signals:
        if signal.is_wide or signal.is_float or signal.selection or signal.valid or signal.deadband:
            raise InputError(f"signal {signal.name}: the packed profile cannot carry such a signal")
        if signal.period_ms == UNSAMPLED:
            raise InputError(f"signal {signal.name}: the packed profile cannot carry a signal that is not sampled")
    if message.counter or message.checksum:
        raise InputError(f"message {message.name}: the packed profile cannot carry counters and checksums")


def _class_of(signal: Signal, profile: Profile) -> int:
    return profile.classes.index(signal.period_ms) if signal.period_ms else _ON_CHANGE


def _header(profile: Profile, text_size: int) -> bytes:
    periods = profile.classes + (0,) * (MAX_PERIODS - len(profile.classes))
    counts = len(profile.messages), len(profile.signals)
    return _HEADER.pack(_MAGIC, _VERSION, 0, *counts, profile.grid_ms, text_size, *periods)


def _rows(profile: Profile) -> bytes:
    rows, first = [], 0
    for message in profile.messages:
        rows.append(_ROW.pack(message.key, first, len(message.signals), message.size, _flags(message), 0))
        first += len(message.signals)
    return b"".join(rows)


def _flags(message: Message) -> int:
    swapped = any(descriptor.decode(descriptor.encode(s)).byte_order == "big_endian" for s in message.signals)
    on_change = any(not signal.period_ms for signal in message.signals)
    return swapped * _SWAPPED_FLAG | on_change * _ON_CHANGE_FLAG


def _unpack(data: bytes) -> Profile:
    crc = identity(data)
    body = data[: -_CRC.size]
    magic, version, reserved, n_messages, n_signals, grid_ms, text_size, *periods = _HEADER.unpack_from(body)
    _expect(magic == _MAGIC, "it does not begin with PTPF")
    _expect(version == _VERSION, f"its format version is {version}, this program knows {_VERSION}")
    rows_end = _HEADER.size + _ROW.size * n_messages
    classes_at = rows_end + 4 * n_signals
    text_at = classes_at + (n_signals + 3) // 4 * 4
    _expect(len(body) == text_at + text_size, "its length is not what its header says")
    _expect(zlib.crc32(body) == crc, "its checksum is wrong")
    signals = _signals(
        struct.unpack_from(f"<{n_signals}I", body, rows_end),
        [_period(number, periods) for number in body[classes_at : classes_at + n_signals]],
        meanings := text.decompress(body[text_at:], n_signals),
    )
    profile = Profile(**meanings.head, messages=_messages(body[_HEADER.size : rows_end], signals))
    # what is derived must be what the model derives: sizes, flags, grid, padding, reserved fields
    _expect(reserved == 0 and profile.grid_ms == grid_ms, "its header contradicts its tables")
    _expect(_rows(profile) == body[_HEADER.size : rows_end], "its message rows contradict its signals")
    _expect(not any(body[classes_at + n_signals : text_at]), "its padding is not zero")
    return profile


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)


def _period(number: int, periods: list[int]) -> int:
    if number == _ON_CHANGE:
        return 0
    _expect(number < _ON_CHANGE and periods[number] > 0, f"there is no period class {number}")
    return periods[number]


def _signals(descriptors: tuple[int, ...], periods: list[int], meanings: text.Meanings) -> tuple[Signal, ...]:
    signals = []
    for number, period_ms, meaning in zip(descriptors, periods, meanings.signals, strict=True):
        bits = descriptor.decode(number)
        same = (meaning.length, meaning.is_signed) == (bits.length, bits.is_signed)
        _expect(same, f"text and bits of {meaning.name} differ")
        signals.append(Signal(meaning.name, *bits, **meaning.rest._asdict(), period_ms=period_ms))
    return tuple(signals)


def _messages(rows: bytes, signals: tuple[Signal, ...]) -> tuple[Message, ...]:
    messages, at = [], 0
    for key, first, count, _, _, _ in _ROW.iter_unpack(rows):
        _expect(first == at and count > 0 and key < 2 * _EXTENDED, f"its row of id {key:X} is out of bounds")
        arbitration_id = key & ~_EXTENDED
        own = signals[first : first + count]
        messages.append(Message(arbitration_id, bool(key & _EXTENDED), f"{arbitration_id:X}", own))
        at += count
    _expect(at == len(signals), "some signals belong to no message")
    return tuple(messages)
