"""The batch codec, reading side, against an encoder written from the SPEC, and against cut and forged bytes."""

import random

import pytest
from batch_encoder import Encoder, raw_range, wrapped

from host_tools.errors import InputError
from host_tools.reader import Sample, decode, read_header
from host_tools.signals.profile import Message, Profile, Signal

SPEED = Signal("speed", 0, 16, scale=0.01, unit="km/h", period_ms=100)
CURRENT = Signal("current", 16, 16, is_signed=True, scale=0.1, unit="A", period_ms=200)
ENERGY = Signal("energy", 32, 32, unit="Wh", offset=5, period_ms=200)
GEAR = Signal("gear", 0, 3, labels={0: "P", 3: "D"})
TORQUE = Signal("torque", 8, 32, is_signed=True)


def profile_of(*signals: Signal) -> Profile:
    return Profile("test", "1", "none", (Message(0x100, False, "A", signals),))


PROFILE = profile_of(SPEED, CURRENT, ENERGY, GEAR, TORQUE)


def full() -> Encoder:
    """A batch with something of everything, its last record a sample."""
    return Encoder(
        PROFILE, clock=2, priority=1, purpose=9, boot=7, first=1000, start=3, first_signal=0, ticks=4,
        utc_ms=1_767_225_600_000, configuration=300, consent=2,
        readings={(3, 0): 5000, (4, 0): 5001, (4, 1): -20, (4, 2): 0xFFFFFFF0 - (1 << 32), (6, 2): 3},
        events=[(3, 310, 3), (3, 320, 4, 1), (4, 330, -(1 << 31)), (0, 400, 1, 0), (3, 420, 0)],
    )  # fmt: skip


def by_name(payload: bytes, profile: Profile = PROFILE) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for sample in decode(payload, profile).samples:
        found.setdefault(sample.name, []).append(sample)
    return found


def test_bytes_written_by_hand_from_the_spec():
    payload = bytes.fromhex(
        "01 06 44332211 01 02 07 05 03 0a 00"  # version, flags, hash; configuration … first signal
        "00e40b540200"  # boot was at 10^10 ms
        "00 04"  # reserved; periodic size
        "c901 00 02"  # tick 10: speed 100, current absent, energy -1 as a u32
        "06 14 06"  # gear, 10 ms later, 3
    )
    header = read_header(payload)
    assert (header.profile_hash, header.clock, header.priority, header.purpose) == (0x11223344, "ntp", 1, 0)
    assert (header.configuration, header.consent, header.boot, header.first, header.count) == (1, 2, 7, 5, 3)
    assert (header.start, header.first_signal, header.boot_utc_ms) == (10, 0, 10**10)
    assert decode(payload, PROFILE).samples == (
        Sample(5, 0, "speed", 100, 1.0, None, "km/h", 1000, 10_000_001.0, "broadcast", "valid"),
        Sample(6, 2, "energy", 0xFFFFFFFF, 0xFFFFFFFF + 5, None, "Wh", 1000, 10_000_001.0, "broadcast", "valid"),
        Sample(7, 3, "gear", 3, 3.0, "D", "", 1010, 10_000_001.01, "broadcast", "valid"),
    )


def test_all_fields_come_back():
    encoder = full()
    batch = decode(encoder.encode(), PROFILE)
    assert batch.header == read_header(encoder.encode())
    found = [(s.index, s.time_ms, wrapped(s.raw)) for s in batch.samples]
    assert found == encoder.samples()
    assert [s.sequence for s in batch.samples] == list(range(1000, 1000 + len(found)))
    assert [s.utc for s in batch.samples] == [(encoder.utc_ms + s.time_ms) / 1000 for s in batch.samples]


@pytest.mark.parametrize("seed", range(200))
def test_round_trip_of_random_batches(seed):
    chance = random.Random(seed)
    signals, byte_free = [], [(bit, 32) for bit in (0, 32)]
    for number, (start, room) in enumerate(byte_free * 2):
        length = chance.randint(1, room)
        period = chance.choice([0, 100, 250, 1000])
        signals.append(Signal(f"s{number}", start, length, is_signed=chance.random() < 0.5, period_ms=period))
    profile = profile_of(*signals)
    encoder = Encoder(
        profile, clock=chance.randrange(4), priority=chance.randrange(4), purpose=chance.randrange(16),
        boot=chance.choice([1, 127, 128, 1 << 31]), first=chance.choice([0, 1 << 20]), start=chance.randrange(1000),
        ticks=chance.randrange(30), reserved=bytes(chance.randrange(3)), utc_ms=chance.randrange(1 << 41),
        first_signal=chance.randrange(4),
    )  # fmt: skip
    for slot in encoder.slots():
        if chance.random() < 0.7:
            encoder.readings[slot] = wrapped(extreme(chance, signals[slot[1]]))
    for _ in range(chance.randrange(10)):
        index, time_ms = chance.randrange(4), encoder.start * profile.grid_ms + chance.randrange(-50, 5000)
        if not signals[index].period_ms and time_ms >= 0:
            encoder.events.append((index, time_ms, wrapped(extreme(chance, signals[index]))))
    samples = decode(encoder.encode(), profile).samples
    assert [(s.index, s.time_ms, wrapped(s.raw)) for s in samples] == encoder.samples()
    for sample in samples:
        least, greatest = raw_range(signals[sample.index].length, signals[sample.index].is_signed)
        assert least <= sample.raw <= greatest
        assert sample.value == sample.raw


def extreme(chance: random.Random, signal: Signal) -> int:
    least, greatest = raw_range(signal.length, signal.is_signed)
    return chance.choice([least, greatest, chance.randint(least, greatest)])


def test_greatest_difference_takes_the_fifth_byte():
    profile = profile_of(Signal("wide", 0, 32, is_signed=True, period_ms=100))
    encoder = Encoder(profile, start=1, ticks=2, readings={(1, 0): -(1 << 31), (2, 0): 0})
    assert bytes.fromhex("8080808010") in encoder.encode()
    assert [sample.raw for sample in decode(encoder.encode(), profile).samples] == [-(1 << 31), 0]


def test_split_tick_begins_at_its_signal():
    encoder = Encoder(PROFILE, start=4, first_signal=2, ticks=2, readings={(4, 2): 9, (5, 0): 7})
    assert [(s.name, s.time_ms) for s in decode(encoder.encode(), PROFILE).samples] == [
        ("energy", 400),
        ("speed", 500),
    ]


def test_mark_holds_for_its_signal_from_its_time_on():
    readings = {(tick, 0): tick for tick in range(1, 6)}
    encoder = Encoder(PROFILE, start=1, ticks=5, readings=readings, events=[(0, 250, 4, 1), (0, 400, 0, 1)])
    batch = decode(encoder.encode(), PROFILE)
    assert [(s.quality, s.source) for s in batch.samples] == [
        ("valid", "broadcast"),
        ("valid", "broadcast"),
        ("bad_checksum", "diagnostic"),
        ("valid", "diagnostic"),
        ("valid", "diagnostic"),
    ]
    assert [(m.index, m.time_ms, m.quality) for m in batch.marks] == [(0, 250, "bad_checksum"), (0, 400, "valid")]


def test_mark_between_events_of_the_same_ms_goes_by_their_order():
    encoder = Encoder(PROFILE, events=[(3, 5, 1), (3, 5, 2, 3), (3, 5, 2), (4, 5, 8)])
    found = [(s.name, s.quality, s.source) for s in decode(encoder.encode(), PROFILE).samples]
    assert found == [
        ("gear", "valid", "broadcast"),
        ("gear", "stale", "companion"),
        ("torque", "valid", "broadcast"),
    ]


def test_no_utc_while_the_clock_is_not_set():
    assert {sample.utc for sample in decode(Encoder(PROFILE, events=[(3, 0, 1)]).encode(), PROFILE).samples} == {None}


def test_reserved_field_is_skipped():
    encoder = full()
    plain = decode(encoder.encode(), PROFILE)
    encoder.reserved = b"later"
    assert decode(encoder.encode(), PROFILE) == plain


def test_truncated_anywhere():
    payload = full().encode()
    for size in range(len(payload)):
        with pytest.raises(InputError):
            decode(payload[:size], PROFILE)


@pytest.mark.parametrize("seed", range(20))
def test_mutated_bytes_give_a_batch_or_one_clear_error(seed):
    chance = random.Random(seed)
    original = full().encode()
    for _ in range(500):
        payload = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            payload[chance.randrange(len(payload))] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        try:
            batch = decode(bytes(payload), PROFILE)
        except InputError as error:
            assert str(error).startswith("batch: ") and "\n" not in str(error)
        else:
            assert len(batch.samples) == batch.header.count < len(payload)


@pytest.mark.parametrize("seed", range(20))
def test_noise_behind_a_good_header(seed):
    chance = random.Random(seed)
    for _ in range(200):
        payload = b"\x01" + chance.randbytes(chance.randrange(120))
        try:
            decode(payload, PROFILE)
        except InputError:
            continue


def forged(**fields: int) -> bytes:
    encoder = full()
    for name, value in fields.items():
        setattr(encoder, name, value)
    return encoder.encode()


def test_unknown_format_version():
    with pytest.raises(InputError, match="format version 2"):
        decode(b"\x02" + full().encode()[1:], PROFILE)


def test_boot_zero():
    with pytest.raises(InputError, match="boot 0"):
        read_header(forged(boot=0))


def test_count_beyond_the_bytes():
    with pytest.raises(InputError, match="samples of boot"):
        read_header(full().encode(count=(1 << 35) - 1))


@pytest.mark.parametrize("wrong", [-1, 1])
def test_count_that_is_not_what_is_there(wrong):
    encoder = full()
    with pytest.raises(InputError, match="announced"):
        decode(encoder.encode(count=len(encoder.samples()) + wrong), PROFILE)


def test_varint_of_six_bytes():
    with pytest.raises(InputError, match="longer than 5 bytes"):
        read_header(full().encode()[:6] + b"\xff" * 6 + bytes(20))


def test_first_signal_beyond_the_profile():
    encoder = Encoder(PROFILE, start=1, ticks=2, readings={(2, 0): 1}, first_signal=5)
    with pytest.raises(InputError, match="begins at signal 5"):
        decode(encoder.encode(), PROFILE)


def test_event_of_a_signal_that_is_not_there():
    with pytest.raises(InputError, match="signal 5"):
        decode(Encoder(profile_of(*PROFILE.signals, SIXTH), events=[(5, 1, 1)]).encode(), PROFILE)


SIXTH = Signal("sixth", 0, 8)


def test_event_of_a_periodic_signal():
    with pytest.raises(InputError, match="not sampled on change"):
        decode(Encoder(PROFILE, events=[(0, 1, 1)]).encode(), PROFILE)


def test_event_before_boot():
    with pytest.raises(InputError, match="at -1 ms"):
        decode(Encoder(PROFILE, events=[(3, -1, 1)]).encode(), PROFILE)


@pytest.mark.parametrize("mark", [(5, 0), (0, 4), (15, 15)])
def test_mark_of_an_unknown_quality_or_source(mark):
    with pytest.raises(InputError, match="a mark of quality"):
        decode(Encoder(PROFILE, events=[(3, 1, *mark)]).encode(), PROFILE)


@pytest.mark.parametrize(("index", "raw"), [(0, 65536), (0, -1), (1, 32768), (1, -32769)])
def test_raw_value_beyond_its_bits(index, raw):
    with pytest.raises(InputError, match="beyond the 16 bits"):
        decode(Encoder(PROFILE, start=2, ticks=1, readings={(2, index): raw}).encode(), PROFILE)


def test_value_beyond_32_bits():
    payload = Encoder(PROFILE, start=2, ticks=1, readings={(2, 0): 1}).encode()
    payload = payload.replace(b"\x03\x03\x00\x00", b"\x07" + b"\xff" * 4 + b"\x1f\x00\x00")
    with pytest.raises(InputError, match="longer than 32 bits"):
        decode(payload, PROFILE)


def test_utc_beyond_the_year_9999():
    with pytest.raises(InputError, match="9999"):
        decode(forged(utc_ms=(1 << 48) - 1), PROFILE)


def test_periodic_section_without_any_periodic_signal_does_not_hang():
    profile = profile_of(GEAR, TORQUE)
    with pytest.raises(InputError, match="no signal of its profile has a period"):
        decode(Encoder(PROFILE, start=1, ticks=2, readings={(1, 0): 1}).encode(), profile)


def test_grid_with_billions_of_idle_ticks_does_not_hang():
    signals = [Signal(f"s{i}", 0, 8, period_ms=period) for i, period in enumerate([4294967291, 4294967279])]
    profile = profile_of(*signals)
    assert profile.grid_ms == 1
    header = Encoder(profile, start=1).encode(count=3)[:-1]
    samples = decode(header + b"\x03\x03\x03\x03", profile).samples
    assert [s.time_ms for s in samples] == [4294967279, 4294967291, 2 * 4294967279]


def test_profile_of_thousands_of_idle_signals_does_not_slow_each_tick():
    quick = Signal("quick", 0, 8, period_ms=1)
    idle = [Signal(f"s{i}", 0, 8, period_ms=4294967295) for i in range(20_000)]
    profile = profile_of(quick, *idle)
    header = Encoder(profile, start=1).encode(count=0)[:-1]
    assert decode(header + b"\xa0\x8d\x06" + bytes(100_000), profile).samples == ()


WIDE = profile_of(
    Signal("odometer", 0, 40, period_ms=100), Signal("plain", 40, 8, period_ms=100),
    Signal("time", 0, 64, is_signed=True), Signal("pi", 0, 64, "big_endian", is_float=True, period_ms=100),
)  # fmt: skip


def wide_batch(**more) -> Encoder:
    readings = {(1, 0): -1, (1, 1): 0x7F, (1, 2): 9, (1, 5): 0x54442D18, (1, 6): 0x400921FB}
    return Encoder(WIDE, first=10, start=1, ticks=1, readings=readings | more, events=[(3, 120, -2), (4, 120, -1)])


def test_halves_of_wide_signals_make_one_sample():
    batch = decode(wide_batch().encode(), WIDE)
    found = [(s.sequence, s.numbers, s.index, s.name, s.raw, s.value) for s in batch.samples]
    assert found == [
        (10, 2, 0, "odometer", 0x7FFFFFFFFF, float(0x7FFFFFFFFF)),
        (12, 1, 1, "plain", 9, 9.0),
        (13, 2, 3, "pi", 0x400921FB54442D18, 3.141592653589793),
        (15, 2, 2, "time", -2, -2.0),
    ]
    assert batch.header.count == 7


def test_half_of_a_wide_signal_alone_is_refused():
    for missing in (1, 0), (1, 1), (1, 6), (1, 5):
        batch = wide_batch()
        del batch.readings[missing]
        with pytest.raises(InputError, match="half of a value"):
            decode(batch.encode(), WIDE)
    for events in [(3, 120, 1)], [(4, 120, 1)], [(4, 120, 1), (3, 120, 1)], [(3, 120, 1), (4, 121, 1)]:
        batch = wide_batch()
        batch.events = events
        with pytest.raises(InputError, match="half of a value"):
            decode(batch.encode(), WIDE)


def test_wide_value_beyond_its_bits_is_refused():
    batch = wide_batch()
    batch.readings[1, 1] = 0x100
    with pytest.raises(InputError, match="beyond the 40 bits of 'odometer'"):
        decode(batch.encode(), WIDE)
