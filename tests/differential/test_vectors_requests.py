"""The real answers of OBDb's vectors through profiles compiled from its signal sets: windows of the answers through the device's
tables, physical values by the profile's text, against OBDb's values. What is known to be wrong in those is listed here."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from differential.device import Frame, decoded
from differential.test_vectors import OBD, VEHICLES, Case, is_an_answer, is_equal, vectors

from host_tools.signals import obdb
from host_tools.signals.profile import Profile, Signal

# Values that differ, by vehicle and why. OBDb clamps them to a range, beyond which they are flagged here; it has 2 / 65535 for
# the standard's 2 / 65536. The answers of some model years are shorter than the set says; OBDb takes what there is of them.
DIFFERENT = {
    "BMW-i3": {"clamped": 16},
    "Kia-EV6": {},
    "Toyota-RAV4-Prime": {"equivalence ratio": 3},
    "Volkswagen-ID.4": {"clamped": 206, "short": 50},
}
COMPARED = {"BMW-i3": 5987, "Kia-EV6": 4746, "Toyota-RAV4-Prime": 352, "Volkswagen-ID.4": 7361}


@cache
def imported(name: str) -> Profile:
    return obdb.load(OBD / name / "signalset.json", lambda line: None)


def answer_of(vector: Case) -> bytes:
    """The first that each ECU gives to the request; of several ECUs the last one's, as in OBDb."""
    first: dict[str, str] = {}
    for rx, payload in vector["payload"]:
        if is_an_answer(payload, vector["request"]):
            first.setdefault(rx, payload)
    return bytes.fromhex(list(first.values())[-1])


def frames_of(profile: Profile, vector: Case) -> list[Frame]:
    """What the device makes of an answer: a frame for each window."""
    answer, wanted = answer_of(vector), bytes.fromhex(vector["request"])
    windows = [window for request in profile.asking.requests if request.request == wanted for window in request.windows]
    return [(at.virtual_id, False, answer[at.at : at.at + 8]) for at in windows]


def values_of(profile: Profile, raw: list[int]) -> dict[str, tuple[Signal, int]]:
    """Raw values by signal; the halves of a long one joined."""
    found = {}
    for index, field in enumerate(profile.fields):
        if not field.is_high:
            low = raw[index]
            found[field.signal.name] = field.signal, raw[index + 1] << 32 | low & 0xFFFFFFFF if field.signal.is_wide else low
    return found


@pytest.mark.parametrize("vehicle", VEHICLES)
def test_vectors_through_a_compiled_profile_are_equal_but_for_known_defects(vehicle: str, tmp_path: Path) -> None:
    cases: dict[str, list[Case]] = {}
    for vector in vectors(vehicle):
        cases.setdefault(vehicle if vector["def_source"] == "vehicle" else "SAEJ1979", []).append(vector)
    told = Counter[str]()
    for name, own in cases.items():
        (tmp_path / name).mkdir()
        told.update(compared(imported(name), own, tmp_path / name))
    assert told.total() == COMPARED[vehicle]
    assert told == {"equal": COMPARED[vehicle] - sum(DIFFERENT[vehicle].values())} | DIFFERENT[vehicle]


def compared(profile: Profile, cases: list[Case], folder: Path) -> Iterator[str]:
    """Of each value "equal" or why it differs. Raises AssertionError for answers that the import does not take."""
    rounds = [frames_of(profile, vector) for vector in cases]
    assert all(rounds)
    windows = {message.arbitration_id: message for message in profile.messages}
    many_short = 0
    for vector, frames, (raw, unknown, short) in zip(cases, rounds, decoded(folder, profile, rounds), strict=True):
        cut = [windows[ident] for ident, _, data in frames if len(data) < windows[ident].size]
        many_short += len(cut)
        assert (unknown, short) == (0, many_short), vector
        missing = {signal.name for message in cut for signal in message.signals}
        values = values_of(profile, raw)
        for name, expected in vector["expected"].items():
            yield "short" if name in missing else verdict(*values[name], expected, vector)


def verdict(signal: Signal, raw: int, expected: float | str, vector: Case) -> str:
    ours: float | str = signal.physical(raw)
    if isinstance(expected, str):
        ours = signal.labels.get(signal.number(raw), str(signal.number(raw)))
    if is_equal(ours, expected):
        return "equal"
    if isinstance(ours, float) and is_equal(ours, vector["clamped"].get(signal.name)):
        return "clamped" if signal.valid and not signal.valid[0] <= ours <= signal.valid[1] else "clamped, but not flagged"
    if signal.name == "EQ_RAT" and isinstance(ours, float) and is_equal(ours * 65536 / 65535, expected):
        return "equivalence ratio"
    return f"{signal.name} is {ours}, not {expected}, in {vector}"
