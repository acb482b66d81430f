"""`pigtail capture` on the host: chunks to frames, which log is kept, bad input. A whole capture is in tests/sim."""

import asyncio
import json
import signal
import struct
from collections.abc import AsyncGenerator
from pathlib import Path

import can
import pytest

from host_tools import cli
from host_tools.commands import capture
from host_tools.control import NoReply
from host_tools.control.capture import Chunk, decode
from host_tools.errors import BrokerError, InputError

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


def captured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chunks: list[Chunk], ends: BaseException | None = None, *words: str
) -> int:
    """The status of a capture to x.log beside a device that sends these chunks and then ends so."""

    async def come(*_: object) -> AsyncGenerator[Chunk, None]:
        for one in chunks:
            yield one
        if isinstance(ends, KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()
        if ends:
            raise ends

    monkeypatch.setattr(capture, "capture", come)
    (folder / "key").write_text(KEY)
    with pytest.raises(SystemExit) as ended:
        cli.main(["capture", "--device", "d", "--command-key", str(folder / "key"), "-o", str(folder / "x.log"), *words])
    assert not (folder / "x.log.part").exists()
    return int(ended.value.code or 0)


FRAMES = Chunk(1, 0, 3, False, (can.Message(timestamp=1, arbitration_id=0x7E8, is_extended_id=False, data=b"\1"),) * 2)
ENDS = [(NoReply("fell silent"), 1), (BrokerError("broke"), 2), (KeyboardInterrupt(), 130)]


@pytest.mark.parametrize(("ends", "status"), ENDS)
def test_capture_that_brings_nothing_leaves_the_log_that_was_there(
    ends: BaseException, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.log").write_text("last week's")
    assert captured(tmp_path, monkeypatch, [], ends) == status
    assert (tmp_path / "x.log").read_text() == "last week's"


@pytest.mark.parametrize(("ends", "status"), ENDS)
def test_capture_that_is_cut_short_keeps_its_frames_and_says_so(
    ends: BaseException, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert captured(tmp_path, monkeypatch, [FRAMES], ends) == status
    assert (tmp_path / "x.log").read_text().count("7E8#01") == 2
    assert capsys.readouterr().err.startswith(f"cut short; 2 frames in {tmp_path / 'x.log'}; 3 more came too fast")


def test_capture_as_json_has_what_was_taken_and_what_was_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert captured(tmp_path, monkeypatch, [FRAMES], None, "--json") == 1
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "x.log"), "taken": 2, "dropped": 3}


def test_quiet_bus_is_an_empty_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert captured(tmp_path, monkeypatch, [Chunk(1, 0, 0, True, ())]) == 0
    assert (tmp_path / "x.log").read_text() == ""


def test_broker_that_is_not_there_is_no_trouble_with_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY)
    words = ["--broker", "mqtt://127.0.0.1:1", "--device", "d", "--command-key", str(tmp_path / "key"), "-o", str(tmp_path / "x")]
    with pytest.raises(SystemExit) as ended:
        cli.main(["capture", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "no connection to a broker" in said and said.count("\n") == 1
    assert not list(tmp_path.glob("x*"))


def test_log_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text(KEY)
    with pytest.raises(SystemExit) as ended:
        cli.main(["capture", "--device", "d", "--command-key", str(tmp_path / "key"), "-o", str(tmp_path / "none" / "x.log")])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "name another file with -o" in said and said.count("\n") == 1
