"""The firmware's decoding against cantools: every start, length, byte order and sign; every way to meet an id."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from cantools.database.can import Message as DbcMessage
from cantools.database.can import Signal as DbcSignal
from cantools.database.conversion import BaseConversion
from differential.device import decoded

from host_tools.signals import dbc
from host_tools.signals.profile import Message, Profile, Signal

PER_MESSAGE = 62
PATTERNS = [bytes(8), b"\xff" * 8, b"\xaa\x55" * 4, b"\x80" + bytes(7), bytes(7) + b"\x01"]

def every_signal() -> Iterator[DbcSignal]:
    """Every place that a signal of 1 to 32 bits can have in eight bytes, in both byte orders and both signs."""
    conversion = BaseConversion.factory()
    for order in "little_endian", "big_endian":
        for start in range(64):
            first = start if order == "little_endian" else start // 8 * 8 + 7 - start % 8
            for length in range(1, min(32, 64 - first) + 1):
                for is_signed in False, True:
                    name = f"{order[0]}{start}_{length}{'s' if is_signed else 'u'}"
                    yield DbcSignal(name, start, length, order, is_signed, conversion)


def alone(message: DbcMessage, data: bytes) -> int:
    """The raw value that cantools reads for a message's only signal."""
    (value,) = message.decode(data, decode_choices=False, scaling=False).values()
    return value


def in_32_bits(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def test_every_start_length_order_and_sign_decodes_as_cantools_does(tmp_path: Path) -> None:
    signals = list(every_signal())
    assert len(signals) == 2 * 2 * 1552
    groups = [signals[i : i + PER_MESSAGE] for i in range(0, len(signals), PER_MESSAGE)]
    messages = tuple(
        Message(100 + i, i % 2 == 1, "", tuple(dbc.convert(signal, signal.name, 100) for signal in group))
        for i, group in enumerate(groups)
    )
    profile = Profile("every", "", "", messages)
    chance = random.Random(1)
    rounds = [[(m.arbitration_id, m.is_extended_id, data) for m in messages] for data in PATTERNS]
    rounds += [
        [(m.arbitration_id, m.is_extended_id, chance.randbytes(8)) for m in messages] for _ in range(5)
    ]
    single = {signal.name: DbcMessage(1, "m", 8, [signal]) for signal in signals}
    for frames, (raw, unknown, short) in zip(rounds, decoded(tmp_path, profile, rounds), strict=True):
        data = {(identity, is_extended): payload for identity, is_extended, payload in frames}
        expected = [
            in_32_bits(alone(single[s.name], data[m.arbitration_id, m.is_extended_id]))
            for m in profile.messages
            for s in m.signals
        ]
        wrong = [s.name for s, r, e in zip(profile.signals, raw, expected, strict=True) if r != e]
        assert not wrong
        assert (unknown, short) == (0, 0)


def bucket(identity: int) -> int:
    """Where the device's hash puts a 29-bit id in a table of 128 (firmware/pigtail/signals/table.py)."""
    key = identity | 1 << 29
    return (key ^ key >> 7 ^ key >> 15) & 127


def colliding(chance: random.Random, count: int) -> list[int]:
    """29-bit ids that all fall into one place of the device's hash table."""
    found: set[int] = set()
    while len(found) < count:
        identity = chance.getrandbits(29)
        if bucket(identity) == 125:
            found.add(identity)
    return sorted(found)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ids_are_told_apart_and_unknown_and_short_frames_counted(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    crowd = colliding(chance, 60)
    standard = chance.sample(range(2048), 80)
    keys = [(i, True) for i in crowd[::2] + standard[:20]] + [(i, False) for i in standard[:60]]
    sizes = {key: chance.randint(1, 8) for key in keys}
    messages = [
        Message(i, ext, "", (Signal(f"{i}{ext}", 8 * (sizes[i, ext] - 1), 8, period_ms=100),))
        for i, ext in keys
    ]
    profile = Profile("ids", "", "", tuple(messages))
    others = [(i, True) for i in crowd[1::2] + standard[20:40]] + [(i, False) for i in standard[60:]]
    rounds, expected = [], []
    raw, unknown, short = dict.fromkeys(keys, 0), 0, 0
    for _ in range(20):
        rounds.append(
            [(*chance.choice(keys + others), chance.randbytes(chance.randint(0, 8))) for _ in range(100)]
        )
        for identity, is_extended, data in rounds[-1]:
            key = identity, is_extended
            if key not in raw:
                unknown += 1
            elif len(data) < sizes[key]:
                short += 1
            else:
                raw[key] = data[sizes[key] - 1]
        expected.append(([raw[m.arbitration_id, m.is_extended_id] for m in profile.messages], unknown, short))
    assert decoded(tmp_path, profile, rounds) == expected
