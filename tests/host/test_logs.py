"""Logs: one corpus of frames through every format, the real captures, channels, and files that must be refused."""

import gc
import gzip
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import can
import pytest

from host_tools.errors import InputError
from host_tools.logs import read
from host_tools.paths import ROOT

DATA = ROOT.parent / "shared" / "data"
FORMATS = DATA / "formats"
KONA = DATA / "kona-ev"
WRITTEN_BY_PYTHON_CAN = [".asc", ".blf", ".csv", ".db", ".log", ".mf4", ".trc"]
OURS = [".crtd", ".gvret"]

CORPUS = [
    can.Message(1000.0, 0x123, False, data=b"\x01\x02\x03", channel=0),
    can.Message(1000.0105, 0x7FF, False, data=b"", channel=1),
    can.Message(1000.25, 0x18FF50E5, True, data=bytes(range(8)), channel=0),
    can.Message(1001.0, 0x5, True, data=b"\xff", channel=1),
]
NO_DATA_FRAMES = [
    can.Message(1000.5, 0x100, False, is_remote_frame=True, dlc=2, channel=0),
    can.Message(1000.6, is_error_frame=True, channel=0),
]


def crtd(frames: list[can.Message]) -> str:
    lines = ["1000.000000 CXX comment", "1000.000001 1CEV event: vehicle.on", ""]
    for frame in frames:
        kind = f"{frame.channel or ''}R{29 if frame.is_extended_id else 11}"
        lines.append(f"{frame.timestamp:.6f} {kind} {frame.arbitration_id:X} {frame.data.hex(' ')}")
    return "\n".join(lines)


def gvret(frames: list[can.Message]) -> str:
    lines = ["Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8"]
    for frame in frames:
        extended = str(frame.is_extended_id).lower()
        head = f"{frame.timestamp * 1e6:.0f},{frame.arbitration_id:08X},{extended},Rx,{frame.channel},{frame.dlc}"
        lines.append(f"{head},{frame.data.hex(',')},")
    return "\r\n".join(lines) + "\r\n"


def written(folder: Path, suffix: str, frames: list[can.Message]) -> Path:
    if suffix == ".crtd":
        (folder / "a.crtd").write_text(crtd(frames))
        return folder / "a.crtd"
    if suffix == ".gvret":
        (folder / "a.csv").write_text(gvret(frames))
        return folder / "a.csv"
    path = folder / f"a{suffix}"
    with can.Logger(path) as logger:
        for frame in frames:
            logger(frame)
    return path


def packed(path: Path) -> Path:
    into = path.with_name(path.name + ".gz")
    into.write_bytes(gzip.compress(path.read_bytes()))
    return into


def content(frames: Iterator[can.Message]) -> list[tuple[int, bool, bytes, int]]:
    """Ids, data and the time since the first frame in microseconds."""
    listed = list(frames)
    start = listed[0].timestamp
    return [
        (
            frame.arbitration_id,
            frame.is_extended_id,
            bytes(frame.data),
            round((frame.timestamp - start) * 1e6),
        )
        for frame in listed
    ]


@pytest.mark.parametrize("suffix", WRITTEN_BY_PYTHON_CAN + OURS)
@pytest.mark.parametrize("pack", [False, True], ids=["plain", "gz"])
def test_every_format_brings_the_same_frames(tmp_path: Path, suffix: str, pack: bool) -> None:
    path = written(tmp_path, suffix, CORPUS)
    assert content(read(packed(path) if pack else path)) == content(iter(CORPUS))


@pytest.mark.parametrize("suffix", [".asc", ".blf", ".csv", ".db", ".log", ".mf4", ".trc"])
def test_error_and_remote_frames_are_skipped(tmp_path: Path, suffix: str) -> None:
    # python-can's TRC writer cannot write them
    others = NO_DATA_FRAMES if suffix != ".trc" else []
    assert content(read(written(tmp_path, suffix, CORPUS[:3] + others + CORPUS[3:]))) == content(iter(CORPUS))


def test_candump_error_frames_of_every_class_are_skipped(tmp_path: Path) -> None:
    lines = [f"(1.0) can0 {0x20000000 | 1 << bit:08X}#0000000000000000" for bit in range(10)]
    (tmp_path / "a.log").write_text("\n".join([*lines, "(1.5) can0 1ABCDEF0#01", *lines]))
    assert [frame.arbitration_id for frame in read(tmp_path / "a.log")] == [0x1ABCDEF0]


def test_older_gvret_without_direction_and_upper_case_suffix(tmp_path: Path) -> None:
    path = tmp_path / "LOG.CSV"
    path.write_text("Time Stamp,ID,Extended,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n1500,000007E8,false,1,2,AA,BB\n")
    (frame,) = read(path)
    assert (frame.timestamp, frame.arbitration_id, frame.channel, frame.data) == (
        0.0015,
        0x7E8,
        1,
        b"\xaa\xbb",
    )


@pytest.mark.parametrize(
    ("suffix", "channel", "expected"),
    [
        (".log", "can1", 2),
        (".log", "1", 2),
        (".log", None, 4),
        (".blf", "1", 2),
        (".asc", "0", 2),
        (".crtd", "1", 4),
        (".gvret", "1", 2),
    ],
)
def test_channel_takes_one_bus(tmp_path: Path, suffix: str, channel: str | None, expected: int) -> None:
    frames = [
        can.Message(m.timestamp, m.arbitration_id, m.is_extended_id, data=m.data, channel=named(m, suffix))
        for m in CORPUS
    ]
    assert len(list(read(written(tmp_path, suffix, frames), channel))) == expected


def named(frame: can.Message, suffix: str) -> int | str:
    if suffix == ".log":
        return f"can{frame.channel}"
    return 0 if suffix == ".crtd" else int(frame.channel or 0)  # goes without a number, which means bus 1


def test_an_unknown_channel_lists_those_seen(tmp_path: Path) -> None:
    frames = [can.Message(1.0, 1, channel="can0"), can.Message(1.0, 1, channel="vcan1")]
    with pytest.raises(InputError, match=r"no frame on channel can7; it has channel can0, vcan1$"):
        read(written(tmp_path, ".log", frames), "can7")
    with pytest.raises(InputError, match=r"it has channel \(unnamed\)"):
        read(written(tmp_path, ".csv", frames), "0")


def test_frames_come_before_the_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("(1.0) can0 123#01\n" * 50_000 + "garbage\n")
    frames = read(path)
    assert len(list(itertools.islice(frames, 100))) == 100
    with pytest.raises(InputError, match="line 50001: damaged, or not a .log file"):
        list(frames)


@pytest.mark.parametrize("suffix", WRITTEN_BY_PYTHON_CAN + OURS)
def test_a_file_of_garbage_is_refused_in_one_line(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    suffix = ".csv" if suffix == ".gvret" else suffix
    for number, garbage in enumerate([b"", b"hello\nworld\n", bytes(range(256)) * 8]):
        for pack in (bytes, gzip.compress):
            path = tmp_path / f"{number}{suffix}{'.gz' if pack is gzip.compress else ''}"
            path.write_bytes(pack(garbage))
            with pytest.raises(InputError) as caught:
                list(read(path))
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".blf", ".mf4"])
def test_a_binary_file_cut_short_is_refused(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[object] = []  # of a library's half-made reader, when it is collected
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    path = written(tmp_path, suffix, CORPUS * 50)
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 20):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            list(read(path))
    gc.collect()
    assert capfd.readouterr() == ("", "") and not complaints


def test_gz_cut_short_is_refused(tmp_path: Path) -> None:
    path = packed(written(tmp_path, ".log", CORPUS * 100))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged"):
        list(read(path))


def test_gz_that_is_none_is_refused(tmp_path: Path) -> None:
    written(tmp_path, ".log", CORPUS).rename(tmp_path / "a.log.gz")
    with pytest.raises(InputError, match="Not a gzipped file"):
        read(tmp_path / "a.log.gz")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.log", "(1.0) can0 123#010"),
        ("a.log", "(x) can0 123#01"),
        ("a.log", "(1.0) can0 800#01\n(1.0) can0 FFF#01"),
        ("a.csv", "Time Stamp,ID,Extended,Bus,LEN,D1\n1,1,false,0,2,AA\n"),
        ("a.csv", "Time Stamp,ID,Extended,Bus,LEN,D1\n1,1,maybe,0,1,AA\n"),
        ("a.csv", "Time Stamp,ID,Extended,Bus,LEN,D1\n1,1,false,0,1,AAA\n"),
        ("a.csv", "Time Stamp,ID,Extended,Bus,LEN,D1\n1,1\n"),
        ("a.csv", "timestamp,arbitration_id,extended,remote,error,dlc,data\n1.0,0x1,0,0,0,8,AAEC\n"),
        ("a.csv", "speed,rpm\n1,2\n"),
        ("a.crtd", "1.0 1R12 100 00\n"),
        ("a.crtd", "1.0\n"),
        ("a.crtd", "1.0 1R11 1000 00\n"),
    ],
)
def test_a_line_that_is_no_frame_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="damaged|neither"):
        list(read(tmp_path / name))


PYTHON_CAN = "timestamp,arbitration_id,extended,remote,error,dlc,data\n"
GVRET = "Time Stamp,ID,Extended,Bus,LEN,D1,D2\n"
ASC = "date Mon Jan 1 00:00:00 2024\nbase hex timestamps absolute\nno internal events logged\n"
TRC = ";$FILEVERSION=1.1\n;$STARTTIME=43474.5\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", PYTHON_CAN + "1,5,0x123,0,0,0,2,AAE=\n"),
        ("a.csv", PYTHON_CAN + '"1,5",0x123,0,0,0,2,AAE=\n'),
        ("a.csv", PYTHON_CAN.replace(",", ";") + "1,5;0x123;0;0;0;2;AAE=\n"),
        ("a.csv", GVRET + "1000,5,123,false,0,2,AA,BB\n"),
        ("a.csv", GVRET + "1000,5,1,0,0,2,AA,BB\n"),  # each field has one that fits in its place
        ("a.csv", GVRET + "1000,5,1,0,1,2,AA,BB\n"),
        ("a.csv", GVRET + '"1000,5",1,0,0,2,AA,BB\n'),
        ("a.csv", GVRET.replace(",", ";") + "1000,5;1;0;0;2;AA;BB\n"),
        ("a.log", "(1,5) can0 123#01\n"),
        ("a.crtd", "1,5 1R11 123 01\n"),
        ("a.trc", TRC + "  1)   1059,9  Rx  0123  2  AA BB\n"),
        ("a.asc", ASC + "   1,5 1 123 Rx d 2 AA BB\n"),
    ],
)
def test_peers_comma_for_a_decimal_point_in_a_log_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="damaged|neither|no CAN data frame") as caught:
        list(read(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_missing_directory_and_unknown_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d.log").mkdir()
    (tmp_path / "a.pcap").write_bytes(b"x")
    for name, text in [
        ("none.log", "No such file"),
        ("none.mf4", "No such file"),
        ("none.db", "No such file"),
        ("none.log.gz", "No such file"),
        ("d.log", "Is a directory"),
        ("a.pcap", "unknown log format; known are .asc, .blf"),
        ("a", "unknown log format"),
    ]:
        with pytest.raises(InputError, match=text):
            read(tmp_path / name)
    assert not (tmp_path / "none.db").exists()


def precision_us(path: Path) -> int:
    return 100 if path.suffix == ".trc" else 1  # TRC has tenths of milliseconds


@pytest.mark.skipif(not FORMATS.is_dir(), reason=f"no corpus: {FORMATS} is absent")
def test_seven_real_files_hold_the_same_5000_frames() -> None:
    paths = sorted(FORMATS.glob("*first5000.*"))
    assert len(paths) == 7
    reference = content(read(FORMATS / "kona_230112-7_first5000.log"))
    assert len(reference) == 5000
    for path in paths:
        for ours, theirs in zip(content(read(path)), reference, strict=True):
            assert ours[:3] == theirs[:3], path
            assert abs(ours[3] - theirs[3]) <= precision_us(path), path


@pytest.mark.skipif(not KONA.is_dir(), reason=f"no captures: {KONA} is absent")
@pytest.mark.parametrize(
    ("name", "candump"),
    [
        ("230112-7-2019-pcan-ccan-power-off-on-ready-off.csv.gz", "kona2019_230112-7_pcan0_ccan1.log.gz"),
        ("221210-1-2021-dcan-car-scanner-elm327.csv", "kona2021_dcan_carscanner.log.gz"),
    ],
)
def test_gvret_equals_the_candump_made_of_it(name: str, candump: str) -> None:
    for ours, theirs in itertools.zip_longest(read(KONA / name), read(KONA / candump)):
        assert (ours.timestamp, ours.arbitration_id, ours.data) == (
            theirs.timestamp,
            theirs.arbitration_id,
            theirs.data,
        )
        assert f"can{ours.channel}" == theirs.channel


@pytest.mark.skipif(not KONA.is_dir(), reason=f"no captures: {KONA} is absent")
def test_one_bus_of_a_real_capture() -> None:
    path = KONA / "kona2019_230112-7_pcan0_ccan1.log.gz"
    assert sum(1 for _ in read(path, "can0")) == 24_263
    assert sum(1 for _ in read(path, "1")) == 15_283
