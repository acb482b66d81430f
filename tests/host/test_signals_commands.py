"""`pigtail signals`: what each command prints, writes, and ends with; bad input is one line and status 2."""

import contextlib
import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cantools
import pytest

from host_tools.cli import main
from host_tools.paths import ROOT
from host_tools.signals.pack import unpack

DATA = ROOT.parent / "shared" / "data"
KONA = DATA / "kona-ev" / "pcan.dbc"

DBC = """VERSION "1"

NS_ :

BS_:

BU_: A

BO_ 256 Motor: 8 A
 SG_ Speed : 0|16@1- (0.5,0) [-100|100] "rpm" A
 SG_ Gear : 16|3@1+ (1,0) [0|3] "" A
 SG_ Big : 39|12@0+ (1,0) [0|0] "" A
 SG_ Still : 56|8@1+ (1,0) [0|0] "" A

VAL_ 256 Gear 0 "P" 1 "R" ;
"""
LOG = """(1.000000) can0 100#0A00010000000007
(1.500000) can0 100#F6FF000000000007
(2.000000) can0 100#FF7F000000000007
(2.500000) can0 123#00
"""


@pytest.fixture
def car(tmp_path: Path) -> Path:
    (tmp_path / "car.dbc").write_text(DBC)
    (tmp_path / "car.log").write_text(LOG)
    return tmp_path


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(folder: Path, *arguments: str) -> Done:
    """The command in this process, for starting one costs a second; its signal handlers are taken back."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(["signals", *arguments])
    except SystemExit as end:
        return Done(int(end.code or 0), out.getvalue(), err.getvalue())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    raise AssertionError("main returned")


def refused(folder: Path, *arguments: str) -> str:
    done = run(folder, *arguments)
    assert done.returncode == 2, done
    last = done.stderr.splitlines()[-1]
    assert last.startswith("pigtail: error: ") and "Traceback" not in done.stderr
    return last


@pytest.mark.parametrize("verb", ["compile", "show", "check", "draw"])
def test_help_has_an_example(car: Path, verb: str) -> None:
    done = run(car, verb, "--help")
    assert done.returncode == 0 and f"pigtail signals {verb} " in done.stdout
    assert f"  {verb} " in run(car, "--help").stdout


def test_compile_writes_a_packed_profile(car: Path) -> None:
    done = run(car, "compile", "car.dbc", "-o", "out.bin", "--period", "250")
    profile = unpack((car / "out.bin").read_bytes())
    assert done.returncode == 0 and done.stderr == ""
    assert "out.bin: 1 message, 4 signals, " in done.stdout
    assert {s.period_ms for s in profile.signals} == {250}
    assert run(car, "compile", "car.dbc").returncode == 0 and (car / "car.bin").exists()


def test_compile_of_several_keeps_ids_and_names_apart(car: Path) -> None:
    (car / "more.dbc").write_text(DBC.replace("BO_ 256", "BO_ 512").replace("VAL_ 256", "VAL_ 512"))
    done = run(car, "compile", "car.dbc", "more.dbc", "car.dbc", "-o", "out.bin")
    profile = unpack((car / "out.bin").read_bytes())
    assert [message.arbitration_id for message in profile.messages] == [256, 512]
    assert len({s.name for s in profile.signals}) == 8
    assert "message Motor of car left out: its id 100 is taken" in done.stderr
    assert "signal Motor.Speed of id 200 is now Motor.Speed_200: the name is taken" in done.stderr
    assert "is taken" in refused(car, "compile", "car.dbc", "car.dbc", "--strict")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("NS_ :\n\nBS_:\n\nBU_: A", "NS_ :", "car.dbc, line 5: put the missing BS_ and BU_"),
        ("(0.5,0)", "(.5,0)", "car.dbc, line 10: .5 is now 0.5"),
        ("39|12@0+", "17|12@0+", "car.dbc, line 12: signal Motor.Big overlaps Motor.Gear"),
        ("56|8@1+", "60|8@1+", "car.dbc, line 13: signal Motor.Still left out: beyond the end of its message of 8 bytes"),
        ("Motor: 8", "Motor: 64", "message Motor left out: its 64 bytes need CAN FD"),
    ],
)
def test_what_is_told_is_refused_by_strict(car: Path, old: str, new: str, told: str) -> None:
    assert old in DBC
    other = DBC.replace(old, new) + 'BO_ 257 Other: 8 A\n SG_ X : 0|8@1+ (1,0) [0|0] "" A\n'
    (car / "car.dbc").write_text(other)
    done = run(car, "compile", "car.dbc")
    assert done.returncode == 0 and told in done.stderr
    assert told in refused(car, "compile", "car.dbc", "--strict")


def test_what_is_left_out_is_told_by_its_line_also_where_more_had_to_be_repaired(car: Path) -> None:
    comment = 'CM_ "of several\nlines";\n'
    other = 'BO_ 2550000001 Other: 2 A\n SG_ 1st : 0|8@1+ (1,0) [0|0] "" A\n SG_ 2nd : 8|9@1+ (1,0) [0|0] "" A\n'
    (car / "car.dbc").write_text(f'VERSION ""\n\nNS_ :\n{comment}BO_ 256 M: 1 A\n SG_ A : 0|9@1+ (.5,0) [0|0] "" A\n{other}')
    told = run(car, "compile", "car.dbc").stderr
    assert "car.dbc, line 7: signal M.A left out: beyond the end of its message of 1 byte" in told
    assert "car.dbc, line 10: signal Other._2nd left out: beyond the end of its message of 2 bytes" in told


def test_strict_takes_what_is_in_order(car: Path) -> None:
    assert run(car, "compile", "car.dbc", "--strict").returncode == 0


def test_show_lists_the_signals(car: Path) -> None:
    run(car, "compile", "car.dbc", "-o", "packed", "--period", "0")
    for name in ("car.dbc", "packed"):
        done = run(car, "show", name, "--period", "0")
        row = next(line for line in done.stdout.splitlines() if line.startswith("Motor.Speed"))
        assert row.split()[1:5] == ["100", "0|16@1-", "0.5", "rpm"] and "on change" in row
        assert "39|12@0+" in done.stdout and "0 P, 1 R" in done.stdout and "1 message, 4 signals" in done.stdout


def test_show_as_json(car: Path) -> None:
    shown = json.loads(run(car, "show", "car.dbc", "--json").stdout)
    speed, _, big, _ = shown["signals"]
    assert (shown["name"], shown["version"]) == ("car", "1")
    assert (speed["name"], speed["arbitration_id"], speed["is_signed"], speed["period_ms"]) == ("Motor.Speed", 256, True, 1000)
    assert (big["start"], big["byte_order"], big["labels"]) == (39, "big_endian", {})


def test_show_says_priority_and_greatest_error(car: Path) -> None:
    (car / "car.toml").write_text(
        '[vehicle]\nname = "car"\nversion = "1"\nvehicle = "x"\ndbc = "car.dbc"\n[[signals]]\ndbc = "Motor.Speed"\n'
        'path = "Vehicle.Speed"\nunit = "rpm"\ndatatype = "float"\nperiod_ms = 100\npurpose = "driving"\n'
        'priority = "diagnostic"\nmax_error = 2.5\n'
    )
    assert "100 ms ± 2.5" in (out := run(car, "show", "car.toml").stdout) and "driving (diagnostic)" in out
    (speed,) = json.loads(run(car, "show", "car.toml", "--json").stdout)["signals"]
    assert (speed["priority"], speed["max_error"]) == ("diagnostic", 2.5)


def test_show_knows_the_cars_by_name(car: Path) -> None:
    done = run(car, "show", "demo-ev")
    assert done.returncode == 0 and "Vehicle.Speed" in done.stdout and "driving" in done.stdout


def test_check_counts_ranges_and_what_never_moves(car: Path) -> None:
    done = run(car, "check", "car.dbc", "--log", "car.log")
    speed = next(line for line in done.stdout.splitlines() if line.startswith("Motor.Speed"))
    assert speed.split() == ["Motor.Speed", "3", "-5", "16383.5", "rpm", "1", "out", "of", "range"]
    assert "recording: 4 frames of 2 ids in 1.5 s" in done.stdout
    assert "3 of 4 (75.00 %) of the frames, 1 of 2 (50.00 %) of the ids" in done.stdout
    assert "unknown:   123 (1)" in done.stdout and "4 of 4 heard, 2 of them never move" in done.stdout
    assert done.returncode == 0  # the database's range is a remark, not a rule


def test_check_as_json(car: Path) -> None:
    result = json.loads(run(car, "check", "car.dbc", "--log", "car.log", "--json").stdout)
    assert (result["frames"], result["known_frames"], result["unknown"]) == (4, 3, [["123", 1]])
    assert result["signals"][0]["out_of_range"] == 1


def test_check_fails_where_a_declared_range_is_left_or_nothing_is_known(car: Path) -> None:
    (car / "car.toml").write_text(
        '[vehicle]\nname = "c"\nversion = "1"\nvehicle = "C"\ndbc = "car.dbc"\n[[signals]]\ndbc = "Motor.Speed"\n'
        'path = "Vehicle.Speed"\nunit = "rpm"\ndatatype = "float"\nperiod_ms = 100\npurpose = "x"\nrange = [-5, 5]\n'
    )
    assert run(car, "check", "car.toml", "--log", "car.log").returncode == 1
    (car / "car.log").write_text("(1.000000) can0 123#00\n")
    assert run(car, "check", "car.dbc", "--log", "car.log").returncode == 1


GUARDED = """[vehicle]
name = "c"
version = "1"
vehicle = "C"
dbc = "car.dbc"
[[signals]]
dbc = "Motor.Speed"
path = "Vehicle.Speed"
unit = "rpm"
datatype = "float"
period_ms = 100
purpose = "x"
[[messages]]
dbc = "Motor"
counter = "Gear"
checksum = "Still"
checksum_rule = "xor8"
"""


def test_check_tells_the_frames_with_a_wrong_counter_or_checksum(car: Path) -> None:
    (car / "car.toml").write_text(GUARDED)
    data = [bytes((n, 0, n & 7, 0, 0, 0, 0, n ^ n & 7)) for n in range(40)]
    for number in (5, 30):
        data[number] = data[number][:7] + b"\xff"
    (car / "car.log").write_text("".join(f"({n / 10:.6f}) can0 100#{d.hex()}\n" for n, d in enumerate(data) if n != 20))
    done = run(car, "check", "car.toml", "--log", "car.log")
    rows = {line.split()[0]: " ".join(line.split()[4:]) for line in done.stdout.splitlines() if line.startswith("Motor.")}
    assert rows == {"Motor.Gear": "19 out of range, counter: 1 wrong", "Motor.Still": "checksum: 2 wrong"}
    assert "guards:    Motor.Gear (1 of 39), Motor.Still (2 of 39) wrong" in done.stdout and done.returncode == 1
    told = json.loads(run(car, "check", "car.toml", "--log", "car.log", "--json").stdout)["guards"]
    assert told == [
        {"message": "Motor", "signal": "Motor.Gear", "kind": "counter", "frames": 39, "wrong": 1},
        {"message": "Motor", "signal": "Motor.Still", "kind": "checksum", "frames": 39, "wrong": 2},
    ]


def test_check_draws_a_picture(car: Path) -> None:
    done = run(car, "check", "car.dbc", "--log", "car.log", "--plot", "out.png", "Motor.Speed", "Motor.Gear")
    assert done.returncode == 0 and (car / "out.png").read_bytes().startswith(b"\x89PNG")
    assert run(car, "check", "car.dbc", "--log", "car.log", "--plot", "out.svg").returncode == 0
    assert "Motor.Gear" in (car / "out.svg").read_text() or (car / "out.svg").stat().st_size > 1000


def test_only_a_picture_needs_matplotlib() -> None:
    code = "import sys, host_tools.commands.signals; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["compile"], "Missing argument"),
        (["compile", "none.dbc"], "cannot be read"),
        (["compile", "car.log"], "no profile car.log"),
        (["compile", "car.dbc", "-o", "none/out.bin"], "cannot write none/out.bin"),
        (["compile", "."], "cannot be read"),
        (["show", "nobody"], "demo-ev"),
        (["show", "car.dbc", "--period", "-1"], "Invalid value for '--period'"),
        (["check", "car.dbc"], "Missing option '--log'"),
        (["check", "car.dbc", "--log", "none.log"], "No such file"),
        (["check", "car.dbc", "--log", "car.log", "--channel", "7"], "no frame on channel 7"),
        (["check", "car.dbc", "--log", "car.log", "Motor.Speed"], "--plot"),
        (["check", "car.dbc", "--log", "car.log", "--plot", "x.png", "Motor.Sped"], "Motor.Speed"),
        (["check", "car.dbc", "--log", "car.log", "--plot", "x.txt"], ".png"),
        (["check", "car.dbc", "--log", "car.log", "--plot", "none/x.png"], "cannot write"),
        (["draw", "car.dbc", "Motr"], "Motor"),
        (["draw", "car.dbc"], "Missing argument"),
    ],
)
def test_bad_input_is_one_line(car: Path, arguments: list[str], text: str) -> None:
    assert text in refused(car, *arguments)


@pytest.mark.parametrize("suffix", ["dbc", "sym", "kcd"])
@pytest.mark.parametrize("rubbish", [b"\0\xff rubbish " * 60, b"yglP0urWulp35Jb7dmwb9SsoStZp31/" * 20, bytes(range(256)) * 4])
def test_rubbish_is_one_short_line_without_notes(car: Path, suffix: str, rubbish: bytes) -> None:
    (car / f"rubbish.{suffix}").write_bytes(rubbish)
    done = run(car, "show", f"rubbish.{suffix}")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and len(done.stderr) < 220, done.stderr


@pytest.mark.parametrize("message", ["Motor", "100", "0x100", "Motor.Speed"])
def test_draw_finds_a_message_by_name_id_or_signal(car: Path, message: str) -> None:
    run(car, "compile", "car.dbc", "-o", "packed")
    for name in ("car.dbc", "packed"):
        done = run(car, "draw", name, message)
        assert done.returncode == 0 and "id 100 (11 bits), 8 bytes of data" in done.stdout
        assert "+-- " in done.stdout and "Speed" in done.stdout


@pytest.mark.parametrize("suffix", [".kcd", ".sym", ".arxml"])
def test_other_databases_compile_too(car: Path, suffix: str) -> None:
    database = cantools.database.load_string(DBC, "dbc")
    content = {".kcd": lambda: database.as_kcd_string(), ".sym": lambda: database.as_sym_string(), ".arxml": lambda: ARXML}
    (car / f"other{suffix}").write_text(content[suffix](), "utf-8")
    done = run(car, "compile", f"other{suffix}", "-o", "out.bin")
    assert done.returncode == 0, done.stderr
    speed = next(s for s in unpack((car / "out.bin").read_bytes()).signals if s.name == "Motor.Speed")
    assert (speed.start, speed.length, speed.scale) == (0, 16, 0.5)
    (car / f"other{suffix}").write_text("no such thing", "utf-8")
    assert f"not {suffix[1:].upper()}" in refused(car, "compile", f"other{suffix}")


ARXML = """<?xml version="1.0" encoding="utf-8"?>
<AUTOSAR xmlns="http://autosar.org/schema/r4.0"><AR-PACKAGES><AR-PACKAGE><SHORT-NAME>P</SHORT-NAME><ELEMENTS>
<CAN-CLUSTER><SHORT-NAME>Bus</SHORT-NAME><CAN-CLUSTER-VARIANTS><CAN-CLUSTER-CONDITIONAL><BAUDRATE>500000</BAUDRATE>
<PHYSICAL-CHANNELS><CAN-PHYSICAL-CHANNEL><SHORT-NAME>C</SHORT-NAME><FRAME-TRIGGERINGS><CAN-FRAME-TRIGGERING>
<SHORT-NAME>T</SHORT-NAME><FRAME-REF DEST="CAN-FRAME">/P/Motor</FRAME-REF><CAN-ADDRESSING-MODE>STANDARD</CAN-ADDRESSING-MODE>
<IDENTIFIER>256</IDENTIFIER></CAN-FRAME-TRIGGERING></FRAME-TRIGGERINGS></CAN-PHYSICAL-CHANNEL></PHYSICAL-CHANNELS>
</CAN-CLUSTER-CONDITIONAL></CAN-CLUSTER-VARIANTS></CAN-CLUSTER>
<CAN-FRAME><SHORT-NAME>Motor</SHORT-NAME><FRAME-LENGTH>8</FRAME-LENGTH><PDU-TO-FRAME-MAPPINGS><PDU-TO-FRAME-MAPPING>
<SHORT-NAME>M</SHORT-NAME><PACKING-BYTE-ORDER>MOST-SIGNIFICANT-BYTE-LAST</PACKING-BYTE-ORDER>
<PDU-REF DEST="I-SIGNAL-I-PDU">/P/Pdu</PDU-REF><START-POSITION>0</START-POSITION></PDU-TO-FRAME-MAPPING>
</PDU-TO-FRAME-MAPPINGS></CAN-FRAME>
<I-SIGNAL-I-PDU><SHORT-NAME>Pdu</SHORT-NAME><LENGTH>8</LENGTH><I-SIGNAL-TO-PDU-MAPPINGS><I-SIGNAL-TO-I-PDU-MAPPING>
<SHORT-NAME>S</SHORT-NAME><I-SIGNAL-REF DEST="I-SIGNAL">/P/Speed</I-SIGNAL-REF>
<PACKING-BYTE-ORDER>MOST-SIGNIFICANT-BYTE-LAST</PACKING-BYTE-ORDER><START-POSITION>0</START-POSITION>
</I-SIGNAL-TO-I-PDU-MAPPING></I-SIGNAL-TO-PDU-MAPPINGS></I-SIGNAL-I-PDU>
<I-SIGNAL><SHORT-NAME>Speed</SHORT-NAME><LENGTH>16</LENGTH>
<SYSTEM-SIGNAL-REF DEST="SYSTEM-SIGNAL">/P/Sys</SYSTEM-SIGNAL-REF></I-SIGNAL>
<SYSTEM-SIGNAL><SHORT-NAME>Sys</SHORT-NAME><PHYSICAL-PROPS><SW-DATA-DEF-PROPS-VARIANTS><SW-DATA-DEF-PROPS-CONDITIONAL>
<COMPU-METHOD-REF DEST="COMPU-METHOD">/P/Scale</COMPU-METHOD-REF></SW-DATA-DEF-PROPS-CONDITIONAL></SW-DATA-DEF-PROPS-VARIANTS>
</PHYSICAL-PROPS></SYSTEM-SIGNAL>
<COMPU-METHOD><SHORT-NAME>Scale</SHORT-NAME><CATEGORY>LINEAR</CATEGORY><COMPU-INTERNAL-TO-PHYS><COMPU-SCALES><COMPU-SCALE>
<COMPU-RATIONAL-COEFFS><COMPU-NUMERATOR><V>0</V><V>0.5</V></COMPU-NUMERATOR><COMPU-DENOMINATOR><V>1</V></COMPU-DENOMINATOR>
</COMPU-RATIONAL-COEFFS></COMPU-SCALE></COMPU-SCALES></COMPU-INTERNAL-TO-PHYS></COMPU-METHOD>
</ELEMENTS></AR-PACKAGE></AR-PACKAGES></AUTOSAR>
"""


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real DBC files: {DATA} is absent")
def test_the_kona_is_known_but_for_one_frame() -> None:
    log = DATA / "kona-ev" / "kona2019_230112-7_pcan0_ccan1.log.gz"
    done = run(ROOT, "check", str(KONA), "--log", str(log), "--channel", "0")
    assert "24,262 of 24,263 (99.99 %) of the frames" in done.stdout and done.returncode == 0


def test_fault_45_full_disk_leaves_the_profile_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "car.bin").write_bytes(b"the good one")
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512)); from host_tools.cli import main; main()"
    argv = [sys.executable, "-c", limit, "signals", "compile", "demo-ev", "-o", str(tmp_path / "car.bin")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "cannot write" in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["car.bin"] and (tmp_path / "car.bin").read_bytes() == b"the good one"
