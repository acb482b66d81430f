"""Many batches at once give what each gives by itself: of random, wide, near-lossless, marked, cut and forged ones."""

import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from batch_encoder import Encoder, packed, varint
from test_reader_batch import PROFILE, full, part, profile_of, random_encoder, random_profile, rows_of

from host_tools import logs
from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.reader import bulk, decode, lockstep
from host_tools.reader.batch import YEAR_10000_MS
from host_tools.reader.bulk import Block, decode_all
from host_tools.reader.events import QUALITIES
from host_tools.signals import find
from host_tools.signals.descriptor import encode, extract
from host_tools.signals.profile import SOURCES, Profile, Signal

DATA = ROOT.parent / "shared" / "data"
Batches = Sequence[tuple[bytes, Profile]]


def same(batches: Batches, block: Block) -> None:
    """Raises AssertionError unless `block` is what decoding them one by one gives."""
    found: dict[int, list[tuple[object, ...]]] = {}
    for batch, sequence, signal, raw, *rest in zip(*(column.tolist() for column in block.columns), strict=True):
        number = batches[batch][1].signals[signal].number(raw)
        found.setdefault(batch, []).append((sequence, signal, number, *rest))
    assert list(found) == sorted(found)
    occurrences, errors = [], []
    for number, (payload, profile) in enumerate(batches):
        try:
            batch = decode(payload, profile)
        except InputError as error:
            errors.append((number, str(error)))
            assert number not in found
            continue
        expected = [
            (s.sequence, s.index, s.raw, s.value, s.time_ms, QUALITIES.index(s.quality), SOURCES.index(s.source))
            for s in batch.samples
        ]
        assert repr(found.get(number, [])) == repr(expected)  # repr: a value may be no number
        occurrences += [(number, occurrence) for occurrence in batch.occurrences]
    assert block.occurrences == occurrences
    assert [(number, str(error)) for number, error in block.errors] == errors


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The payloads that were decoded one by one."""
    payloads = []

    def decoded(payload: bytes, profile: Profile):
        payloads.append(payload)
        return decode(payload, profile)

    monkeypatch.setattr(bulk, "decode", decoded)
    return payloads


@pytest.mark.parametrize("seed", range(20))
def test_random_batches_of_several_streams(seed, alone):
    chance = random.Random(seed)
    profile = random_profile(chance)
    batches = [(random_encoder(chance, profile).encode(), profile) for _ in range(chance.randint(1, 24))]
    same(batches, decode_all(batches, least_lanes=1))
    with_others = [payload for payload, _ in batches if decode(payload, profile).occurrences]
    # The others were decoded together, but for the few that are far longer or of which nearly all is absent.
    assert set(with_others) <= set(alone)


def quiet(chance: random.Random, ticks: int, **fields: int) -> Encoder:
    """A batch of PROFILE in which values move little."""
    encoder = Encoder(PROFILE, start=chance.randrange(100), ticks=ticks, **fields)
    level = [5000, 0, 90]
    for tick, index in encoder.slots():
        level[index] += chance.choice([0, 0, 0, 1, -1, 30])
        encoder.readings[tick, index] = level[index]
    encoder.events = [(3, tick * 100 + 7, tick % 4) for tick in range(encoder.start, encoder.start + ticks, 9)]
    return encoder


def test_ordinary_batches_are_not_decoded_one_by_one(alone):
    chance = random.Random(1)
    batches = [(quiet(chance, 40 + n % 7, first=1000 * n, clock=2).encode(), PROFILE) for n in range(bulk.LEAST_LANES)]
    block = decode_all(batches)
    same(batches, block)
    assert not alone and len(block.columns.raw) > 40 * bulk.LEAST_LANES
    decode_all(batches[1:])
    assert len(alone) == bulk.LEAST_LANES - 1


def test_batches_of_several_profiles_come_back_in_their_order():
    chance = random.Random(2)
    others = [random_profile(chance) for _ in range(3)]
    batches = [(random_encoder(chance, profile).encode(), profile) for _ in range(10) for profile in others]
    batches += [(full().encode(), PROFILE), (b"\x02", PROFILE), (quiet(chance, 9).encode(), PROFILE)]
    chance.shuffle(batches)
    same(batches, decode_all(batches, least_lanes=3))


def test_without_numpy(monkeypatch):
    chance = random.Random(3)
    batches = [(quiet(chance, 20).encode(), PROFILE) for _ in range(40)] + [(b"", PROFILE)]
    together = decode_all(batches)
    monkeypatch.setattr(bulk, "lanes", None)
    block = decode_all(batches)
    same(batches, block)
    assert [column.tolist() for column in block.columns] == [column.tolist() for column in together.columns]


def test_nothing_at_all():
    assert [len(column) for column in decode_all([]).columns] == [0] * 8


def test_marks_hold_from_their_time_on(alone):
    chance = random.Random(4)
    batches = []
    for n in range(30):
        encoder = quiet(chance, 30)
        at = encoder.start * 100 + 100 * (n % 20)
        encoder.events = [(0, at, 4, 1), (2, at, 1, 0), (3, at, 2), (3, at, 2, 3), (3, at, 1), (0, at + 500, 0, 1)]
        batches.append((encoder.encode(), PROFILE))
    same(batches, decode_all(batches))
    assert not alone


@pytest.mark.parametrize("length", [33, 40, 63, 64])
@pytest.mark.parametrize("is_signed", [False, True])
def test_wide_signals(length, is_signed, alone):
    chance = random.Random(length)
    profile = profile_of(Signal("wide", 0, length, is_signed=is_signed, scale=0.5, offset=-1.0, period_ms=100))
    batches = []
    for _ in range(30):
        encoder = Encoder(profile, ticks=9)
        for tick in range(9):
            high = chance.getrandbits(length - 32)
            if is_signed and high >> (length - 33):
                high -= 1 << (length - 32)
            encoder.readings[tick, 0] = chance.getrandbits(32) - (1 << 31)
            encoder.readings[tick, 1] = high if high < 1 << 31 else high - (1 << 32)
        batches.append((encoder.encode(), profile))
    same(batches, decode_all(batches))
    assert not alone


def test_floats(alone):
    kinds = [("h", "<e", 16), ("f", "<f", 32), ("d", "<d", 64)]
    profile = rows_of(*(Signal(name, 0, length, is_float=True, scale=2.0, period_ms=100) for name, _, length in kinds))
    batches = []
    for value in (0.0, -1.5, 3.25, float("inf"), float("nan"), 65504.0, -0.0) * 5:
        bits = [struct.pack(code, value) for _, code, _ in kinds]
        words = [int.from_bytes(half, "little", signed=len(half) == 4) for own in bits for half in (own[:4], own[4:]) if half]
        batches.append((Encoder(profile, ticks=1, readings={(0, i): word for i, word in enumerate(words)}).encode(), profile))
    same(batches, decode_all(batches))
    assert not alone
    same(batches, decode_all(batches, least_lanes=99))


@pytest.mark.parametrize("seed", range(12))
def test_mutated_batches_give_what_they_give_alone(seed):
    chance = random.Random(seed)
    encoder = random_encoder(chance) if seed % 2 else full()
    original, batches = encoder.encode(), []
    for _ in range(80):
        payload = bytearray(original)
        for _ in range(chance.randint(0, 3)):
            payload[chance.randrange(len(payload))] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        batches.append((bytes(payload), encoder.profile))
    same(batches, decode_all(batches, least_lanes=1))


@pytest.mark.parametrize("seed", range(6))
def test_noise_in_well_formed_parts(seed):
    chance = random.Random(seed)
    head, batches = Encoder(PROFILE).encode()[:13], []
    for _ in range(60):
        sizes = [chance.randrange(40) for _ in range(3)] + [0]
        numbers = chance.randrange(100), chance.choice([0, 5, 30, 1000, (1 << 32) - 1]), chance.randrange(3), *sizes
        noise = chance.randbytes(sum(sizes))
        batches.append((head + b"".join(map(varint, numbers)) + b"\0" + noise, PROFILE))
    same(batches, decode_all(batches, least_lanes=1))


TWICE = rows_of(Signal("s", 0, 32, is_signed=True, period_ms=100))
ONES = "1" * 16


@pytest.mark.parametrize(
    ("v", "q", "p", "is_sound"),
    [
        ("1", "", "001", True),
        ("1" + "0" * 8, "", "001", False),  # a byte of nothing
        ("11", "", "001", False),  # a bit that is not zero left over
        ("0" * 32 + "1" + "0" * 32, "", "001", True),  # the longest first value
        ("0" * 32 + "1" + "0" * 31 + "1", "", "001", False),  # longer by one
        ("0" * 33 + "1" + "0" * 33, "", "001", False),
        ("1", "", ONES + "1" * 20, False),  # a run far beyond the end
        ("1", "", "0011", False),  # more presence symbols than there are
        ("1", "", "001" + "0" * 10, False),
        ("1", "1", "001", False),  # bits where there are none to be
    ],
)
def test_odd_bits_are_judged_as_they_are_alone(v, q, p, is_sound):
    batches = [(part(1, 1, 0, v, q, p), TWICE)] * 3
    block = decode_all(batches, least_lanes=1)
    same(batches, block)
    assert bool(block.errors) != is_sound


QUIET = "1" + "00" + "0" + "0" + "0"  # five values, then the signal is quiet


@pytest.mark.parametrize(
    ("q", "is_sound"), [("001", True), ("010", False), ("000" + "0" + "0", True), ("000" + "1" + ONES + "0" * 32, True)]
)
def test_run_that_goes_beyond_the_end(q, is_sound):
    batches = [(part(6, 6, 0, QUIET, q, "1010"), TWICE)] * 3
    block = decode_all(batches, least_lanes=1)
    same(batches, block)
    assert bool(block.errors) != is_sound


@pytest.mark.parametrize(("size", "is_sound"), [(1, True), (1 << 31, True), ((1 << 31) + 1, False), (1 << 32, False)])
def test_deviation_of_more_than_32_bits_is_left_to_the_plain_decoder(size, is_sound):
    q = packed("000" + "1" + (ONES + f"{size - 1:032b}" if size > 16 else "0"))
    signals, counts = np.zeros(6, np.int64), np.array([6])
    coded = lockstep.Coded([packed(QUIET)], [q], signals, counts, np.array([True]), np.array([1], np.int32))
    assert lockstep.values(coded).sound.tolist() == [is_sound]


@pytest.mark.parametrize(
    ("events", "is_sound"),
    [
        ([(0, 5, 1), (1, 5, 2)], True),
        ([(0, 5, 1)], False), ([(1, 5, 2)], False), ([(1, 5, 2), (0, 5, 1)], False),
        ([(0, 5, 1), (1, 6, 2)], False), ([(0, 5, 1), (0, 5, 1), (1, 5, 2)], False),
    ],
)  # fmt: skip
def test_half_of_a_wide_value(events, is_sound):
    profile = profile_of(Signal("wide", 0, 40), Signal("slow", 40, 8, period_ms=100))
    batches = [(Encoder(profile, events=events).encode(), profile)] * 3
    block = decode_all(batches, least_lanes=1)
    same(batches, block)
    assert bool(block.errors) != is_sound


def test_time_beyond_the_year_9999():
    batches = [(quiet(random.Random(n), 20, clock=3, utc_ms=YEAR_10000_MS - 9000 + n).encode(), PROFILE) for n in range(30)]
    block = decode_all(batches, least_lanes=1)
    same(batches, block)
    assert 0 < len(block.errors) < 30


def test_purpose_that_the_profile_has_not():
    batches = [(Encoder(PROFILE, purpose=9).encode(), PROFILE)] * 3
    block = decode_all(batches, least_lanes=1)
    same(batches, block)
    assert len(block.errors) == 3


def test_batches_that_are_not_worth_the_walk_are_decoded_alone(alone):
    absent = quiet(random.Random(6), 400)
    absent.readings = {(tick, index): 5 for tick, index in absent.readings if tick == absent.start}
    marked = quiet(random.Random(7), 20)
    marked.events = [(0, 100 * marked.start + n, n % 5, 0) for n in range(65)] + [(3, 100 * marked.start + 65, 1)]
    for encoder in absent, marked:
        batches = [(encoder.encode(), PROFILE)] * 2
        same(batches, decode_all(batches, least_lanes=1))
    slow = rows_of(Signal("slow", 0, 8, period_ms=100_000), Signal("quick", 0, 8, period_ms=100, purpose="other"))
    encoder = Encoder(slow, ticks=1900, readings={(0, 0): 1, (1000, 0): 2})
    same([(encoder.encode(), slow)], decode_all([(encoder.encode(), slow)], least_lanes=1))
    assert len(alone) == 5


def test_forged_walks_are_left_to_the_one_who_bounds_them(alone):
    batches = [(part(65_535, 600_000, 0, "1", "", ONES + "1" * 20), TWICE), (part(3, 1 << 31, 0, "1"), PROFILE)]
    same(batches, decode_all(batches, least_lanes=1))
    assert len(alone) == 2


def test_long_batch_among_short_ones_is_decoded_alone(alone):
    chance = random.Random(5)
    batches = [(quiet(chance, 10).encode(), PROFILE) for _ in range(40)] + [(quiet(chance, 400).encode(), PROFILE)]
    same(batches, decode_all(batches))
    assert alone == [batches[-1][0]]


def test_sections_of_any_length_do_not_mix():
    batches = [(part(1, 1, 0, "1" + "0" * 7, "", packed_run), TWICE) for packed_run in ("000", "0" * 8, "01" + "0" * 6)]
    assert packed("1") == b"\x80"
    same(batches, decode_all(batches, least_lanes=1))


DRIVES = {
    "kona-ev": DATA / "kona-ev" / "kona2019_230112-7_pcan0_ccan1.log.gz",
    "scion-fr-s": DATA / "frs" / "can_sample.log.gz",
}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"real recordings are not here: {DATA} is absent")
@pytest.mark.parametrize("car", DRIVES)
def test_real_drive_in_batches_of_a_second(car, alone):
    profile = find.find(car, 0, print)
    batches = [(encoder.encode(), profile) for encoder in drive(profile, DRIVES[car], 1000) if encoder.readings]
    block = decode_all(batches, least_lanes=2)
    same(batches, block)
    assert len(alone) < len(batches) / 2 and len(block.columns.raw) > 1000


def drive(profile: Profile, path: Path, length_ms: int) -> Iterator[Encoder]:
    """The batches of a drive's first 20 seconds, stream by stream. What did not come since it was last due is absent."""
    grid_ms, frames = profile.grid_ms, list(logs.read(path))
    came: dict[tuple[int, int], bytes] = {}  # by message and the tick after it
    for frame in frames:
        after_ms = (frame.timestamp - frames[0].timestamp) * 1000
        came[frame.arbitration_id | frame.is_extended_id << 29, 1 + int(after_ms) // grid_ms] = bytes(frame.data)
    for stream in profile.streams:
        for begin in range(1, 20_000 // grid_ms, length_ms // grid_ms):
            encoder = Encoder(profile, priority=stream % 4, purpose=stream // 4, start=begin, ticks=length_ms // grid_ms)
            for tick, index in encoder.slots():
                row = next(row for row in reversed(profile.rows) if row.first <= index)
                recent = range(tick, tick - encoder.period(index) // grid_ms, -1)
                data = next((came[row.message.key, k] for k in recent if (row.message.key, k) in came), b"")
                if len(data) >= row.size and not row.selection:
                    encoder.readings[tick, index] = extract(encode(row.fields[index - row.first].bits), data)
            yield encoder
