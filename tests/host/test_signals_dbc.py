"""DBC import: each repair, each reason to leave a signal out, and every real DBC of the shared data."""

import random
from pathlib import Path

import pytest
from cantools.database import Message as DbcMessage
from cantools.database import Signal as DbcSignal

from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.signals import dbc
from host_tools.signals.pack import pack, unpack
from host_tools.signals.profile import Profile, Selection, Signal

DATA = ROOT.parent / "shared" / "data"
REAL = sorted(path for path in DATA.glob("*/*.dbc") if "LICENSE" not in path.name)

HEADER = 'VERSION "2.1"\n\nNS_ :\n\nBS_:\n\nBU_: A\n\n'


def load(tmp_path: Path, text: str | bytes, period_ms: int = 100) -> tuple[Profile, list[str]]:
    path = tmp_path / "car.dbc"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reports: list[str] = []
    return dbc.profile(dbc.load(path, reports.append), "car", period_ms, reports.append), reports


def message(body: str, message_id: int = 256, name: str = "M", size: int = 8) -> str:
    return (
        f"BO_ {message_id} {name}: {size} A\n"
        + "".join(f" SG_ {line} A\n" for line in body.split("\n"))
        + "\n"
    )


SIMPLE = 'Speed : 0|16@1+ (0.01,-5) [0|300] "km/h"'


def test_a_plain_dbc(tmp_path: Path) -> None:
    text = (
        HEADER + message(SIMPLE + '\nGear : 23|8@0- (1,0) [0|0] ""') + 'VAL_ 256 Gear -1 "R" 0 "N" 1 "D";\n'
    )
    profile, reports = load(tmp_path, text)
    speed, gear = profile.signals
    assert (speed.name, speed.start, speed.length, speed.byte_order) == ("M.Speed", 0, 16, "little_endian")
    assert (speed.scale, speed.offset, speed.unit, speed.minimum, speed.maximum) == (0.01, -5, "km/h", 0, 300)
    assert (gear.is_signed, gear.minimum, gear.maximum) == (True, None, None)
    assert gear.labels == {-1: "R", 0: "N", 1: "D"}
    assert (profile.name, profile.version, profile.grid_ms, reports) == ("car", "2.1", 100, [])


def test_a_missing_node_list_is_put_in_and_reported_by_line(tmp_path: Path) -> None:
    profile, reports = load(tmp_path, 'VERSION ""\n\nNS_ :\n  NS_DESC_\n\n' + message(SIMPLE))
    assert profile.signals[0].name == "M.Speed"
    assert reports == ["car.dbc, line 6: put the missing BS_ and BU_ before the first message"]


def test_names_from_digits_are_renamed_everywhere(tmp_path: Path) -> None:
    text = HEADER + message('5_SEC : 0|3@1+ (1,0) [0|7] ""', name="2017_1")
    text += 'CM_ SG_ 256 5_SEC "timer";\nVAL_ 256 5_SEC 0 "off" 1 "on";\n'
    profile, reports = load(tmp_path, text)
    assert profile.signals[0].name == "_2017_1._5_SEC"
    assert profile.signals[0].labels == {0: "off", 1: "on"}
    assert [line.split(":")[0] for line in reports] == [f"car.dbc, line {n}" for n in (9, 10, 12, 13)]


def test_29_bit_ids_without_bit_31(tmp_path: Path) -> None:
    text = HEADER + message(SIMPLE, 0x12DD54A7) + f'VAL_ {0x12DD54A7} Speed 0 "none";\n'
    profile, reports = load(tmp_path, text)
    assert (profile.messages[0].arbitration_id, profile.messages[0].is_extended_id) == (0x12DD54A7, True)
    assert profile.signals[0].labels == {0: "none"}
    assert len(reports) == 2 and "bit 31" in reports[0]


def test_comment_on_a_bare_id(tmp_path: Path) -> None:
    _, reports = load(tmp_path, HEADER + message(SIMPLE) + 'CM_ 256 "about M";\n')
    assert reports == ["car.dbc, line 12: a comment on a message must say BO_"]


def test_value_table_without_semicolon(tmp_path: Path) -> None:
    text = HEADER + message(SIMPLE) + 'VAL_ 256 Speed 0 "a" 1 "b"\nVAL_ 256 Speed 0 "c"\n1 "d" ;\n'
    profile, reports = load(tmp_path, text)
    assert profile.signals[0].labels == {0: "c", 1: "d"}
    assert reports == ["car.dbc, line 12: put the missing ; at the end"]


def test_lines_of_a_comment_are_not_repaired(tmp_path: Path) -> None:
    text = HEADER + message(SIMPLE) + 'CM_ BO_ 256 "first\nSG_ 5_SEC : \\" \nBO_ 256 5_X\n";\n'
    assert load(tmp_path, text)[1] == []


def test_latin_1_is_read_and_reported(tmp_path: Path) -> None:
    profile, reports = load(tmp_path, (HEADER + message('T : 0|8@1+ (1,-40) [0|0] "°C"')).encode("latin-1"))
    assert profile.signals[0].unit == "°C"
    assert reports == ["car.dbc: not UTF-8, read as Windows-1252"]


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    assert (
        load(tmp_path, b"\xef\xbb\xbf" + (HEADER + message(SIMPLE)).replace("\n", "\r\n").encode())[1] == []
    )


@pytest.mark.parametrize(
    ("body", "size", "report"),
    [
        ('Long : 0|65@1+ (1,0) [0|0] ""', 8, "signal M.Long left out: longer than 64 bits"),
        ('Over : 8|16@1+ (1,0) [0|0] ""', 2, "signal M.Over left out: beyond the end of its message of 2 bytes"),
        ('Over : 7|24@0+ (1,0) [0|0] ""', 2, "signal M.Over left out: beyond the end of its message of 2 bytes"),
        ('Over : 62|5@1+ (1,0) [0|0] ""', 8, "signal M.Over left out: beyond the end of its message of 8 bytes"),
        ('Over : 56|16@0+ (1,0) [0|0] ""', 8, "signal M.Over left out: beyond the end of its message of 8 bytes"),
        (
            'Fd : 0|8@1+ (1,0) [0|0] ""',
            64,
            "message M left out: its 64 bytes need CAN FD, which the device has not",
        ),
        (
            'Big : 0|8@1+ (1e999,0) [0|0] ""',
            8,
            "signal M.Big left out: its scale or offset is not 0 or from 1e-30 to 1e+30",
        ),
        (
            f'Big : 0|8@1+ (1,-{"9" * 39}) [0|0] ""',
            8,
            "signal M.Big left out: its scale or offset is not 0 or from 1e-30 to 1e+30",
        ),
        (
            'Big : 0|8@1+ (1e-31,0) [0|0] ""',
            8,
            "signal M.Big left out: its scale or offset is not 0 or from 1e-30 to 1e+30",
        ),
    ],
)
def test_what_the_table_cannot_carry_is_left_out_by_name(
    tmp_path: Path, body: str, size: int, report: str
) -> None:
    profile, reports = load(tmp_path, HEADER + message(SIMPLE, 257, "Other") + message(body, 256, "M", size))
    assert reports == [report]
    assert [signal.name for signal in profile.signals] == ["Other.Speed"]


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("0|8@1+", "8|8@1+", False),
        ("0|9@1+", "8|8@1+", True),
        ("7|8@0+", "0|8@1+", True),
        ("7|9@0+", "15|1@0+", True),
        ("7|9@0+", "14|1@0+", False),
        ("7|16@0+", "8|1@1+", True),
    ],
)
def test_overlaps_are_kept_and_reported_by_name(tmp_path: Path, one: str, other: str, overlap: bool) -> None:
    text = message(f'A : {one} (1,0) [0|0] ""\nB : {other} (1,0) [0|0] ""')
    profile, reports = load(tmp_path, HEADER + text)
    assert len(profile.signals) == 2
    assert [set(line.split()) & {"M.A", "M.B"} for line in reports] == [{"M.A", "M.B"}] * overlap


def test_wide_floating_and_multiplexed_signals_are_carried(tmp_path: Path) -> None:
    body = (
        'Page M : 0|4@1+ (1,0) [0|0] ""\nSub m1M : 4|4@1+ (1,0) [0|0] ""\nWide m2 : 8|40@1- (1,0) [0|0] ""\n'
        'F m3 : 39|32@0- (1,0) [0|0] ""'
    )
    extended = "SG_MUL_VAL_ 256 Sub Page 1-1;\nSG_MUL_VAL_ 256 Wide Sub 2-3, 5-5;\nSG_MUL_VAL_ 256 F Page 3-3;\n"
    text = HEADER + message(body) + "SIG_VALTYPE_ 256 F : 1;\n" + extended
    profile, reports = load(tmp_path, text)
    page, sub, wide, number = (
        next(signal for signal in profile.signals if signal.name == f"M.{name}")
        for name in ("Page", "Sub", "Wide", "F")
    )
    assert reports == [] and page.selection is None and (wide.length, wide.is_signed) == (40, True)
    assert sub.selection == Selection("M.Page", ((1, 1),))
    assert wide.selection == Selection("M.Sub", ((2, 3), (5, 5)))
    assert (number.is_float, number.length, number.byte_order) == (True, 32, "big_endian")
    assert number.selection == Selection("M.Page", ((3, 3),)) and unpack(pack(profile)) == profile


def test_value_of_a_selector_that_no_message_has_leaves_its_signal_out(tmp_path: Path) -> None:
    body = f'Page M : 0|32@1+ (1,0) [0|0] ""\nA m{2**32} : 40|8@1+ (1,0) [0|0] ""\nB m{2**32 - 1} : 48|8@1+ (1,0) [0|0] ""'
    profile, reports = load(tmp_path, HEADER + message(body))
    assert reports == ["signal M.A left out: its selector Page has 32 bits at most, its value there has more"]
    assert [signal.name for signal in profile.signals] == ["M.Page", "M.B"]


@pytest.mark.parametrize("limits", [f"0|1{'0' * 400}", f"-1{'0' * 400}|0", "0|1e999", "5|5"])
def test_limits_that_no_float_holds_are_none(tmp_path: Path, limits: str) -> None:
    profile, reports = load(tmp_path, HEADER + message(f'A : 0|8@1+ (1,0) [{limits}] ""'))
    assert [(signal.minimum, signal.maximum) for signal in profile.signals] == [(None, None)] and not reports


@pytest.mark.parametrize("selector", ["0|33@1+", "62|4@1+"])
def test_what_a_signal_left_out_selects_is_left_out_too(tmp_path: Path, selector: str) -> None:
    body = f'Page M : {selector} (1,0) [0|0] ""\nA m1 : 40|8@1+ (1,0) [0|0] ""\nB : 48|8@1+ (1,0) [0|0] ""'
    profile, reports = load(tmp_path, HEADER + message(body))
    assert "M.A" not in [signal.name for signal in profile.signals]
    assert any("signal M.A left out: its selector Page is left out or no integer" in line for line in reports)


def test_names_and_ids_taken_twice(tmp_path: Path) -> None:
    text = HEADER + message(SIMPLE) + message(SIMPLE, 257) + message(SIMPLE, 256, "Again")
    profile, reports = load(tmp_path, text)
    assert [signal.name for signal in profile.signals] == ["M.Speed", "M_101.Speed"]
    assert len(reports) == 2


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not a DBC|no message"),
        (b'VERSION ""\n', "no message"),
        (b"Copyright (c) 2023, A. Nobody.\n", "not a DBC that can be read: Invalid syntax at line 1"),
        (bytes(range(256)) * 40, "not a DBC"),
        ((HEADER + message('L : 0|65@1+ (1,0) [0|0] ""')).encode(), "no signal that can be sampled"),
    ],
)
def test_what_is_no_dbc_is_refused_in_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        load(tmp_path, content)
    assert "\n" not in str(caught.value) and ">>!<<" not in str(caught.value)


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        dbc.load(tmp_path / "none.dbc", print)
    with pytest.raises(InputError, match="Is a directory"):
        dbc.load(tmp_path, print)


@pytest.mark.skipif(not REAL, reason=f"no real DBC files: {DATA} is absent")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_files_import_and_read_as_cantools_does(path: Path) -> None:
    rng = random.Random(5)
    database = dbc.load(path, lambda line: None)
    profile = dbc.profile(database, path.stem, 100, lambda line: None)
    assert unpack(pack(profile)) == profile
    by_id = {
        (message.frame_id, message.is_extended_frame): message for message in reversed(database.messages)
    }
    compared = 0
    for ours in profile.messages:
        theirs = by_id[ours.arbitration_id, ours.is_extended_id]
        # signals that overrun make cantools read more than there is, and the selector of a multiplex may be any
        data = rng.randbytes(8)
        for signal in ours.signals:
            reference = theirs.get_signal_by_name(signal.name.removeprefix(f"{ours.name}."))
            assert extracted(signal, data[: theirs.length]) == decoded(theirs.length, reference, data), signal.name
            compared += 1
    assert compared == len(profile.signals)


def extracted(signal: Signal, data: bytes) -> int:
    """The raw value by the model's own words."""
    order = "little" if signal.byte_order == "little_endian" else "big"
    raw = int.from_bytes(data.ljust(8, b"\0"), order) >> signal.start & (1 << signal.length) - 1
    is_negative = signal.is_signed and raw >> signal.length - 1
    return raw - (1 << signal.length) if is_negative else raw


def decoded(size: int, reference: DbcSignal, data: bytes) -> int:
    """The raw value that cantools reads for this one signal."""
    alone = DbcSignal("s", reference.start, reference.length, reference.byte_order, reference.is_signed)
    value = DbcMessage(1, "m", size, [alone]).decode(data[:size], scaling=False)["s"]
    assert isinstance(value, int)
    return value


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real DBC files: {DATA} is absent")
def test_kona_pcan_needs_one_repair_and_a_text_is_refused() -> None:
    reports: list[str] = []
    dbc.load(DATA / "kona-ev" / "pcan.dbc", reports.append)
    assert reports == ["pcan.dbc, line 6: put the missing BS_ and BU_ before the first message"]
    with pytest.raises(InputError, match="not a DBC"):
        dbc.load(DATA / "kona-ev" / "LICENSE.dbc", reports.append)
