"""The packed profile: SPEC's formula against cantools, the way there and back, files that must be refused."""

import random
import struct
import zlib

import pytest
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal
from cantools.database.conversion import BaseConversion

from host_tools.errors import InputError
from host_tools.signals import descriptor, text
from host_tools.signals.pack import identity, pack, unpack
from host_tools.signals.profile import PRIORITIES, Message, Profile, Signal

SPEED = Signal("Vehicle.Speed", 0, 16, scale=0.01, unit="km/h", minimum=0, maximum=250, period_ms=100)
TORQUE = Signal("Torque", 17, 12, "big_endian", True, 0.5, -10, "Nm", -1000, 1000, period_ms=20)
GEAR = Signal("Gear °", 40, 8, is_signed=True, labels={-1: "R", 0: "N", 127: "D"})


def profile() -> Profile:
    return Profile(
        "demo",
        "1.0",
        "Test car",
        (
            Message(0x123, True, "Long", (GEAR,)),
            Message(0x7FF, False, "High", (Signal("A", 63, 1), Signal("B", 0, 32, period_ms=100))),
            Message(0x100, False, "Low", (SPEED, TORQUE)),
        ),
    )


def repacked(data: bytes, at: int, new: bytes) -> bytes:
    """`data` with some bytes replaced and the CRC made right again."""
    body = data[:at] + new + data[at + len(new) : -4]
    return body + struct.pack("<I", zlib.crc32(body))


def with_text(data: bytes, text: bytes) -> bytes:
    """`data` with another text, sizes and CRC made right."""
    words = zlib.compress(text)
    old = struct.unpack_from("<I", data, 12)[0]
    body = data[:12] + struct.pack("<I", len(words)) + data[16 : len(data) - 4 - old] + words
    return body + struct.pack("<I", zlib.crc32(body))


def dbc_start(signal: Signal) -> int:
    """A DBC's start bit for `signal`: independent of the code under test."""
    if signal.byte_order == "little_endian":
        return signal.start
    msb = signal.start + signal.length - 1
    return (7 - msb // 8) * 8 + msb % 8


@pytest.mark.parametrize("byte_order", ["little_endian", "big_endian"])
@pytest.mark.parametrize("is_signed", [False, True])
def test_descriptor_formula_equals_cantools(byte_order: str, is_signed: bool) -> None:
    rng = random.Random(7)
    for start in range(64):
        for length in range(1, min(32, 64 - start) + 1):
            signal = Signal("s", start, length, byte_order, is_signed)  # type: ignore[arg-type]
            reference = DbcSignal(
                "s",
                dbc_start(signal),
                length,
                byte_order,
                is_signed,
                conversion=BaseConversion.factory(),  # type: ignore[arg-type]
            )
            message = DbcMessage(1, "m", 8, [reference])
            for data in (rng.randbytes(8), b"\xff" * 8, bytes(8)):
                expected = message.decode(data, scaling=False)["s"]
                raw = descriptor.extract(descriptor.encode(signal), data)
                assert -(1 << 31) <= raw < 1 << 31
                assert signal.number(raw) == expected, signal


@pytest.mark.parametrize("byte_order", ["little_endian", "big_endian"])
def test_dbc_start_becomes_least_significant_bit(byte_order: str) -> None:
    rng = random.Random(3)
    for _ in range(400):
        length = rng.randint(1, 32)
        start = rng.randint(0, 64 - length)
        signal = Signal("s", start, length, byte_order)  # type: ignore[arg-type]
        got = descriptor.from_dbc(dbc_start(signal), length, byte_order)  # type: ignore[arg-type]
        assert descriptor.encode(Signal("s", got[0], length, got[1])) == descriptor.encode(signal)
        assert got == descriptor.from_dbc(dbc_start(signal), length, byte_order)  # type: ignore[arg-type]
        in_one_byte = start // 8 == (start + length - 1) // 8
        assert got[1] == ("little_endian" if in_one_byte else byte_order)


def test_short_data_is_padded_with_zeros() -> None:
    assert descriptor.extract(descriptor.encode(Signal("s", 8, 16)), b"\xaa\xbb") == 0xBB


def test_round_trip_keeps_everything() -> None:
    assert unpack(pack(profile())) == profile()


def test_round_trip_of_random_profiles() -> None:
    rng = random.Random(11)
    for _ in range(60):
        messages = []
        for arbitration_id in rng.sample(range(0x800), rng.randint(1, 9)):
            signals = [random_signal(rng, f"{arbitration_id}.{n}") for n in range(rng.randint(1, 6))]
            messages.append(Message(arbitration_id, rng.random() < 0.3, "m", tuple(signals)))
        before = Profile("p", "v", "ü", tuple(messages))
        data = pack(before)
        assert unpack(data) == before
        assert identity(data) == zlib.crc32(data[:-4])


def random_signal(rng: random.Random, name: str) -> Signal:
    length = rng.randint(1, 32)
    order = rng.choice(["little_endian", "big_endian"])
    anywhere = Signal("", rng.randint(0, 64 - length), length, order)
    start, order = descriptor.from_dbc(dbc_start(anywhere), length, order)
    period_ms = rng.choice([0, 10, 25, 1000])
    rest = {"period_ms": period_ms, "purpose": rng.choice("ab"), "priority": rng.choice(PRIORITIES)}
    return Signal(name, start, length, order, rng.random() < 0.5, rng.random(), **rest)


def test_rows_as_in_the_spec() -> None:
    data = pack(profile())
    assert struct.unpack_from("<4sBBHHH", data) == (b"PTPF", 2, 0, 3, 5, 20)
    assert struct.unpack_from("<8I", data, 16) == (20, 100, 0, 0, 0, 0, 0, 0)
    assert struct.unpack_from("<4H", data, 48) == (0, 0, 0, 0)
    assert struct.unpack_from("<IHHBBH", data, 68) == (0x100, 0, 2, 6, 1, 0)  # TORQUE lies in bytes 4 and 5
    assert struct.unpack_from("<IHHBBH", data, 80) == (0x7FF, 2, 2, 8, 2, 0)
    assert struct.unpack_from("<IHHBBH", data, 92) == (0x123 | 1 << 29, 4, 1, 6, 2, 0)
    assert data[104 + 20 : 104 + 28] == bytes([1, 0, 8, 1, 8, 0, 0, 0])


def test_big_endian_in_one_byte_is_written_as_little_endian() -> None:
    message = Message(1, False, "m", (Signal("s", 58, 4, "big_endian"),))
    (signal,) = unpack(pack(Profile("p", "", "", (message,)))).signals
    assert (signal.start, signal.byte_order) == (2, "little_endian")


def test_physical_of_an_unsigned_32_bit_value_that_came_as_negative() -> None:
    assert Signal("s", 0, 32, scale=0.5).physical(-2) == (2**32 - 2) / 2
    assert Signal("s", 0, 32, is_signed=True, offset=1).physical(-2) == -1


def test_grid_is_the_divisor_of_all_periods_and_1000_without_any() -> None:
    assert profile().grid_ms == 20
    assert Profile("p", "", "", (Message(1, False, "m", (Signal("s", 0, 1),)),)).grid_ms == 1000


def test_nine_periods_are_refused_by_name() -> None:
    signals = tuple(Signal(f"s{n}", n, 1, period_ms=10 * n) for n in range(1, 10))
    with pytest.raises(InputError, match="10, 20, 30, 40, 50, 60, 70, 80, 90 ms"):
        Profile("p", "", "", (Message(1, False, "m", signals),))


def test_nine_streams_are_refused_by_name() -> None:
    signals = tuple(Signal(f"s{n}", n, 1, purpose=f"p{n // 3}", priority=PRIORITIES[n % 3]) for n in range(9))
    Profile("p", "", "", (Message(1, False, "m", signals[:8]),))
    with pytest.raises(InputError, match="more than 8 pairs of purpose and priority: p0/alert, p0/diagnostic, .*p2/telemetry"):
        Profile("p", "", "", (Message(1, False, "m", signals),))


def test_seventeen_purposes_are_refused() -> None:
    signals = tuple(Signal(f"s{n}", n, 1, purpose=f"p{n}") for n in range(17))
    with pytest.raises(InputError, match="17 purposes; at most 16"):
        Profile("p", "", "", (Message(1, False, "m", signals),))


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ((Message(1, False, "a", (SPEED,)), Message(1, False, "b", (GEAR,))), "1 is in it twice"),
        (
            (Message(1, False, "a", (SPEED,)), Message(2, False, "b", (SPEED,))),
            "Vehicle.Speed is in it twice",
        ),
        ((), "0 signals"),
        ((Message(1, False, "a", (Signal("s", 0, 1, period_ms=70_000),)),), "at most 65535 ms"),
    ],
)
def test_profile_refuses(messages: tuple[Message, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Profile("p", "", "", messages)


def test_bits_and_ids_out_of_range_are_refused() -> None:
    for start, length in ((60, 5), (0, 65), (0, 0), (-1, 4)):
        with pytest.raises(InputError, match="do not fit"):
            Signal("s", start, length)
    with pytest.raises(InputError, match="29 bits"):
        Message(1 << 29, False, "m", (SPEED,))
    for scale, offset in (1e31, 0.0), (-1e-31, 0.0), (1.0, 1e31), (1.0, -1e40):
        with pytest.raises(InputError, match=r"signal a: its scale or offset is not 0 or from 1e-30 to 1e\+30"):
            Signal("a", 0, 8, scale=scale, offset=offset)
    for scale, offset in (1e30, -1e30), (-1e-30, 1e-30), (0.0, 0.0):
        line = text._line(Signal("a", 0, 8, scale=scale, offset=offset))
        assert all(len(str(line.get(key, 1))) <= 32 for key in ("scale", "offset"))  # what the device reads
    with pytest.raises(InputError, match="finite"):
        Signal("s", 0, 1, scale=float("nan"))


def test_every_truncation_is_refused() -> None:
    data = pack(profile())
    for size in range(len(data)):
        with pytest.raises(InputError, match="not a packed profile"):
            unpack(data[:size])


def test_every_flipped_bit_is_refused() -> None:
    data = pack(profile())
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InputError):
            unpack(bytes(damaged))


@pytest.mark.parametrize(
    ("at", "new", "text"),
    [
        (0, b"ELF!", "does not begin with PTPF"),
        (4, b"\x01", "format version is 1"),
        (5, b"\x01", "header contradicts"),
        (10, b"\x01\x00", "header contradicts"),
        (56, b"\x06", "header contradicts"),
        (57, b"\x02", "header contradicts"),
        (64, b"\x01\x00", "length is not"),
        (66, b"\x01", "header contradicts"),
        (68, b"\xff\xff\xff\xff", "out of bounds"),
        (72, b"\x01\x00", "twice"),
        (74, b"\x00\x00", "out of bounds"),
        (76, b"\x02", "contradict"),
        (77, b"\x00", "contradict"),
        (78, b"\x01", "contradict"),
        (104, b"\xff\xff\xff\xff", "describes no signal"),
        (104 + 20, b"\x02", "no period class 2"),
        (104 + 20, b"\x0a", "no period class 10"),
        (104 + 20, b"\x21", "tables contradict"),
        (104 + 25, b"\x01", "contradict"),
    ],
)
def test_a_field_out_of_bounds_is_refused(at: int, new: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text):
        unpack(repacked(pack(profile()), at, new))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{}", "5 signals but 1 lines"),
        (b"[]\n{}\n{}\n{}\n{}\n{}", "no JSON object"),
        (b"\xff", "utf-8"),
        (b"{}" + b'\n{"name":1}' * 5, "no str"),
        (b"{}" + b'\n{"name":"\\ud800","length":16,"signed":false}' * 5, "surrogates not allowed"),
        (b"{}" + b'\n{"name":"a","length":16,"signed":false,"scale":NaN}' * 5, "no number"),
        (b"{}" + b'\n{"name":"a","length":16,"signed":false,"labels":{"x":"y"}}' * 5, "invalid literal"),
        (b"{}" + b'\n{"name":"a","length":1,"signed":false}' * 5, "text and bits of a differ"),
        (b'{"purposes":1}' + b"\n{}" * 5, "no list"),
        (b'{"purposes":[1]}' + b"\n{}" * 5, "no str"),
        (b'{}' + b'\n{"name":"a","length":1,"signed":false,"priority":1}' * 5, "no str"),
        (b"[" * 100_000 + b"\n" * 5, "nests"),
    ],
)
def test_text_that_makes_no_sense_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        unpack(with_text(pack(profile()), text))


def test_purposes_that_are_not_those_of_the_signals_are_refused() -> None:
    data = pack(profile())
    size = struct.unpack_from("<I", data, 12)[0]
    text = zlib.decompress(data[-4 - size : -4]).replace(b'"purposes":[""]', b'"purposes":["x"]')
    with pytest.raises(InputError, match="purposes contradict"):
        unpack(with_text(data, text))


def test_zlib_bomb_is_refused() -> None:
    with pytest.raises(InputError, match="too long"):
        unpack(with_text(pack(profile()), bytes(1 << 25)))
