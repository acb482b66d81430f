"""Wide, floating and multiplexed signals: how they lie in the tables, the way there and back, and what is refused."""

import random
import struct

import pytest

from host_tools.errors import InputError
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import UNSAMPLED, Message, Profile, Selection, Signal

MUX = Signal("Mux", 0, 8, period_ms=UNSAMPLED)
ONE, TWO = Selection("Mux", ((1, 1),)), Selection("Mux", ((2, 3), (7, 9)))
DEEP = Selection("Inner", ((5, 5),))
INNER = Signal("Inner", 8, 8, period_ms=UNSAMPLED, selection=ONE)


def of(*signals: Signal, **more: object) -> Profile:
    return Profile("p", "", "", (Message(0x10, False, "m", signals, **more),))  # type: ignore[arg-type]


def multiplexed() -> Profile:
    deepest = Signal("Deepest", 16, 8, period_ms=100, selection=DEEP)
    twice = Signal("Twice", 16, 40, period_ms=100, selection=TWO), Signal("Two", 8, 8, selection=TWO)
    return Profile(
        "mux",
        "",
        "",
        (
            Message(0x10, False, "10", (deepest, *twice, INNER, MUX)),
            Message(0x08, False, "8", (Signal("Plain", 0, 64, "big_endian", True),)),
        ),
    )


def rows(data: bytes) -> list[tuple[int, ...]]:
    messages, _ = struct.unpack_from("<HH", data, 6)
    (branches,) = struct.unpack_from("<H", data, 48)
    return list(struct.iter_unpack("<IHHBBH", data[68 : 68 + 12 * (messages + branches)]))


def test_signals_are_in_order_selectors_before_what_they_select() -> None:
    profile = multiplexed()
    assert [s.name for s in profile.signals] == ["Plain", "Mux", "Twice", "Two", "Inner", "Deepest"]
    names = [(field.signal.name, field.is_high) for field in profile.fields]
    assert names[:2] == [("Plain", False), ("Plain", True)]
    assert [field.number for field in profile.fields] == [0, 0, 1, 2, 2, 3, 4, 5]


def test_rows_of_a_multiplexed_message_as_in_the_spec() -> None:
    data = pack(multiplexed())
    assert struct.unpack_from("<4H", data, 48) == (3, 4, 0, 0)
    assert rows(data) == [
        (0x08, 0, 2, 8, 3, 0),
        (0x10, 2, 1, 1, 6, 2),
        (2, 3, 3, 7, 2, 1),
        (2 | 2 << 16, 6, 1, 2, 0, 1),
        (6 | 3 << 16, 7, 1, 3, 16, 3),
    ]
    at = 68 + 5 * 12 + 8 * 4
    assert data[at : at + 8] == bytes([24, 8, 9, 16, 0, 8, 9, 0])
    assert struct.unpack_from("<8I", data, at + 8) == (2, 3, 7, 9, 1, 1, 5, 5)


def test_round_trip_of_multiplexed_wide_and_floating_signals() -> None:
    assert unpack(pack(multiplexed())) == multiplexed()
    floats = of(Signal("f", 0, 32, is_float=True), Signal("h", 32, 16, "big_endian", is_float=True, scale=2))
    assert unpack(pack(floats)) == floats
    for length in range(33, 65):
        for start in {0, 64 - length, (64 - length) // 2}:
            for order in "little_endian", "big_endian":
                wide = of(Signal("w", start, length, order, length % 2 == 0, period_ms=10))  # type: ignore[arg-type]
                assert unpack(pack(wide)) == wide


@pytest.mark.parametrize("seed", range(40))
def test_round_trip_of_random_multiplexed_messages(seed: int) -> None:
    rng = random.Random(seed)
    messages = tuple(message(rng, i) for i in range(rng.randint(1, 5)))
    profile = Profile("p", "v", "c", messages)
    assert unpack(pack(profile)) == profile


def message(rng: random.Random, number: int) -> Message:
    selectors = [Signal(f"{number}.s", 0, 8, period_ms=UNSAMPLED)]
    signals = list(selectors)
    for n in range(rng.randint(0, 8)):
        selector = rng.choice(selectors).name
        bounds = sorted(rng.sample(range(256), 2 * rng.randint(1, 3)))
        selection = Selection(selector, tuple(zip(bounds[::2], bounds[1::2], strict=True)))
        for k in range(rng.randint(1, 3)):
            length = rng.randint(1, 56)
            start, period = rng.randint(8, 64 - length), rng.choice([0, UNSAMPLED, 50, 100])
            signals.append(
                Signal(f"{number}.{n}.{k}", start, length, period_ms=period, selection=selection)
            )
            if length <= 32 and rng.random() < 0.3:
                selectors.append(signals[-1])
    rng.shuffle(signals)
    return Message(number, False, "m", tuple(signals))


def test_every_truncation_and_flipped_bit_of_a_multiplexed_profile_is_refused() -> None:
    data = pack(multiplexed())
    for size in range(len(data)):
        with pytest.raises(InputError, match="not a packed profile"):
            unpack(data[:size])
    for bit in range(8 * len(data)):
        with pytest.raises(InputError):
            unpack(data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :])


def test_changed_tables_with_a_right_checksum_are_refused_or_another_profile() -> None:
    import zlib

    data, rng = pack(multiplexed()), random.Random(1)
    for _ in range(3000):
        body = bytearray(data[:-4])
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        changed = bytes(body) + struct.pack("<I", zlib.crc32(body))
        try:
            again = unpack(changed)
        except InputError:
            continue
        assert pack(again)[:68] == changed[:68]


@pytest.mark.parametrize(
    ("signals", "text"),
    [
        ((Signal("a", 0, 8, selection=ONE),), "selector Mux is not in it"),
        ((Signal("Mux", 0, 8, selection=ONE),), "selects itself"),
        ((Signal("Mux", 0, 33), Signal("a", 40, 8, selection=ONE)), "no integer of 32 bits"),
        ((Signal("Mux", 0, 32, is_float=True), Signal("a", 40, 8, selection=ONE)), "no integer of 32 bits"),
    ],
)
def test_selectors_that_cannot_be_are_refused(signals: tuple[Signal, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        of(*signals)


def test_ranges_lengths_and_limits_that_cannot_be_are_refused() -> None:
    for ranges in ((), ((2, 1),), ((-1, 3),), ((0, 1 << 32),), ((5, 6), (3, 4))):
        with pytest.raises(InputError, match="ascending ranges"):
            Selection("s", ranges)
    with pytest.raises(InputError, match="16, 32 or 64 bits, not 24"):
        Signal("f", 0, 24, is_float=True)
    with pytest.raises(InputError, match="ends before"):
        Signal("f", 0, 24, valid=(1, 0))


def test_256_messages_are_refused() -> None:
    messages = tuple(Message(i, False, "", (Signal(f"s{i}", 0, 8),)) for i in range(256))
    with pytest.raises(InputError, match="256 messages; the device takes 255"):
        pack(Profile("many", "", "", messages))


def test_physical_of_floats_and_wide_integers() -> None:
    bits = struct.unpack("<i", struct.pack("<f", -1.5))[0]
    assert Signal("f", 0, 32, is_float=True, scale=2, offset=1).physical(bits) == -2
    assert Signal("f", 0, 16, is_float=True).physical(0x3C00) == 1
    assert Signal("f", 0, 64, is_float=True).physical(0x3FF8 << 48) == 1.5
    assert Signal("w", 0, 64).physical(-1) == 2.0**64
    assert Signal("w", 0, 40, is_signed=True).physical(-1) == -1
