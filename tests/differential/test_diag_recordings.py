"""Recorded diagnostic sessions through `diag/isotp` on the 32-bit port: what is whole comes out so, and what is lost is told."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from differential.test_vectors import Case, Result, ask_the_device

from host_tools.logs import stream
from host_tools.paths import ROOT

DATA = ROOT.parent / "shared" / "data"
KONA = DATA / "kona-ev" / "kona2021_dcan_carscanner.log.gz"
EGMP = DATA / "egmp-ev" / "00000002-63BEFDF9.MF4"
Message = tuple[int, str]
SINGLE, FIRST, CONSECUTIVE = 0, 1, 2


def session(path: Path, channel: str | None = None) -> list[tuple[float, int, bytes]]:
    """(s, id, data) of the frames with 11-bit ids from 700 on."""
    if not path.exists():
        pytest.skip(f"no {path}: the recording is not here")
    return [(f.timestamp, f.arbitration_id, bytes(f.data)) for f in stream.read(path, channel) if f.arbitration_id >= 0x700]


def replayed(folder: Path, frames: list[tuple[float, int, bytes]]) -> Result:
    """Every message of the session, whoever asked for it."""
    start = frames[0][0]
    ids = dict.fromkeys(rx for _, rx, _ in frames)
    case: Case = {"channels": [[rx, False, None] for rx in ids], "request": None}
    case["frames"] = [[round((at - start) * 1000), rx, data.hex()] for at, rx, data in frames]
    return ask_the_device(folder, [case], heap="4m")[0]


def reassembled(frames: list[tuple[float, int, bytes]]) -> tuple[list[Message], Counter[int]]:
    """The messages by another, simpler way: all frames of an answer lie between its first and the sender's next one. Second: how
    many answers each id left unfinished."""
    whole: list[Message] = []
    lost: Counter[int] = Counter()
    for rx in dict.fromkeys(rx for _, rx, _ in frames):
        own = [data for _, sender, data in frames if sender == rx]
        starts = [n for n, data in enumerate(own) if data[0] >> 4 in (SINGLE, FIRST)] + [len(own)]
        for begin, end in pairwise(starts):
            head = own[begin]
            if head[0] >> 4 == SINGLE:
                whole.append((rx, head[1 : 1 + head[0]].hex()))
                continue
            length = (head[0] & 15) << 8 | head[1]
            rest = [data for data in own[begin + 1 : end] if data[0] >> 4 == CONSECUTIVE]
            if [data[0] & 15 for data in rest] == [n & 15 for n in range(1, length // 7 + 1)]:
                whole.append((rx, (head[2:] + b"".join(data[1:] for data in rest))[:length].hex()))
            else:
                lost[rx] += 1
    return whole, lost


@pytest.mark.parametrize(
    ("path", "channel", "long", "losses"),
    [(KONA, None, 8, {0x7CC: 1, 0x778: 1}), (EGMP, "1", 31, {0x7BB: 4})],
    ids=["kona", "egmp"],
)
def test_recorded_session_comes_out_whole_and_lost_frames_are_told(
    path: Path, channel: str | None, long: int, losses: dict[int, int], tmp_path: Path
) -> None:
    frames = session(path, channel)
    whole, lost = reassembled(frames)
    result = replayed(tmp_path, frames)
    assert Counter((rx, data) for _, rx, data in result["all"]) == Counter(whole)
    assert Counter(rx for _, rx, _ in result["failed"]) == lost
    assert {code for _, _, code in result["failed"]} <= {"timeout_cr", "wrong_sn"}
    assert sum(len(data) > 14 for _, data in whole) == long
    assert lost == losses
