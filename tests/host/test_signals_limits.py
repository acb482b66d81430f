"""Valid ranges, deadbands, counters and checksums: their packed numbers, the way there and back, every rule by known values."""

import math
import random
import struct
from fractions import Fraction

import pytest

from host_tools.errors import InputError
from host_tools.signals.checksum import expected
from host_tools.signals.limits import LIMIT, limits, quanta, rules
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import CHECKSUM_RULES, UNSAMPLED, Checksum, Counter, Message, Profile, Signal
from host_tools.sim import drive

COUNT = Signal("Count", 0, 4, period_ms=UNSAMPLED)
CHECK = Signal("Check", 56, 8, period_ms=UNSAMPLED)
SPEED = Signal("Speed", 8, 16, scale=0.01, valid=(0, 250), period_ms=100)


def of(*signals: Signal, counter: Counter | None = None, checksum: Checksum | None = None) -> Profile:
    return Profile("p", "", "", (Message(0x10, False, "m", signals, counter, checksum),))


def guarded() -> Profile:
    level = Signal("Level", 24, 8, is_signed=True, scale=-0.5, valid=(-10, 10), deadband=1.2)
    return of(COUNT, CHECK, SPEED, level, counter=Counter("Count", 15), checksum=Checksum("Check", "toyota"))


def test_round_trip_and_bytes_as_in_the_spec() -> None:
    data = pack(guarded())
    assert unpack(data) == guarded()
    assert struct.unpack_from("<4H", data, 48) == (0, 0, 2, 1)
    assert data[68 + 9] == 2 | 8  # set aside, has a rule
    at = 68 + 12 + 4 * 4 + 4
    assert LIMIT.unpack_from(data, at) == (2, 1, -(1 << 31), 25000 - (1 << 31), 0)
    assert LIMIT.unpack_from(data, at + 16) == (3, 0, -20, 20, 2)
    assert struct.unpack_from("<5HBB", data, at + 32) == (0, 0, 1, 15, 1, 5, 0)


def test_counter_modulo_256_and_no_checksum() -> None:
    profile = of(Signal("c", 0, 8), counter=Counter("c", 256, 3))
    assert rules(profile) == [struct.pack("<5HBB", 0, 0, 3, 256, 0xFFFF, 0, 0)]
    assert unpack(pack(profile)) == profile


def test_quanta_and_streams_as_in_the_spec() -> None:
    near = Signal("near", 8, 24, is_signed=True, scale=-0.01, max_error=0.5, period_ms=100, purpose="b", priority="diagnostic")
    exact = Signal("exact", 32, 8, scale=0.5, max_error=0.4, period_ms=100, purpose="a")
    told = Signal("told", 40, 4, purpose="b", priority="alert")
    profile = of(COUNT, exact, near, told)
    data = pack(profile)
    assert unpack(data) == profile
    assert (profile.purposes, profile.streams) == (("a", "b"), (2, 5, 4))
    assert [profile.stream_name(stream) for stream in profile.streams] == ["a/telemetry", "b/diagnostic", "b/alert"]
    assert data[56:68] == bytes([2, 5, 4, 255, 255, 255, 255, 255, 1, 0, 0, 0])
    assert data[68 + 12 + 4 * 4 :][:4] == bytes([9, 0, 0 | 1 << 5, 8 | 2 << 5])
    assert data[68 + 12 + 4 * 4 + 4 :][:4] == struct.pack("<HH", 2, 50)


@pytest.mark.parametrize(("most", "scale", "raw"), [(0.3, 0.1, 3), (0.29, -0.1, 2), (0.09, 0.1, 0), (1e9, 1.0, 32767)])
def test_greatest_error_is_told_in_raw_units(most: float, scale: float, raw: int) -> None:
    signal = Signal("s", 0, 24, scale=scale, max_error=most, period_ms=10)
    assert signal.quantum == raw
    assert quanta(of(signal)) == ([struct.pack("<HH", 0, raw)] if raw else [])


def key(signal: Signal, raw: int) -> int:
    """By which the device compares, written anew."""
    if signal.is_float:
        bits = raw - (1 << 32) if raw >> 31 else raw
        return bits ^ 0x7FFFFFFF if bits < 0 else bits
    return raw if signal.is_signed else raw - (1 << 31)


@pytest.mark.parametrize("seed", range(30))
def test_key_is_within_its_bounds_just_when_the_value_is_within_its_range(seed: int) -> None:
    rng = random.Random(seed)
    length = rng.choice([1, 7, 8, 15, 16, 31, 32])
    signed = rng.random() < 0.5
    scale, offset = rng.choice([0.01, -0.1, 1.0, 3.0, 0.333]), rng.choice([0.0, -40.0, 0.1])
    ends = -(1 << length - 1) if signed else 0, (1 << length - 1) - 1 if signed else (1 << length) - 1
    low, high = sorted(round(rng.randint(*ends) * scale + offset + rng.choice([0, 0.004]), 6) for _ in range(2))
    signal = Signal("s", 0, length, is_signed=signed, scale=scale, offset=offset, valid=(low, high))
    _, _, least, greatest, _ = LIMIT.unpack(limits(of(signal))[0])
    edges = [round((edge - offset) / scale) + n for edge in (low, high) for n in range(-2, 3)]
    for raw in {*ends, *(rng.randint(*ends) for _ in range(200)), *(e for e in edges if ends[0] <= e <= ends[1])}:
        physical = raw * Fraction(repr(scale)) + Fraction(repr(offset))
        inside = Fraction(repr(low)) <= physical <= Fraction(repr(high))
        assert (least <= key(signal, raw) <= greatest) == inside, raw


def test_range_of_a_float_takes_its_ends_and_no_more() -> None:
    for low, high in ((-1.5, 2.0), (0.1, 0.2), (-0.1, -0.05), (0.0, 1e39)):
        signal = Signal("f", 0, 32, is_float=True, valid=(low, high))
        _, kind, least, greatest, _ = LIMIT.unpack(limits(of(signal))[0])
        assert kind == 2
        for near in (low, high, 0.0, -0.0, 1.0):
            (bits,) = struct.unpack("<I", struct.pack("<f", min(near, 3e38)))
            for raw in (bits - 1, bits, bits + 1):
                (value,) = struct.unpack("<f", struct.pack("<I", raw & 0xFFFFFFFF))
                if math.isfinite(value):
                    assert (least <= key(signal, raw & 0xFFFFFFFF) <= greatest) == (low <= value <= high) or value == 0


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"length": 33, "valid": (0, 1)}, "needs up to 32 bits"),
        ({"length": 8, "scale": 0.0, "valid": (0, 1)}, "and a scale"),
        ({"length": 64, "is_float": True, "valid": (0, 1)}, "needs up to 32 bits"),
        ({"length": 16, "is_float": True, "valid": (0, 1)}, "with 32 bits"),
        ({"length": 32, "is_float": True, "deadband": 1.0}, "no deadband"),
        ({"length": 8, "deadband": -1.0}, "not negative"),
        ({"length": 8, "deadband": 1.0, "period_ms": 100}, "on change only"),
        ({"length": 8, "max_error": 1.0}, "sampled periodically"),
        ({"length": 25, "max_error": 1.0, "period_ms": 100}, "up to 24 bits"),
        ({"length": 16, "is_float": True, "max_error": 1.0, "period_ms": 100}, "integers"),
        ({"length": 8, "max_error": -1.0, "period_ms": 100}, "not negative"),
        ({"length": 8, "max_error": math.inf, "period_ms": 100}, "finite"),
        ({"length": 8, "scale": 0.0, "max_error": 1.0, "period_ms": 100}, "max_error"),
        ({"length": 8, "priority": "urgent"}, "'urgent' is no priority; known are alert, diagnostic, telemetry"),
    ],
)
def test_limits_that_the_device_cannot_judge_are_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Signal("s", 0, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signal", "counter", "checksum"),
    [
        (Signal("s", 4, 8), Counter("s", 16), None),
        (Signal("s", 4, 8), None, Checksum("s", "xor8")),
        (Signal("s", 0, 16), None, Checksum("s", "xor8")),
        (Signal("s", 0, 16, is_float=True), Counter("s", 16), None),
        (Signal("s", 0, 8), Counter("t", 16), None),
    ],
)
def test_what_cannot_be_a_counter_or_checksum_is_refused(
    signal: Signal, counter: Counter | None, checksum: Checksum | None
) -> None:
    with pytest.raises(InputError, match="must be one of its integers"):
        of(signal, counter=counter, checksum=checksum)


def test_counters_and_rules_that_make_no_sense_are_refused() -> None:
    for modulo, step in ((1, 1), (257, 1), (16, 0), (16, 16)):
        with pytest.raises(InputError, match="no counter"):
            Counter("s", modulo, step)
    with pytest.raises(InputError, match='no rule "md5"; known are xor8'):
        Checksum("s", "md5")
    with pytest.raises(InputError, match='no checksum rule "md5"'):
        expected("md5", 1, False, bytes(8), CHECK)


def test_crc_of_sae_j1850_has_its_check_value() -> None:
    assert expected("crc8_j1850", 0, False, b"\0" + b"123456789", Signal("c", 0, 8)) == 0x4B


def test_demo_car_keeps_to_its_rule() -> None:
    for frame, data in ((0x100, b"\1\2\3"), (0x1FFFFFFF, bytes(range(7)))):
        last = Signal("c", 8 * len(data), 8)
        assert expected("sum8_id_complement", frame, False, data + b"\xff", last) == drive.checksum(frame, data)


def test_rules_by_hand() -> None:
    data = bytes.fromhex("12 34 56 78 9a bc de 00")
    last, high, low = Signal("c", 56, 8), Signal("c", 60, 4), Signal("c", 56, 4)
    total, nibbles = sum(data), 3 + 7 + 11 + 15 + 19 + 23 + 27
    assert expected("xor8", 0x2B4, False, data, last) == 0x12 ^ 0x34 ^ 0x56 ^ 0x78 ^ 0x9A ^ 0xBC ^ 0xDE
    assert expected("sum8", 0x2B4, False, data, last) == total % 256
    assert expected("toyota", 0x2B4, False, data, last) == (total + 0x02 + 0xB4 + 8) % 256
    assert expected("honda", 0x2B4, False, data, low) == (8 - nibbles - 2 - 11 - 4) % 16
    assert expected("honda", 0x2B4, True, data, low) == (11 - nibbles - 2 - 11 - 4) % 16
    assert expected("hyundai_nibbles", 0x2B4, False, data, high) == -nibbles % 16


@pytest.mark.parametrize("rule", CHECKSUM_RULES)
def test_checksum_does_not_depend_on_its_own_bits_and_does_on_all_others(rule: str) -> None:
    rng = random.Random(rule)
    signal = Signal("c", 24, 4 if rule in ("honda", "hyundai_nibbles") else 8)
    data = rng.randbytes(8)
    value = expected(rule, 0x123, False, data, signal)
    assert 0 <= value < 1 << signal.length
    for bit in range(64):
        changed = bytes(byte ^ (1 << bit % 8 if i == bit // 8 else 0) for i, byte in enumerate(data))
        own = signal.start <= bit < signal.start + signal.length
        assert (expected(rule, 0x123, False, changed, signal) == value) == own


def test_every_flipped_bit_of_limits_and_rules_is_refused() -> None:
    data = pack(guarded())
    for bit in range(8 * len(data)):
        with pytest.raises(InputError):
            unpack(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])
