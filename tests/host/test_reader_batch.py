"""The batch codec, reading side, against an encoder written from the SPEC, and against cut and forged bytes."""

import random
from dataclasses import replace

import pytest
from batch_encoder import Encoder, packed, raw_range, varint, wrapped

from host_tools.errors import InputError
from host_tools.reader import Sample, decode, read_header
from host_tools.reader.header import MOST_BYTES, read_parts
from host_tools.signals.profile import PRIORITIES, Message, Profile, Signal

SPEED = Signal("speed", 0, 16, scale=0.01, unit="km/h", period_ms=100)
CURRENT = Signal("current", 16, 16, is_signed=True, scale=0.1, unit="A", period_ms=200)
ENERGY = Signal("energy", 32, 32, unit="Wh", offset=5, period_ms=200)
GEAR = Signal("gear", 0, 3, labels={0: "P", 3: "D"})
TORQUE = Signal("torque", 8, 32, is_signed=True)


def profile_of(*signals: Signal) -> Profile:
    return Profile("test", "1", "none", (Message(0x100, False, "A", signals),))


def rows_of(*signals: Signal) -> Profile:
    """Each signal in a message of its own."""
    return Profile("test", "1", "none", tuple(Message(i, False, "", (s,)) for i, s in enumerate(signals)))


PROFILE = profile_of(SPEED, CURRENT, ENERGY, GEAR, TORQUE)


def full(profile: Profile = PROFILE) -> Encoder:
    """A batch in three parts with something of everything."""
    readings = {(k, 0): 5000 + 7 * k for k in range(3, 60) if k % 9}
    readings |= {(k, i): [-20, 0xFFFFFFF0 - (1 << 32)][i - 1] + k // 20 for k in range(4, 60, 2) if k % 10 for i in (1, 2)}
    return Encoder(
        profile, clock=2, boot=7, first=1000, start=3, ticks=57, utc_ms=1_767_225_600_000, configuration=300, consent=2,
        readings=readings,
        events=[
            (3, 310, 3), (3, 320, 4, 1), (4, 330, -(1 << 31)), (0, 400, 1, 0),
            ("text", 401, "Vehicle.VehicleIdentification.VIN", "KMHK581HFLU0ÄÖÜ"), ("alert", 402, 7, "Tür offen"),
            ("dtc", 403, 0x7E8, b"\x01\x71\x00", 0x2F), ("position", 403, -337000001, 1511234567, -4, 31),
            (3, 420, 0),
        ],
        cuts=[(20, 0, 2), (20, 1, 5)],
    )  # fmt: skip


def told(payload: bytes, profile: Profile = PROFILE) -> list[tuple[int, int, int]]:
    """As `Encoder.samples` has it."""
    return [
        (s.index, s.time_ms, wrapped(s.raw)) if isinstance(s, Sample) else (-1, s.time_ms, 0)
        for s in decode(payload, profile).records
    ]


def test_bytes_written_by_hand_from_the_spec():
    # Tick 10: speed 100 (v + 1 = 101), current -3 (6), energy 2^32 - 1 (2^32). Tick 11: speed 102 (e = 2, zigzag 4, k = 1).
    v = "0000001100101" + "00110" + "0" * 32 + "1" + "0" * 32 + "1100" + "0"
    p = "01100000"  # a run of three symbols "as before" with k = 2, provisional
    values, presence = (int(text, 2).to_bytes(len(text) // 8, "big") for text in (v, p))
    head = bytes.fromhex(
        "02 0a 44332211 01 02 07 05 0a 00"  # version, flags, hash; configuration … first row
        "00e40b540200 00"  # boot was at 10^10 ms; reserved
        "05 02 00 0b 00 01 03 11"  # 5 samples, 2 ticks; 11 bytes of V, the last one provisional, 0, 1, 3
    )
    payload = head + values + presence + bytes.fromhex("0c 14 06")  # gear, 10 ms later, 3
    header = read_header(payload)
    assert (header.profile_hash, header.clock, header.priority, header.purpose) == (0x11223344, "ntp", 2, 0)
    assert (header.configuration, header.consent, header.boot, header.first, header.count) == (1, 2, 7, 5, 5)
    assert (header.start, header.first_row, header.boot_utc_ms, header.stream) == (10, 0, 10**10, 2)
    rest = {"stream": 2, "purpose": "", "priority": "telemetry", "clock": "ntp"}
    at = ("broadcast", "valid")
    assert decode(payload, PROFILE).samples == (
        Sample(5, 0, "speed", 100, 1.0, None, "km/h", 1000, 10_000_001.0, *at, **rest),
        Sample(6, 1, "current", -3, -3 * 0.1, None, "A", 1000, 10_000_001.0, *at, **rest),
        Sample(7, 2, "energy", 0xFFFFFFFF, 0xFFFFFFFF + 5, None, "Wh", 1000, 10_000_001.0, *at, **rest),
        Sample(8, 0, "speed", 102, 1.02, None, "km/h", 1100, 10_000_001.1, *at, **rest),
        Sample(9, 3, "gear", 3, 3.0, "D", "", 1010, 10_000_001.01, *at, **rest),
    )


def test_all_fields_come_back():
    encoder = full()
    batch = decode(encoder.encode(), PROFILE)
    assert batch.header == read_header(encoder.encode())
    assert told(encoder.encode()) == encoder.samples()
    assert [s.sequence for s in batch.records] == list(range(1000, 1000 + batch.header.count))
    assert [s.utc for s in batch.records] == [(encoder.utc_ms + s.time_ms) / 1000 for s in batch.records]
    assert {(s.stream, s.purpose, s.priority) for s in batch.records} == {(2, "", "telemetry")}


def test_texts_and_occurrences_have_their_number_among_the_events():
    encoder = full()
    batch = decode(encoder.encode(), PROFILE)
    first = 1000 + batch.header.count - 7
    found = [(o.sequence, o.name, o.value, o.time_ms) for o in batch.occurrences]
    assert found == [
        (first + 2, "Vehicle.VehicleIdentification.VIN", "KMHK581HFLU0ÄÖÜ", 401),
        (first + 3, "alert", {"code": 7, "text": "Tür offen"}, 402),
        (first + 4, "dtc", {"ecu": 0x7E8, "code": "P0171-00", "status": 0x2F}, 403),
        (first + 5, "position", {"latitude": -33.7000001, "longitude": 151.1234567, "altitude": -0.4, "accuracy": 3.1}, 403),
    ]
    assert [s.sequence for s in batch.samples][-3:] == [first, first + 1, first + 6]


def test_parts_say_the_same_as_the_whole():
    encoder = full()
    whole = replace(encoder, cuts=[]).encode()
    assert len(list(encoder.parts())) == 3
    assert decode(encoder.encode(), PROFILE) == decode(whole, PROFILE)
    for cut in range(57):  # wherever a part ends
        assert decode(replace(encoder, cuts=[(cut, 0, 0), (cut, 1, 3)]).encode(), PROFILE) == decode(whole, PROFILE)


def test_power_cut_leaves_the_parts_before():
    encoder = full()
    tail = b"".join(list(encoder.parts())[2:])
    payload = encoder.encode().removesuffix(tail)
    assert told(payload) == encoder.samples(*encoder.cuts[1])
    assert read_header(payload).count == len(encoder.samples(*encoder.cuts[1]))


def random_profile(chance: random.Random) -> Profile:
    """Three messages with up to ten signals of any kind, in several streams."""
    signals = [random_signal(chance, f"s{n}", 16 * (n % 4)) for n in range(8)]
    wide = Signal("wide", 0, chance.randint(33, 64), is_signed=chance.random() < 0.5, period_ms=100, purpose="a")
    messages = tuple(Message(i, False, "", tuple(group)) for i, group in enumerate((signals[:4], signals[4:], [wide])))
    return Profile("random", "", "", messages)


def random_encoder(chance: random.Random, profile: Profile | None = None, stream: int | None = None) -> Encoder:
    """A batch of a random profile, or of this one, in one of its streams, or in this one, in any number of parts."""
    profile = profile or random_profile(chance)
    stream = chance.choice(profile.streams) if stream is None else stream
    encoder = Encoder(
        profile, clock=chance.randrange(4), priority=stream % 4, purpose=stream // 4,
        boot=chance.choice([1, 127, 128, (1 << 32) - 1]), first=chance.choice([0, 1 << 20]), start=chance.randrange(1000),
        ticks=chance.randrange(120), reserved=bytes(chance.randrange(3)), utc_ms=chance.randrange(1 << 41),
        first_row=chance.randrange(4), rows=chance.randrange(4),
    )  # fmt: skip
    if not encoder.ticks:
        encoder.rows = 3
    loss, step = chance.choice([0, 0.05, 0.9]), chance.choice([0, 1, 50, 1 << 40])
    last: dict[int, int] = {}
    for tick, _, due in encoder.groups():
        for index in due:
            if index == min(set(encoder.mates(index)) & set(due)) and chance.random() >= loss:
                for mate in encoder.mates(index):
                    last[mate] = moved(chance, profile, mate, last.get(mate), step)
                    encoder.readings[tick, mate] = last[mate]
    then = encoder.start * profile.grid_ms
    for _ in range(chance.randrange(20)):
        then = max(0, then + chance.randrange(-50, 500))
        encoder.events.append(random_event(chance, encoder, then))
    encoder.events = [event for event in encoder.events if event]
    marks = sorted(chance.sample(range(encoder.ticks + 1), min(encoder.ticks, chance.randrange(5))))
    encoder.cuts = [(ticks, 0, len(encoder.events) * ticks // (encoder.ticks + 1)) for ticks in marks]
    return encoder


def random_signal(chance: random.Random, name: str, start: int) -> Signal:
    length = chance.choice([1, 8, 16])
    period_ms = chance.choice([0, 100, 250, 1000])
    near = chance.choice([0, 0, 3]) if period_ms else 0
    kinds = {"period_ms": period_ms, "purpose": chance.choice("aab"), "priority": chance.choice(PRIORITIES[1:])}
    return Signal(name, start, length, is_signed=chance.random() < 0.5, max_error=near, **kinds)  # type: ignore[arg-type]


def moved(chance: random.Random, profile: Profile, index: int, last: int | None, step: int) -> int:
    one = profile.fields[index].bits
    least, greatest = raw_range(one.length, one.is_signed)
    if last is None or chance.random() < 0.03:
        return wrapped(chance.choice([least, greatest, chance.randint(least, greatest)]))
    value = (last if one.is_signed else last % (1 << 32)) + chance.randint(-step, step)
    return wrapped(max(least, min(greatest, value)))


def random_event(chance: random.Random, encoder: Encoder, time_ms: int) -> tuple[object, ...]:
    index = chance.randrange(8)
    if chance.random() < 0.3:
        return index, time_ms, chance.randrange(5), chance.randrange(4)
    if chance.random() < 0.3:
        return "text", time_ms, "Vehicle.X", chance.choice(["", "ö" * 100])
    return (index, time_ms, moved(chance, encoder.profile, index, None, 0)) if change_driven(encoder, index) else ()


def change_driven(encoder: Encoder, index: int) -> bool:
    return not encoder.period(index) and encoder.is_own(index)


@pytest.mark.parametrize("seed", range(300))
def test_round_trip_of_random_batches(seed):
    encoder = random_encoder(random.Random(seed))
    fields = encoder.profile.fields
    payload = encoder.encode()
    found, number = decode(payload, encoder.profile).records, 0
    for index, time_ms, raw in encoder.samples():
        if index < 0 or fields[index].is_high:
            number += index < 0
            continue
        sample = found[number]
        number += 1
        assert isinstance(sample, Sample) and (sample.name, sample.time_ms) == (fields[index].signal.name, time_ms)
        signal = fields[index].signal
        least, greatest = raw_range(signal.length, signal.is_signed)
        assert least <= sample.raw <= greatest
        assert abs(wrapped(sample.raw) - raw) <= signal.quantum
    assert number == len(found)


def test_both_halves_of_a_wide_signal_make_one_sample():
    wide = Signal("wide", 0, 48, is_signed=True, period_ms=100)
    profile = rows_of(wide, replace(wide, name="told", period_ms=0))
    readings = {(1, 0): wrapped(-(3 << 32) & 0xFFFFFFFF | 5), (1, 1): -3, (2, 0): -1, (2, 1): 32767}
    encoder = Encoder(profile, start=1, ticks=2, readings=readings, events=[(2, 300, -7), (3, 300, -1)])
    found = [(s.sequence, s.index, s.raw, s.numbers) for s in decode(encoder.encode(), profile).samples]
    assert found == [(0, 0, 5 - (3 << 32), 2), (2, 0, (32768 << 32) - 1, 2), (4, 1, -7, 2)]


@pytest.mark.parametrize(
    "events", [[(2, 300, -7)], [(3, 300, -7)], [(2, 300, 1), (3, 301, 1)], [(2, 300, 1), ("alert", 300, 1, ""), (3, 300, 1)]]
)
def test_half_of_a_wide_signal(events):
    wide = Signal("wide", 0, 48, is_signed=True, period_ms=100)
    profile = rows_of(wide, replace(wide, name="told", period_ms=0))
    with pytest.raises(InputError, match="half of a value of 'told'"):
        decode(Encoder(profile, events=events).encode(), profile)


def test_signals_of_other_streams_have_no_place_in_a_batch():
    signals = [replace(SPEED, name=f"s{i}", priority=PRIORITIES[i % 2], purpose="ab"[i // 2]) for i in range(4)]
    profile = rows_of(*signals)
    for index, stream in enumerate((0, 1, 4, 5)):
        encoder = Encoder(profile, priority=stream % 4, purpose=stream // 4, ticks=3, readings={(k, index): k for k in range(3)})
        batch = decode(encoder.encode(), profile)
        assert [(s.name, s.raw, s.purpose, s.priority) for s in batch.samples] == [
            (f"s{index}", k, "ab"[index // 2], PRIORITIES[index % 2]) for k in range(3)
        ]
        assert batch.header.stream == stream


@pytest.mark.parametrize("most", [0, 1, 2, 50])
def test_near_lossless_is_never_further_off_than_it_may_be(most):
    profile = profile_of(replace(CURRENT, scale=1.0, max_error=most, period_ms=100), replace(SPEED, max_error=most / 100))
    chance = random.Random(most)
    raw = {0: 32000, 1: 200}
    encoder = Encoder(profile, ticks=500)
    for tick in range(500):
        for index, (least, greatest) in enumerate(((-32768, 32767), (0, 65535))):
            raw[index] = max(least, min(greatest, raw[index] + chance.randint(-300, 300) // chance.choice([1, 100])))
            encoder.readings[tick, index] = raw[index]
    payload = encoder.encode()
    samples = decode(payload, profile).samples
    errors = [abs(s.raw - encoder.readings[s.time_ms // 100, s.index]) for s in samples]
    assert max(errors) == most
    if most == 50:
        assert len(payload) < len(replace(encoder, profile=profile_of(replace(CURRENT, period_ms=100), SPEED)).encode()) / 2


def test_split_tick_begins_and_ends_at_its_row():
    profile = rows_of(*(replace(SPEED, name=f"s{i}") for i in range(4)))
    whole = {(k, i): 10 * k + i for k in (4, 5, 6) for i in range(4)}
    encoder = Encoder(profile, start=4, first_row=2, ticks=2, rows=3, readings=whole)
    found = [s.raw for s in decode(encoder.encode(), profile).samples]
    assert found == [42, 43, 50, 51, 52, 53, 60, 61, 62]
    encoder = Encoder(profile, start=4, first_row=1, ticks=0, rows=3, readings=whole)
    assert [s.raw for s in decode(encoder.encode(), profile).samples] == [41, 42]


def test_long_silence_costs_next_to_nothing():
    encoder = Encoder(PROFILE, ticks=60_000, readings={(59_990, 0): 7})
    payload = encoder.encode()
    assert len(payload) < 40
    assert told(payload) == encoder.samples()


def test_stream_without_periodic_signals_has_any_number_of_ticks():
    profile = rows_of(GEAR)
    encoder = Encoder(profile, start=5, ticks=1, events=[(0, 5001, 3)])
    payload = encoder.encode()
    assert [s.time_ms for s in decode(payload, profile).samples] == [5001]
    forged = payload.replace(bytes([1, 1, 0, 0, 0, 0]), bytes([1]) + varint((1 << 32) - 6) + bytes(4))
    assert read_parts(forged)[1].ticks == (1 << 32) - 6
    assert len(decode(forged, profile).samples) == 1


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
    events = [(3, 0, 1), ("alert", 0, 1, "")]
    assert {sample.utc for sample in decode(Encoder(PROFILE, events=events).encode(), PROFILE).records} == {None}


def test_reserved_field_is_skipped():
    encoder = full()
    plain = decode(encoder.encode(), PROFILE)
    encoder.reserved = b"later"
    assert decode(encoder.encode(), PROFILE) == plain


def test_truncated_anywhere():
    """Cut between two parts it is a whole batch, the one of before."""
    encoder = full()
    payload, parts = encoder.encode(), list(encoder.parts())
    whole = {len(payload) - len(parts[2]), len(payload) - len(parts[2]) - len(parts[1])}
    for size in range(len(payload)):
        if size in whole:
            assert decode(payload[:size], PROFILE).header.count < decode(payload, PROFILE).header.count
            continue
        with pytest.raises(InputError):
            decode(payload[:size], PROFILE)


def read_or_refused(payload: bytes, profile: Profile) -> None:
    try:
        batch = decode(payload, profile)
    except InputError as error:
        assert str(error).startswith("batch: ") and "\n" not in str(error)
    else:
        assert sum(record.numbers for record in batch.records) == batch.header.count


@pytest.mark.parametrize("seed", range(40))
def test_mutated_bytes_give_a_batch_or_one_clear_error(seed):
    chance = random.Random(seed)
    encoder = random_encoder(chance) if seed % 2 else full()
    original = encoder.encode()
    for _ in range(300):
        payload = bytearray(original)
        for _ in range(chance.randint(1, 4)):
            payload[chance.randrange(len(payload))] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        read_or_refused(bytes(payload), encoder.profile)


@pytest.mark.parametrize("seed", range(20))
def test_noise_behind_a_good_header(seed):
    chance = random.Random(seed)
    head = Encoder(PROFILE).encode()[:13]
    for _ in range(200):
        read_or_refused(head + chance.randbytes(chance.randrange(120)), PROFILE)


@pytest.mark.parametrize("seed", range(20))
def test_noise_in_well_formed_parts(seed):
    chance = random.Random(seed)
    head = Encoder(PROFILE).encode()[:13]
    for _ in range(100):
        sizes = [chance.randrange(40) for _ in range(4)]
        numbers = chance.randrange(100), chance.choice([0, 5, 1000, (1 << 32) - 1]), chance.randrange(2), *sizes
        read_or_refused(head + b"".join(map(varint, numbers)) + b"\0" + chance.randbytes(sum(sizes)), PROFILE)


def part(count: int, ticks: int, rows: int, v: str = "", q: str = "", p: str = "", e: bytes = b"", again: int = 0) -> bytes:
    """A batch of boot 1 from tick 0 on, with one part of bits as they are given."""
    sections = packed(v), packed(q), packed(p), e
    numbers = b"".join(map(varint, (count, ticks, rows, *map(len, sections))))
    return Encoder(PROFILE).encode()[:13] + numbers + bytes([again]) + b"".join(sections)


ESCAPED = "1" * 16
TWICE = rows_of(Signal("s", 0, 32, is_signed=True, period_ms=100))


def test_forged_ticks_end_at_the_limit():
    """2^32 ticks of silence in a few bytes: an escaped run of 2^20 - 1, and so on for ever."""
    with pytest.raises(InputError, match="more than a batch can have"):
        decode(part(0, (1 << 32) - 1, 0, p="0" + "00" + (ESCAPED + "1" * 20) * 1 + "0" * 8), TWICE)
    with pytest.raises(InputError, match="P section is .* too short"):
        decode(part(0, (1 << 32) - 1, 0), TWICE)


def test_forged_samples_end_at_the_count_announced():
    v = "1" + "10" * 20  # value 0, then residuals of 0 until the series is quiet
    q = ESCAPED + "1" * 20
    with pytest.raises(InputError, match="more than the 30 samples announced"):
        decode(part(30, 5000, 0, v, q, p="1" * 16 + f"{5000:020b}"), TWICE)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (part(1, 1, 0, v="1" + "0" * 8, p="001"), "V section has 15 bits left over"),
        (part(1, 1, 0, v="11", p="001"), "V section has 7 bits left over"),
        (part(1, 1, 0, v="1", q="1", p="001"), "Q section has 8 bits left over"),
        (part(1, 1, 0, v="1", p="0011"), "P section has 5 bits left over"),
        (part(1, 1, 0, v="1", p="010"), "a run goes 1 symbols beyond the end"),
        (part(0, 1, 0, v="1", p="001"), "more than the 0 samples"),
        (part(2, 1, 0, v="1", p="001"), "2 samples announced, 1 found"),
        (part(1, 1, 0, v="0" * 40, p="001"), "no first value where the V section"),
        (part(1, 1, 0, v="0" * 32 + "1" + "0" * 31 + "1", p="001"), "first value of the V section is longer"),
        (part(1, 1, 2, v="1", p="001"), "rows 0 and 2; its profile has 1"),
        (part(2, 2, 0, v="1" * 8, p="010"), "V section is 9 bits too short"),
        (part(9, 9, 0, v="1" + "00" * 3, q="000" + "0" + ESCAPED + "1" * 32, p="1" * 16 + f"{9:020b}"), "longer than 32 bits"),
        (part(0, 0, 0, again=1), "more bytes provisional"),
        (part(1, 1, 0, v="1", p="001", again=2 << 1), "more bytes provisional"),
        (part(1, 1, 0, v="1", p="001", again=2 << 4), "more bytes provisional"),
        (part(1, 1, 0, v="1", p="001", again=128), "more bytes provisional"),
        (part(1, 1, 0, v="1", p="001") + b"\0", "last part is 1 bytes too short"),
        (part(65_536, 1, 0), "65536 samples"),
        (part(0, 1 << 32, 0), "ticks from 0 on; it was forged"),
        (part(1, 1, 0, v="1", p="001") + bytes(MOST_BYTES), "bytes; a batch has at most"),
    ],
)  # fmt: skip
def test_forged_part(payload, text):
    with pytest.raises(InputError, match=text):
        decode(payload, TWICE)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([(0, 1, 1)], "not sampled on change in its stream"),
        ([(3, -1, 1)], "at -1 ms"),
        ([(3, 1, 5, 0)], "a mark of quality"),
        ([(3, 1, 0, 4)], "a mark of quality"),
        ([("position", 1, 900000001, 0, 0, 0)], "a position at 90.0000001, 0.0 degrees"),
        ([("position", 1, 0, -1800000001, 0, 0)], "a position at"),
        ([(3, 1, 8)], "8 is beyond the 3 bits of 'gear'"),
    ],
)
def test_forged_event(events, text):
    with pytest.raises(InputError, match=text):
        decode(Encoder(PROFILE, events=events).encode(), PROFILE)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (bytes([4 * 5, 0, 0]), "kind 0 and index 5"),
        (bytes([4 * 5 + 1, 0, 0]), "kind 1 and index 5"),
        (bytes([4 + 2, 0, 0, 0]), "kind 2 and index 1"),
        (bytes([12 + 3, 0, 0]), "kind 3 and index 3"),
        (bytes([2, 0, 2, 0xC3, 0x28, 0]), "not UTF-8"),
        (bytes([2, 0, 9, 0x41, 0]), "event section is 7 bytes too short"),
        (bytes([12, 0]) + b"\xff\xff\xff\xff\x1f", "longer than 32 bits"),
        (bytes([12, 0]) + b"\xff\xff\xff\xff\xff\x01", "longer than 5 bytes"),
    ],
)
def test_forged_event_section(section, text):
    with pytest.raises(InputError, match=text):
        decode(part(1, 0, 0, e=section), PROFILE)


def test_event_of_another_stream():
    profile = rows_of(GEAR, replace(TORQUE, priority="alert"))
    with pytest.raises(InputError, match="an event of 'torque'"):
        decode(Encoder(profile, priority=2, events=[(1, 1, 1)]).encode(), profile)


@pytest.mark.parametrize(("index", "raw"), [(0, 65536), (0, -1), (1, 32768), (1, -32769)])
def test_raw_value_beyond_its_bits(index, raw):
    readings = {(2, 0): 0, (2, 1): 0, (2, 2): 0} | {(2, index): raw}
    with pytest.raises(InputError, match="beyond the 16 bits"):
        decode(Encoder(PROFILE, start=2, ticks=1, readings=readings).encode(), PROFILE)


def test_near_lossless_value_further_beyond_its_bits_than_its_error():
    profile = rows_of(Signal("s", 0, 8, period_ms=100, max_error=3))
    for raw, good in ((258, True), (259, False), (-3, True), (-4, False)):
        payload = Encoder(profile, ticks=1, readings={(0, 0): raw}).encode()
        if good:
            assert [s.raw for s in decode(payload, profile).samples] == [max(0, min(255, raw))]
        else:
            with pytest.raises(InputError, match="beyond the 8 bits"):
                decode(payload, profile)


def forged(**fields: int) -> bytes:
    return replace(full(), **fields).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"\x01" + full().encode()[1:], "format version 1; this reader knows version 2"),
        (forged(boot=0), "boot 0"),
        (bytes([2, 12]) + Encoder(PROFILE).encode()[2:], "priority class 3"),
        (full().encode()[:6] + b"\xff" * 6 + bytes(20), "longer than 5 bytes"),
        (forged(utc_ms=(1 << 48) - 1), "9999"),
        (bytes([2, 24]) + Encoder(PROFILE).encode()[2:], "of purpose 1; its profile has 1"),
        (part(0, 0, 0)[:11] + bytes([2, 0]) + part(0, 1, 0)[13:], "rows 2 and 0; its profile has 1"),
    ],
)
def test_forged_header(payload, text):
    with pytest.raises(InputError, match=text):
        decode(payload, PROFILE)
