"""A recording's columns and values: the same as cantools', for every kind of signal; what a check says of them."""

import random
from pathlib import Path

import can
import numpy as np
import pytest
from cantools.database import Message as DbcMessage
from cantools.database.errors import DecodeError
from cantools.database.errors import Error as CantoolsError

from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.signals import dbc
from host_tools.signals.check import check, out_of_range
from host_tools.signals.checksum import expected
from host_tools.signals.drawing import draw
from host_tools.signals.frames import Frames
from host_tools.signals.message import CHECKSUM_RULES, Checksum, Counter
from host_tools.signals.overlap import bits, overlaps
from host_tools.signals.profile import UNSAMPLED, Message, Profile, Selection, Signal
from host_tools.signals.show import message_called

DATA = ROOT.parent / "shared" / "data"
REAL = sorted(path for path in DATA.glob("*/*.dbc") if "LICENSE" not in path.name)
TRIES = 12


def frame(key: int, data: bytes, time: float = 0.0) -> can.Message:
    return can.Message(
        timestamp=time, arbitration_id=key & (1 << 29) - 1, is_extended_id=bool(key >> 29), data=data
    )


def profile(*signals: Signal) -> Profile:
    return Profile("p", "", "", (Message(0x100, False, "M", signals),))


@pytest.mark.skipif(not REAL, reason=f"no real DBC files: {DATA} is absent")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_values_of_random_frames_are_those_of_cantools(path: Path) -> None:
    rng = random.Random(path.stem)
    database = dbc.load(path, lambda _: None)
    ours = dbc.profile(database, path.stem, 100, lambda _: None)
    theirs = {m.frame_id | m.is_extended_frame << 29: m for m in reversed(database.messages)}
    compared = 0
    for message in ours.messages:
        reference = theirs[message.key]
        try:
            reference.refresh(strict=True)
        except CantoolsError:
            continue  # what overruns or overlaps cantools refuses, or reads from other bits
        for _ in range(TRIES):
            data = payload(rng, reference)
            frames = Frames([frame(message.key, data)], ours)
            found = {s.name: frames.values(message, s) for s in message.signals}
            values = {name: v.physical[0] for name, v in found.items() if len(v.raw)}
            try:
                expected = reference.decode(data, decode_choices=False, allow_truncated=False)
            except DecodeError:
                assert reference.is_multiplexed()  # a selector that chooses nothing
                continue
            assert values.keys() == {f"{message.name}.{name}" for name in expected}
            for name, value in expected.items():
                assert values[f"{message.name}.{name}"] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True)
            compared += len(expected)
    assert compared > TRIES


def payload(rng: random.Random, message: DbcMessage) -> bytes:
    """Random data; of multiplexed messages the first byte small, so that something is selected."""
    data = bytearray(rng.randbytes(message.length))
    if message.is_multiplexed() and data:
        data[0] = rng.randrange(8)
    return bytes(data)


def test_frames_that_are_short_long_or_foreign() -> None:
    p = profile(Signal("a", 0, 8), Signal("b", 56, 8))
    frames = Frames(
        [frame(0x100, b"\x01"), frame(0x100, bytes(8), 2.0), frame(0x100 | 1 << 29, b""), frame(0x7FF, b"")], p
    )
    (message,) = p.messages
    assert [len(frames.values(message, s).raw) for s in message.signals] == [2, 1]
    assert frames.others == {0x100 | 1 << 29: 1, 0x7FF: 1} and (frames.start, frames.end) == (0, 2)
    long = can.Message(arbitration_id=0x100, is_extended_id=False, is_fd=True, data=bytes(12))
    result, _ = check([long, frame(0x100, bytes(8))], p, frozenset())
    assert (result.frames, result.decoded_frames, result.fd_frames) == (2, 1, 1)


def test_ranges_take_both_ends_and_refuse_nan() -> None:
    values = np.array([-0.1, 0.0, 0.3, 0.30001, np.nan])
    assert out_of_range(Signal("s", 0, 8, scale=0.1, valid=(0, 0.3)), values).tolist() == [1, 0, 0, 1, 1]
    assert out_of_range(Signal("s", 0, 8, minimum=0, maximum=0.3), values).tolist() == [1, 0, 0, 1, 1]
    assert not out_of_range(Signal("s", 0, 8), values).any()


def guarded(rule: str = "sum8", period_ms: int = 500) -> Profile:
    """A counter of 4 bits that counts 0 to 14, and a checksum in the fourth byte."""
    signals = (
        Signal("speed", 0, 16, period_ms=period_ms),
        Signal("count", 20, 4, "little_endian", period_ms=UNSAMPLED),
        Signal("sum", 32, 8, "big_endian", period_ms=UNSAMPLED),
    )
    return Profile("p", "", "", (Message(0x100, False, "M", signals, Counter("count", 15, 2), Checksum("sum", rule)),))


def guarded_drive(rule: str) -> list[can.Message]:
    """Sixty frames, 0.1 s apart, that keep to the rules."""
    checks = next(s for s in guarded().signals if s.name == "sum")
    frames = []
    for number in range(60):
        data = bytes((number, 7, (2 * number % 15) << 4 | 9, 0))
        data = data[:3] + bytes((expected(rule, 0x100, False, data, checks),))
        frames.append(frame(0x100, data, number / 10))
    return frames


def wrong(frames: list[can.Message], profile: Profile) -> dict[str, tuple[int, int]]:
    result, _ = check(frames, profile, frozenset())
    assert result.has_failed == any(guard.wrong for guard in result.guards)
    return {guard.kind: (guard.frames, guard.wrong) for guard in result.guards}


@pytest.mark.parametrize("rule", CHECKSUM_RULES)
def test_frames_that_keep_to_their_rules_are_right_and_each_that_does_not_is_counted(rule: str) -> None:
    frames = guarded_drive(rule)
    assert wrong(frames, guarded(rule)) == {"counter": (60, 0), "checksum": (60, 0)}
    for number in (0, 20, 21, 59):
        frames[number].data[3] ^= 1
    assert wrong(frames, guarded(rule)) == {"counter": (60, 0), "checksum": (60, 4)}


def test_frame_that_is_missing_twice_there_or_short_is_a_wrong_counter_in_the_next_one_only() -> None:
    frames = guarded_drive("sum8")
    assert wrong(frames[:10] + frames[11:], guarded()) == {"counter": (59, 1), "checksum": (59, 0)}
    assert wrong(frames[:10] + frames[9:], guarded()) == {"counter": (61, 1), "checksum": (61, 0)}
    frames[10].data = frames[10].data[:3]  # the device drops it
    assert wrong(frames, guarded()) == {"counter": (59, 1), "checksum": (59, 0)}


@pytest.mark.parametrize(
    ("period_ms", "silence", "count"), [(500, 1.2, 1), (500, 1.4, 0), (100, 0.7, 1), (100, 0.9, 0), (0, 99, 1)]
)
def test_counter_of_the_first_frame_after_a_silence_is_not_judged(period_ms: int, silence: float, count: int) -> None:
    frames = guarded_drive("sum8")
    for later in frames[10:]:
        later.timestamp += silence
    assert wrong(frames[:9] + frames[10:], guarded(period_ms=period_ms))["counter"] == (59, count)


def test_messages_without_signals_are_known_by_name() -> None:
    frames = [frame(0x100, b"\x01"), frame(0x200, b""), frame(0x300, b"")]
    result, _ = check(frames, profile(Signal("a", 0, 8)), frozenset({0x200, 0x400}))
    assert (result.known_frames, result.decoded_frames, result.known_ids, result.ids) == (2, 1, 2, 3)
    assert result.unknown == (("300", 1),) and not result.has_failed


def test_bits_of_both_byte_orders_are_the_frames_own() -> None:
    assert bits(Signal("a", 4, 8)) == 0x0FF0
    assert bits(Signal("a", 52, 12, "big_endian")) == 0xF0FF


def selected(name: str, start: int, selector: str, *ranges: tuple[int, int]) -> Signal:
    return Signal(name, start, 8, selection=Selection(selector, ranges))


def test_signals_that_exclude_each_other_do_not_overlap() -> None:
    mux, inner = Signal("mux", 0, 8), selected("inner", 8, "mux", (0, 1))
    one, other = selected("one", 16, "inner", (0, 3)), selected("other", 16, "inner", (4, 9))
    far, both = selected("far", 16, "mux", (2, 2)), selected("both", 16, "inner", (3, 4))
    assert list(overlaps([mux, inner, one, other, far])) == []
    found = [{a.name, b.name} for a, b in overlaps([mux, inner, one, other, far, both, Signal("x", 4, 4)])]
    assert found == [{"mux", "x"}, {"one", "both"}, {"other", "both"}]


def test_a_drawing_shows_both_byte_orders_and_one_picture_a_choice() -> None:
    signals = (
        Signal("M.Mux", 0, 4),
        Signal("M.Motorola", 44, 12, "big_endian"),
        selected("M.A", 32, "M.Mux", (0, 0), (2, 3)),
        selected("M.B", 32, "M.Mux", (1, 1)),
    )
    drawn = draw(profile(*signals).messages[0])
    assert drawn.splitlines()[0] == "M: id 100 (11 bits), 5 bytes of data"
    always, first, second = drawn.split("\nwhen ")
    assert first.startswith("Mux is 0, 2-3:") and second.startswith("Mux is 1:")
    assert "+-- Motorola" in always and "+-- A" not in always and "+-- A" in first and "+-- B" in second
    assert "1 |<------------------------------|" in always and "2 |--------------x|" in always


def test_a_drawing_of_a_database_names_what_overruns_and_marks_what_overlaps(tmp_path: Path) -> None:
    lines = "\n".join(f' SG_ {n} : {b} (1,0) [0|0] "" A' for n, b in {"A": "0|8@1+", "B": "4|4@1+", "C": "12|8@1+"}.items())
    (tmp_path / "x.dbc").write_text(f'VERSION ""\nBU_: A\nBO_ 256 M: 2 A\n{lines}\n')
    drawn = draw(dbc.load(tmp_path / "x.dbc", print).messages[0])
    assert "XXXX" in drawn and drawn.endswith("C is beyond the end of the message")


def test_a_message_is_found_by_name_id_or_signal() -> None:
    p = profile(Signal("Vehicle.Speed", 0, 8))
    for text in ("M", "100", "0x100", "Vehicle.Speed", "Vehicle"):
        assert message_called(p, text) is p.messages[0]
    with pytest.raises(InputError, match=r"no message 'Vehicle.Sped'; close (is|are) Vehicle.Speed"):
        message_called(p, "Vehicle.Sped")
