"""The firmware's decoding against cantools: all signals of real DBC files, and of DBC files made at random."""

import os
import random
from pathlib import Path

import pytest
from cantools.database import Database
from differential.device import Frame, decoded
from differential.random_dbc import random_dbc
from differential.reference import Reference, payloads

from host_tools.paths import ROOT
from host_tools.signals import dbc
from host_tools.signals.profile import Message, Profile, Signal

DATA = ROOT.parent / "shared" / "data"
FILES = sorted(path for folder in ("dbc", "kona-ev", "frs") for path in (DATA / folder).glob("*.dbc") if path.stem != "LICENSE")
PER_CHUNK = 60  # messages: what a heap holds that is some eight times the device's
RANDOM_PAYLOADS = int(os.environ.get("PAYLOADS", "300"))  # of each message; each bit alone comes on top


def signed(raw: int, signal: Signal) -> int:
    bits = 64 if signal.is_wide else 32
    return (raw + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def as_the_device(raw: list[int], profile: Profile) -> list[int]:
    """A value a signal of the device's fields: long ones joined."""
    if len(profile.fields) == len(profile.signals):
        return raw
    values: list[int] = []
    for index, field in enumerate(profile.fields):
        if field.is_high:
            values[-1] = signed(raw[index] << 32 | values[-1] & 0xFFFFFFFF, field.signal)
        else:
            values.append(raw[index])
    return values


def compare(folder: Path, database: Database, messages: tuple[Message, ...], seed: int) -> int:
    """How many values were compared, all equal, after frames of these messages."""
    chance = random.Random(seed)
    profile = Profile("p", "", "", messages)
    theirs = {(m.frame_id, m.is_extended_frame): m for m in reversed(database.messages)}
    keys = [(m.arbitration_id, m.is_extended_id) for m in profile.messages]
    references = [
        Reference(theirs[key], {signal.name.rpartition(".")[2] for signal in message.signals})
        for key, message in zip(keys, profile.messages, strict=True)
    ]
    rounds: list[list[Frame]] = []
    expected: list[list[int]] = []
    state = [0] * len(profile.signals)
    place = {s.name: (number, 1 << (63 if s.is_wide else 31)) for number, s in enumerate(profile.signals)}
    places = [{s.name.rpartition(".")[2]: place[s.name] for s in message.signals} for message in profile.messages]
    streams = [payloads(theirs[k], m, RANDOM_PAYLOADS, chance) for k, m in zip(keys, profile.messages, strict=True)]
    compared = 0
    while True:
        frames = []
        for key, own, reference, stream in zip(keys, places, references, streams, strict=True):
            data = next(stream, None)
            if data is None:
                continue
            frames.append((*key, data))
            for name, raw in reference.decode(data).items():
                number, half = own[name]
                state[number] = (raw + half) % (2 * half) - half
                compared += 1
        if not frames:
            break
        rounds.append(frames)
        expected.append(state.copy())
    for (raw, unknown, short), wanted, frames in zip(decoded(folder, profile, rounds), expected, rounds, strict=True):
        got = as_the_device(raw, profile)
        if got != wanted:
            wrong = [(s.name, g, w) for s, g, w in zip(profile.signals, got, wanted, strict=True) if g != w]
            raise AssertionError(wrong[:3], frames[:1])
        assert (unknown, short) == (0, 0)
    return compared


@pytest.mark.skipif(not FILES, reason="needs the DBC files of ../shared/data, which are not here")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_signals_of_a_real_file_decode_as_cantools_does(tmp_path: Path, path: Path) -> None:
    left_out: list[str] = []
    database = dbc.load(path, lambda line: None)
    profile = dbc.profile(database, path.stem, 100, left_out.append)
    compared = 0
    for first in range(0, len(profile.messages), PER_CHUNK):
        compared += compare(tmp_path, database, profile.messages[first : first + PER_CHUNK], first)
    assert compared > 200 * len(profile.signals) / 20
    known = {signal.name.rpartition(".")[2] for signal in profile.signals}
    in_reach = [m for m in database.messages if m.length <= 8]
    fitting = {s.name for m in in_reach for s in m.signals if s.length <= 64}
    assert len(fitting - known) <= sum("left out" in line for line in left_out)


@pytest.mark.parametrize("seed", range(12))
def test_random_file_decodes_as_cantools_does(tmp_path: Path, seed: int) -> None:
    (tmp_path / "random.dbc").write_text(random_dbc(random.Random(seed)))
    told: list[str] = []
    database = dbc.load(tmp_path / "random.dbc", told.append)
    profile = dbc.profile(database, "random", 100, told.append)
    assert len(profile.signals) == sum(len(message.signals) for message in database.messages)
    assert compare(tmp_path, database, profile.messages, seed) > 1000
