"""Repairs: the faults that DBC files of the world have, one by one, and files mutated at random."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.signals import dbc
from host_tools.signals.profile import Profile

DATA = ROOT.parent / "shared" / "data"
REAL = sorted(path for path in DATA.glob("*/*.dbc") if "LICENSE" not in path.name)

HEADER = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: A\n\n'
PLAIN = 'BO_ 256 M: 8 A\n SG_ S : 0|16@1+ (0.5,-5) [0|300] "km/h" A\n SG_ G : 16|8@1- (1,0) [0|0] "" A\n\n'


def load(tmp_path: Path, text: str | bytes) -> tuple[Profile, list[str]]:
    path = tmp_path / "car.dbc"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reports: list[str] = []
    return dbc.profile(dbc.load(path, reports.append), "car", 0, reports.append), reports


def signal(line: str) -> str:
    return f"{HEADER}BO_ 256 M: 8 A\n SG_ {line}\n SG_ After : 56|8@1+ (1,0) [0|0] \"\" A\n\n"


@pytest.mark.parametrize(
    ("line", "report"),
    [
        ('S : 0|16@1+ (.25,-500) [0|300] "km/h" A', "line 10: .25 is now 0.25"),
        ('S : 0|16@1+ (0.25,-500) [-.5|300] "km/h" A', "line 10: -.5 is now -0.5"),
        ('S : 0|16@1+ (0.25,-500) [nan|inf] "km/h" A', "line 10: [nan|inf] is no range"),
        ('S : 0|16@1+ (0.25,-500) [-1.#INF|1] "km/h" A', "line 10: [-1.#INF|1] is no range"),
        ('S : 0|16@1+ (0.25,-500) "km/h" A', "line 10: no range given"),
        ('S : 0|16@1+ (0.25,-500) [0|300] "km/h"', "line 10: S: the receivers are no list of names"),
        ('S : 0|16@1+ (0.25,-500) [0|300] "km/h"  A B,1C', "now A, B, _1C"),
        ('S : 0|16@1+ (0.25,-500) [0|300] "km/h" A;', "line 10: S: the receivers"),
    ],
)
def test_signal_lines_are_written_anew(tmp_path: Path, line: str, report: str) -> None:
    profile, reports = load(tmp_path, signal(line))
    found = profile.signals[0]
    assert (found.name, found.length, found.scale, found.offset, found.unit) == ("M.S", 16, 0.25, -500, "km/h")
    assert profile.signals[1].name == "M.After"
    assert any(report in line for line in reports), reports


@pytest.mark.parametrize("scaling", ["0,01,0", "0,01,-5", "0,01,-5,5", "0.01,-5,5", "0,01;-5"])
def test_peers_comma_for_a_decimal_point_in_a_scale_leaves_the_signal_out(tmp_path: Path, scaling: str) -> None:
    profile, reports = load(tmp_path, signal(f'SoC : 0|16@1+ ({scaling}) [0|100] "%" A'))
    assert [found.name for found in profile.signals] == ["M.After"]
    assert len(reports) == 1 and "line 10: left out, cannot be read" in reports[0] and "\n" not in reports[0]


@pytest.mark.parametrize("limits", ["0|100,5", "0,5|100", "0,5|100,5"])
def test_peers_comma_for_a_decimal_point_in_a_range_takes_the_range_away(tmp_path: Path, limits: str) -> None:
    profile, reports = load(tmp_path, signal(f'SoC : 0|16@1+ (0.01,0) [{limits}] "%" A'))
    assert (profile.signals[0].scale, profile.signals[0].minimum, profile.signals[0].maximum) == (0.01, None, None)
    assert reports == [f"car.dbc, line 10: [{limits}] is no range, now [0|0]"]


@pytest.mark.parametrize(("line", "unit"), [('S : 0|8@1+ (1,0) [0|1] """ A', "'"), ("S : 0|8@1+ (1,0) [0|1] A", "")])
def test_units_in_odd_quotation(tmp_path: Path, line: str, unit: str) -> None:
    profile, reports = load(tmp_path, signal(line))
    assert profile.signals[0].unit == unit and "the unit is not one text" in reports[0]


@pytest.mark.parametrize(("odd", "now"), [("5S", "_5S"), ("S-x.y", "S_x_y"), ("My Sig", "My_Sig"), ("Außen", "Au_en")])
def test_odd_names_are_renamed_wherever_they_stand(tmp_path: Path, odd: str, now: str) -> None:
    text = signal(f'{odd} : 0|16@1+ (1,0) [0|0] "" A')
    text += f'VAL_ 256 {odd} 0 "off" 1 "on";\nCM_ SG_ 256 {odd} "what";\n'
    profile, reports = load(tmp_path, text)
    assert profile.signals[0].name == f"M.{now}" and profile.signals[0].labels == {0: "off", 1: "on"}
    assert [line.split(":")[0] for line in reports] == [f"car.dbc, line {n}" for n in (10, 13, 14)]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("BO_ 256 M: 8", "M"),
        ("BO_ 256 2M-x y: 8 1A", "_2M_x_y"),
        ("BO_ 0x100 M: 8 A", "M"),
        ("BO_ 0256 M: 08 A", "M"),
    ],
)
def test_message_lines_are_written_anew(tmp_path: Path, line: str, name: str) -> None:
    profile, reports = load(tmp_path, HEADER + PLAIN.replace("BO_ 256 M: 8 A", line))
    assert (profile.messages[0].arbitration_id, profile.messages[0].name) == (256, name)
    assert reports and all(report.startswith("car.dbc, line 9: ") for report in reports)


@pytest.mark.parametrize(
    ("line", "labels"),
    [
        ('VAL_ 256 S 0 "a" 1 "b"', {0: "a", 1: "b"}),
        ('VAL_ 256 S 0.0 "a" 0x1 "b";', {0: "a", 1: "b"}),
        ('VAL_ 256 S 0 "a "quoted" one" 1 "b";', {0: "a 'quoted' one", 1: "b"}),
    ],
)
def test_value_tables_are_written_anew(tmp_path: Path, line: str, labels: dict[int, str]) -> None:
    profile, reports = load(tmp_path, HEADER + PLAIN + line + '\nCM_ "end";\n')
    assert profile.signals[0].labels == labels
    assert len(reports) == 1 and reports[0].startswith("car.dbc, line 13: ")


@pytest.mark.parametrize(
    "line",
    [
        'VAL_ 256 Absent 0 "a";',
        'VAL_ 999 S 0 "a";',
        "SIG_VALTYPE_ 256 Absent : 1;",
        'BA_ "Undefined" BO_ 256 10;',
        "hello world",
        "CAT_DEF_ 1;",
        "SG_MUL_VAL_ 256 S Absent 0-1;",
    ],
)
def test_statements_about_nothing_are_left_out(tmp_path: Path, line: str) -> None:
    profile, reports = load(tmp_path, HEADER + PLAIN + line + '\nVAL_ 256 S 0 "x";\n')
    assert len(profile.signals) == 2 and profile.signals[0].labels == {0: "x"}
    assert len(reports) == 1 and reports[0].startswith("car.dbc, line 13: left out")


@pytest.mark.parametrize(
    ("comment", "faults"),
    [
        ('CM_ SG_ 256 S "first\nsecond\n\nBO_ 3 X: 8 A\nthird";', 0),
        ('CM_ SG_ 256 S "the "fast" mode";', 1),
        ('CM_ SG_ 256 S "5" screen";', 1),
        ('CM_ SG_ 256 S "kept in C:\\";', 1),
        ('CM_ SG_ 256 S "no end"', 1),
        ('CM_ SG_ 256 S "an \\"escaped\\" one";', 0),
    ],
)
def test_comments_swallow_nothing(tmp_path: Path, comment: str, faults: int) -> None:
    text = HEADER + PLAIN + comment + '\nVAL_ 256 S 0 "x";\nCM_ "y";\n'
    profile, reports = load(tmp_path, text + PLAIN.replace("256 M", "257 N"))
    assert [message.name for message in profile.messages] == ["M", "N"]
    assert profile.signals[0].labels == {0: "x"} and len(reports) == faults


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "gbk"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, newline: str) -> None:
    text = (HEADER + PLAIN + 'CM_ "±20 ℃";\n').replace("\n", newline)
    _, reports = load(tmp_path, text.replace("℃" * (encoding == "latin-1"), "").encode(encoding))
    assert len(reports) == (not encoding.startswith("utf-8"))


def test_control_characters_are_spaces(tmp_path: Path) -> None:
    _, reports = load(tmp_path, HEADER + PLAIN + "\x00\x00\x1a")
    assert reports == ["car.dbc: 3 control characters taken as spaces"]


def test_ids_of_more_than_29_bits_leave_one_message_out(tmp_path: Path) -> None:
    for ident in (1 << 29 | 5, 0xE0000000):
        text = PLAIN.replace("256 M", f"{ident} W") + f'VAL_ {ident} S 0 "x";\n' + PLAIN + 'VAL_ 256 S 1 "y";\n'
        profile, reports = load(tmp_path, HEADER + text)
        assert [message.name for message in profile.messages] == ["M"] and profile.signals[0].labels == {1: "y"}
        assert "more than" in reports[0] and len(reports) == 2


def test_signals_of_no_message_are_no_fault(tmp_path: Path) -> None:
    loose = ' SG_ Q : 0|8@1+ (1,0) [0|0] "" Vector__XXX\nVAL_ 3221225472 Q 0 "x";\n'
    text = HEADER + PLAIN + "BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX\n" + loose
    assert load(tmp_path, text)[1] == []


@pytest.mark.parametrize(
    ("lines", "kept", "report"),
    [
        ('A m0 : 0|8@1+ (1,0) [0|0] "" A', 0, "A left out: its message has no selector"),
        (
            'X M : 0|8@1+ (1,0) [0|0] "" A\n SG_ Y M : 8|8@1+ (1,0) [0|0] "" A\n SG_ A m1 : 16|8@1+ (1,0) [0|0] "" A',
            2,
            "A left out: its message has more than one selector",
        ),
        ('A : 0|20@1- (1,0) [0|0] "" A', 0, "A left out: no IEEE float has 20 bits"),
        ('A : 0|0@1- (1,0) [0|0] "" A', 0, "length 0 is not greater than 0"),
        ('A : 0|8@1- (0,1,0) [0|0] "" A', 0, "left out, cannot be read: SG_ A"),
    ],
)
def test_signals_whose_value_would_be_a_guess_are_left_out(
    tmp_path: Path, lines: str, kept: int, report: str
) -> None:
    profile, reports = load(tmp_path, signal(lines) + "SIG_VALTYPE_ 256 A : 1;\n" * ("|20" in lines))
    assert len(profile.signals) == kept + 1 and profile.signals[-1].name == "M.After"
    assert report in reports[0]


def test_ranges_of_selectors_are_cut_to_what_the_selector_can_be(tmp_path: Path) -> None:
    lines = 'X M : 0|8@1+ (1,0) [0|0] "" A\n SG_ Y m0 : 8|8@1+ (1,0) [0|0] "" A'
    path = tmp_path / "car.dbc"
    path.write_text(signal(lines) + "SG_MUL_VAL_ 256 Y X 250-4294967295;\n")
    database = dbc.load(path, print)
    selected = database.get_message_by_name("M").get_signal_by_name("Y")
    assert sorted(selected.multiplexer_ids or []) == [0, *range(250, 256)]


FAULTS: list[Callable[[random.Random, str], str]] = [
    lambda rng, line: line[: rng.randrange(len(line) + 1)],
    lambda rng, line: line.replace('"', "", 1),
    lambda rng, line: line.replace(" ", "", 1),
    lambda rng, line: line.replace("0", ".", 1),
    lambda rng, line: line + ' "',
    lambda rng, line: line.upper(),
    lambda rng, line: "",
    lambda rng, line: line + "\n" + line,
    lambda rng, line: line.replace("(", "", 1),
    lambda rng, line: line.replace(":", "", 1),
    lambda rng, line: line.replace(";", "", 1),
    lambda rng, line: line[::-1],
    lambda rng, line: "".join(chr(ord(c) ^ (rng.random() < 0.05)) for c in line),
]


@pytest.mark.skipif(not REAL, reason=f"no real DBC files: {DATA} is absent")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_mutated_real_files_import_or_are_refused_in_one_line(tmp_path: Path, path: Path) -> None:
    rng = random.Random(path.stem)
    lines = path.read_text("utf-8", errors="replace").split("\n")
    start = rng.randrange(max(1, len(lines) - 200))
    # a stretch of the file, so that the many tries take a short time
    some = [*HEADER.split("\n"), *PLAIN.split("\n"), *lines[start : start + 200]]
    for _ in range(20):
        mutated = list(some)
        for _ in range(rng.randrange(1, 12)):
            at = rng.randrange(len(PLAIN.split("\n")) + 9, len(mutated))
            mutated[at] = rng.choice(FAULTS)(rng, mutated[at])
        try:
            profile, reports = load(tmp_path, "\n".join(mutated))
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert profile.signals and not any("\n" in report for report in reports)
