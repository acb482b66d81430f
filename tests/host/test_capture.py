"""`pigtail capture` on the host: chunks to frames, and bad input in one line. A whole capture is in tests/sim."""

import struct
from pathlib import Path

import pytest

from host_tools import cli
from host_tools.control.capture import decode
from host_tools.errors import InputError

KEY = "5a" * 32


def chunk(*frames: tuple[int, int, bytes], flags: int = 0, utc: int = 0, version: int = 1) -> bytes:
    head = struct.pack("<BBHIIIIIQQ", version, flags, len(frames), 7, 3, 1, 9, 500, 80_000, utc)
    return head + b"".join(struct.pack("<II8s", ident, len(data) << 28 | tick, data) for ident, tick, data in frames)


def test_frames_have_the_time_at_which_they_came() -> None:
    told = decode(chunk((0x7E8, 400, b"\1\2"), (0x18DAF110 | 1 << 29, 500, b"\xff" * 8), flags=1))
    assert (told.number, told.place, told.dropped, told.is_last) == (3, 1, 9, True)
    first, second = told.frames
    assert (first.timestamp, first.arbitration_id, first.is_extended_id, bytes(first.data)) == (79.9, 0x7E8, False, b"\1\2")
    assert (second.timestamp, second.arbitration_id, second.is_extended_id, second.dlc) == (80.0, 0x18DAF110, True, 8)


def test_time_is_utc_where_the_device_knows_it() -> None:
    (frame,) = decode(chunk((1, 500, b""), flags=2, utc=1_700_000_000_000)).frames
    assert frame.timestamp == 1_700_000_080


def test_tick_that_has_wrapped() -> None:
    (frame,) = decode(chunk((1, (1 << 28) - 100, b""))).frames
    assert frame.timestamp == pytest.approx(79.4)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "cut off"),
        (chunk((1, 1, b""))[:-1], "55 bytes for 1 frames"),
        (chunk(version=2), "has version 2; this pigtail reads 1"),
    ],
)
def test_what_no_device_sends_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        decode(payload)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--id", "7E"], "'7E' is no id: give three hex digits, or eight for a 29-bit one"),
        (["--id", "800"], "'800' is no id"),
        (["--id", "20000000"], "'20000000' is no id"),
        (["--id", "xyz"], "'xyz' is no id"),
        (["--id", "7E8"] * 17, "--id: 17 ids; a device takes 16"),
        (["--for", "61"], "61.0 is not in the range"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY)
    given = ["capture", "--device", "d", "--command-key", str(tmp_path / "key"), "-o", str(tmp_path / "x.log"), *arguments]
    with pytest.raises(SystemExit) as ended:
        cli.main(given)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and reason in said and said.count("\n") == 1
