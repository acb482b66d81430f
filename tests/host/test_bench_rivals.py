"""The bench's rivals: what each of them sends holds the very samples that ours holds, neither fewer nor more."""

import json
import lzma
import random

import cbor2
import cramjam
import pytest

from host_tools.bench import delta, schema, text, workload
from host_tools.bench.samples import EPOCH_MS, Sample, Window, rounded, windows
from host_tools.signals.profile import ON_CHANGE, Message, Profile, Signal

LENGTH_MS = 10_000
EXTREMES = (-(1 << 31), (1 << 31) - 1, 0, -1, 1)


def profile() -> Profile:
    return Profile("p", "", "", (
        Message(1, False, "a", (
            Signal("flag", 0, 1, period_ms=100), Signal("speed", 8, 16, scale=0.05586080472, period_ms=100),
            Signal("yaw", 24, 32, is_signed=True, scale=0.28647889757, offset=-40, period_ms=200),
        )),
        Message(2, False, "b", (Signal("gear", 0, 4), Signal("torque", 8, 32, is_signed=True, scale=2.0, period_ms=500))),
        Message(3, False, "c", (Signal("heard never", 0, 8, period_ms=1000),)),
    ))  # fmt: skip


def walk(seed: int) -> list[Window]:
    """Samples of 25 s: some due ones are missing, some jump from one end to the other."""
    chance, found, raw = random.Random(seed), [], [0] * 6
    signals = profile().signals
    for time_ms in range(100, 25_001, 100):
        for index, signal in enumerate(signals[:5]):
            is_due = signal.period_ms > 0 and time_ms % signal.period_ms == 0
            at = time_ms - chance.randrange(100) if signal.period_ms == ON_CHANGE else time_ms
            if chance.random() < (0.9 if is_due else 0.05 if signal.period_ms == ON_CHANGE else 0):
                raw[index] = moved(chance, raw[index], signal)
                found.append(Sample(index, at, raw[index]))
    return windows(profile(), found, LENGTH_MS)


def moved(chance: random.Random, raw: int, signal: Signal) -> int:
    step = chance.choice([0, 0, 1, -1, 63, -64])
    new = chance.choice(EXTREMES) if chance.random() < 0.05 else raw + step
    if signal.is_signed:
        return max(-(1 << 31), min((1 << 31) - 1, new))
    return new % (1 << signal.length)


def raw_of(signal: Signal, value: float) -> int:
    return round((value - signal.offset) / signal.scale)


Known = set[tuple[int, int, int]]


def known(window: Window) -> Known:
    return {(s.index, s.time_ms, s.raw) for s in window.samples}


def from_json_per_sample(messages: list[bytes], window: Window) -> Known:
    found = set()
    numbers = {signal.name: n for n, signal in enumerate(window.profile.signals)}
    for message in map(json.loads, messages):
        index = numbers[message["name"]]
        time_ms = round(message["time"] * 1000) - EPOCH_MS
        found.add((index, time_ms, raw_of(window.profile.signals[index], message["value"])))
    return found


def from_json_batch(messages: list[bytes], window: Window) -> Known:
    content = json.loads(messages[0])
    numbers = {signal.name: n for n, signal in enumerate(window.profile.signals)}
    return {
        (numbers[name], content["time"] - EPOCH_MS + since, raw_of(window.profile.signals[numbers[name]], value))
        for name, values in content["signals"].items()
        for since, value in values
    }


def from_cbor_batch(messages: list[bytes], window: Window) -> Known:
    time, signals = cbor2.loads(messages[0])
    return {(index, time - EPOCH_MS + since, raw) for index, values in signals.items() for since, raw in values}


def from_fleetwise(messages: list[bytes], window: Window) -> Known:
    message = schema.VehicleData.FromString(bytes(cramjam.snappy.decompress_raw(messages[0])))
    end_ms = message.collection_event_time_ms_epoch - EPOCH_MS
    return {
        (s.signal_id - 1, end_ms + s.relative_time_ms, raw_of(window.profile.signals[s.signal_id - 1], s.double_value))
        for s in message.captured_signals
    }


def from_tesla(messages: list[bytes], window: Window) -> Known:
    found = set()
    for message in map(schema.Payload.FromString, messages):
        time_ms = message.created_at.ToMilliseconds() - EPOCH_MS
        for datum in message.data:
            value = getattr(datum.value, datum.value.WhichOneof("value"))
            found.add((datum.key - 1, time_ms, raw_of(window.profile.signals[datum.key - 1], value)))
    return found


def numbers_of(data: bytes) -> list[int]:
    """LEB128."""
    found, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(number)
            number = shift = 0
    return found


def unzigzag(number: int) -> int:
    return number // 2 if number % 2 == 0 else -(number + 1) // 2


def from_numbers(numbers: list[int], slots: list[tuple[int, int]], degree: int, window: Window) -> Known:
    """`slots`: (index, time_ms) in the order in which they were coded; differences of that degree, then events."""
    found: Known = set()
    history: dict[int, list[int]] = {}
    for (index, time_ms), number in zip(slots, numbers, strict=False):  # events follow
        if number:
            *_, two, one = [0, 0, *history.get(index, [])]
            raw = delta.wrapped(unzigzag(number - 1) + (one if degree == 1 else 2 * one - two))
            history.setdefault(index, []).append(raw)
            found.add((index, time_ms, raw))
    then, last = window.start_ms, dict[int, int]()
    rest = iter(numbers[len(slots) :])
    for index, since, difference in zip(rest, rest, rest, strict=True):
        then += unzigzag(since)
        last[index] = delta.wrapped(last.get(index, 0) + unzigzag(difference))
        found.add((index, then, last[index]))
    return found


def from_varints(messages: list[bytes], window: Window) -> Known:
    return from_numbers(numbers_of(messages[0]), list(window.due()), 1, window)


def from_xz(messages: list[bytes], window: Window) -> Known:
    """Its four ways are told apart by trying them, as the test knows what must come out."""
    data = lzma.decompress(messages[0])
    count = len(list(window.due())) + 3 * len(window.events())
    numbers = [int.from_bytes(data[n::count], "little") for n in range(count)]
    by_time, by_signal = list(window.due()), sorted(window.due())
    ways = [from_numbers(numbers, slots, degree, window) for slots in (by_time, by_signal) for degree in (1, 2)]
    return next((way for way in ways if way == known(window)), ways[0])


RIVALS = {
    text.json_per_sample: from_json_per_sample,
    text.json_batch: from_json_batch,
    text.cbor_batch: from_cbor_batch,
    delta.varints: from_varints,
    delta.xz_planes: from_xz,
    schema.fleetwise: from_fleetwise,
    schema.tesla: from_tesla,
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("encode", RIVALS, ids=lambda encode: encode.__name__)
def test_a_rival_sends_the_very_samples(encode, seed: int) -> None:
    found = walk(seed)
    assert len(found) == 3
    for window in found:
        assert RIVALS[encode](encode(window), window) == known(window)


def test_windows_share_out_all_samples_by_time() -> None:
    found = windows(profile(), [Sample(1, 10_001, 7), Sample(1, 10_000, 6), Sample(0, 20_001, 1)], LENGTH_MS)
    assert [(w.start_ms, w.end_ms, [s.raw for s in w.samples]) for w in found] == [
        (0, 10_000, [6]), (10_000, 20_000, [7]), (20_000, 30_000, [1]),
    ]  # fmt: skip


@pytest.mark.parametrize("scale", [0.05586080472, 0.28647889757, 0.1, 1.0, 0.5, 2.0, 7.0, -0.015625])
def test_a_rounded_value_still_tells_the_raw_one(scale: float) -> None:
    signal = Signal("s", 0, 16, scale=scale, offset=-40)
    assert all(raw_of(signal, rounded(signal, raw)) == raw for raw in range(1 << 16))


def test_xz_as_it_is_called_here_is_as_short_as_the_tool_at_9e() -> None:
    for window in walk(9):
        way = min((delta.planes(window, degree, order) for degree in (1, 2) for order in (False, True)), key=tool_9e)
        assert len(delta.xz_planes(window)[0]) == tool_9e(way)


def tool_9e(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def test_rounding_is_the_shortest_that_will_do() -> None:
    signal = Signal("s", 0, 16, scale=0.05586080472)
    assert rounded(signal, 1234) == 68.93
    assert json.dumps(rounded(Signal("s", 0, 8, offset=-40), 50)) == "10"


@pytest.mark.skipif(bool(workload.missing()), reason="the recordings are not in ../shared/data")
def test_two_real_cars_come_to_46_signals_and_keep_their_frames() -> None:
    shipped, merged = workload.shipped(), workload.both()
    assert sum(signal.period_ms >= 0 for signal in merged.profile.signals) == 46
    assert {signal.purpose for signal in merged.profile.signals} == {"driving"}
    assert len({signal.purpose for signal in shipped.profile.signals}) > 2
    assert merged.frames == shipped.frames
    assert set(workload.frs().frames) <= set(merged.frames)
    times = [frame[0] for frame in merged.frames]
    assert times == sorted(times) and times[-1] > 89_900
