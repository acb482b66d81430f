"""`pigtail sim` and `pigtail demo` as a person meets them: what they print, how they end, what they leave behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sim.processes import alive, catches, children

HANGS_S = 120  # nothing here takes as long, however busy the machine is
PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]
QUICK = ["--for", "6", "--speed", "4"]


def pigtail(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PIGTAIL, *arguments], capture_output=True, text=True, timeout=HANGS_S)


def test_report_in_words_and_as_json_say_the_same(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = pigtail("sim", *QUICK, "--json", str(out))
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    required = (
        "frames_offered frames_received frames_dropped frames_unknown samples_taken samples_delivered "
        "samples_accounted_lost samples_missing duplicates bytes_published bytes_per_sample heap_peak boot_ms restarts"
    )
    assert set(required.split()) <= report.keys()
    assert f"{report['samples_taken']:,} taken" in done.stdout
    assert f"{report['frames_offered']:,} offered" in done.stdout
    assert report["samples_taken"] == report["samples_delivered"] > 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_report_that_finds_the_disk_full_is_one_line_after_what_was_printed() -> None:
    done = pigtail("sim", "--for", "1", "--speed", "4", "--json", "/dev/full")
    assert done.returncode == 2 and " offered" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("pigtail: error: cannot write /dev/full: No space left on device;")


def test_power_cuts_and_an_ignition_off_are_told_with_what_they_cost(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    arguments = ["--power-cut", "5", "--ignition-off", "10", "--flash-size", "256k", "--json", str(out)]
    done = pigtail("sim", "--for", "24", "--speed", "4", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(out.read_text())
    assert [death["cause"] for death in report["deaths"]] == ["power_cut", "power_cut"]
    assert report["flash"]["outbox"]["blocks"] == 64 and report["flash"]["outbox"]["bytes_programmed"] > 0
    assert f"{report['deaths'][0]['samples_lost']:,} samples of" in done.stdout
    assert "of 64 blocks" in done.stdout


def test_flash_size_none_leaves_the_outbox_to_files(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    done = pigtail("sim", *QUICK, "--flash-size", "none", "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(out.read_text())["flash"].keys() == {"flash"}


def test_demo_without_a_terminal_prints_plain_lines_and_the_verdict() -> None:
    done = pigtail("demo", "--for", "16", "--speed", "4", "--outage", "2:12")
    assert done.returncode == 0, done.stderr
    assert "\x1b[" not in done.stdout
    assert "link DOWN" in done.stdout
    assert "none is missing" in done.stdout.splitlines()[-1]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANGS_S
    while not condition():
        assert time.monotonic() < deadline, "that never came to pass"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.0, 0.5, 2.0, 5.0])
def test_stopped_at_any_time_leaves_nothing_running(number: signal.Signals, after_s: float) -> None:
    verb = "demo" if after_s > 2 else "sim"
    with subprocess.Popen([*PIGTAIL, verb, "--for", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: catches(process.pid, signal.SIGTERM))
        time.sleep(after_s)
        started = children(process.pid)
        process.send_signal(number)
        _, said = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert said.decode().splitlines()[-1:] == ["stopped"]
    assert [pid for pid in started if alive(pid)] == []


def test_killed_outright_leaves_nothing_running() -> None:
    with subprocess.Popen([*PIGTAIL, "sim", "--for", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: len(children(process.pid)) >= 1)
        time.sleep(1)
        started = children(process.pid)
        process.kill()
    assert started
    wait_until(lambda: not any(map(alive, started)))


def bad_dbc(folder: Path) -> Path:
    path = folder / "bad.dbc"
    path.write_text("this is no DBC\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--log", "nowhere.log", "--profile", "demo-ev"], "nowhere.log: cannot be read"),
        (["--log", __file__, "--profile", "demo-ev"], "unknown log format"),
        (["--log", "{tmp}", "--profile", "demo-ev"], "{tmp}"),
        (["--log", "{tmp}/empty.log", "--profile", "demo-ev"], "empty.log"),
        (["--log", "{tmp}/garbage.log.gz", "--profile", "demo-ev"], "garbage.log.gz"),
        (["--log", "{tmp}/one.log"], "needs a profile"),
        (["--log", "{tmp}/one.log", "--profile", "demo-ev", "--channel", "can9"], "it has channel"),
        (["--profile", "nobodys-car"], "no profile nobodys-car"),
        (["--profile", "{tmp}/bad.dbc"], "bad.dbc"),
        (["--profile", "{tmp}/none.dbc"], "none.dbc"),
        (["--outage", "5"], "START:END"),
        (["--outage", "9:5"], "START:END"),
        (["--outage", "2:8", "--outage", "7:9"], "overlap"),
        (["--log", "{tmp}/jump.log", "--profile", "demo-ev"], "clock jumps"),
        (["--power-cut", "soon"], "--power-cut"),
        (["--power-cut", "-1"], "--power-cut"),
        (["--power-cut", "3"], "power cut at 3 s: the drive ends at 3 s"),
        (["--ignition-off", "9"], "ignition off at 9 s: the drive ends at 3 s"),
        (["--flash-size", "much"], "flash size 'much'"),
        (["--flash-size", "32k"], "flash size '32k'"),
        (["--flash-size", "17M"], "flash size '17M'"),
        (["--flash-size", "65537"], "flash size '65537'"),
        (["--flash-size", "-64k"], "flash size '-64k'"),
        (["--heap", "much"], "heap 'much'"),
        (["--heap", "1k"], "does not fit into a heap of 1k"),
        (["--heap", "48k"], "does not fit into a heap of 48k"),
        (["--speed", "0"], "--speed"),
        (["--load", "99999"], "--load"),
        (["--broker", "mqtt://127.0.0.1:9"], "no connection to a broker"),
        (["--broker", "ftp://x"], "mqtt://"),
        (["--json", "{tmp}/no/folder.json"], "cannot write"),
        (["--colour"], "--colour"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    bad_dbc(tmp_path)
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "garbage.log.gz").write_bytes(os.urandom(100))
    (tmp_path / "one.log").write_text("(1.000000) can0 123#00\n")
    (tmp_path / "jump.log").write_text("(1.000000) can0 123#00\n(1700000000.000000) can0 123#00\n")
    end = "3e9" if "{tmp}/jump.log" in arguments else "3"
    done = pigtail("sim", "--for", end, *[argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("pigtail: error: ")
    assert says.replace("{tmp}", str(tmp_path)) in line
