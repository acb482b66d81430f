"""The trace of ignition, 12 V and bus: what is read of it, what is refused, and the time in each state."""

from pathlib import Path

import pytest

from host_tools.errors import InputError
from host_tools.reader import Happened
from host_tools.sim.board import Life
from host_tools.sim.power import Moment, bus_awake, read, times
from host_tools.sim.trace import Trace

HEAD = "time_s,ignition,battery_mv,bus\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "power.csv"
    path.write_text(text)
    return path


def test_each_line_is_a_moment_and_what_is_empty_is_not_sensed(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + "0,1,14100,1\n60.5,0,,0\n90,,12000,\n")
    assert read(path) == (Moment(0, True, 14100), Moment(60.5, False, None, False), Moment(90, None, 12000, True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns"),
        ("time,ignition\n0,1\n", "columns"),
        (HEAD, "one line or more"),
        (HEAD + "0,1,,1\n0,0,,1\n", "later time_s"),
        (HEAD + "5,1,,1\n4,0,,1\n", "later time_s"),
        (HEAD + "0,2,,1\n", "line 2: '2' is neither"),
        (HEAD + "0,1,,yes\n", "line 2"),
        (HEAD + "soon,1,,1\n", "line 2"),
        (HEAD + "-1,1,,1\n", "line 2: out of range"),
        (HEAD + "nan,1,,1\n", "line 2: out of range"),
        (HEAD + "0,1,70000,1\n", "line 2: out of range"),
        (HEAD + "0,1,0,1\n", "line 2: out of range"),
        (HEAD + "0,1\n", "line 2: not as many"),
        (HEAD + "0,1,,1,9\n", "line 2: not as many"),
    ],
)
def test_trace_that_makes_no_sense_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(written(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["60,5,1,14100,1", '"60,5",1,14100,1', "60,5,,14100", '60,1,"14,1",1', "60,1,14,1", "60,1,14,", '60,1,"14100,5",1']
)
def test_peers_comma_for_a_decimal_point_in_a_power_trace_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match="line 3: ") as caught:
        read(written(tmp_path, f"{HEAD}0,1,14100,1\n{line}\n"))
    assert "\n" not in str(caught.value)


def test_trace_that_is_not_there_or_no_text_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot read"):
        read(tmp_path / "bytes.csv")


def test_bus_is_awake_until_a_moment_says_otherwise() -> None:
    moments = Moment(10, bus=False), Moment(20)
    assert [bus_awake(moments, at) for at in (0, 9.9, 10, 19.9, 20, 99)] == [True, True, False, False, True, True]


def test_time_in_each_state_is_that_of_all_lives_and_of_the_sleep_between_them() -> None:
    lives = [
        Life(1, 0.0, 100.0, "deep_sleep", trace=Trace(1)),
        Life(4, 300.0, 350.0, "power_cut", trace=Trace(2)),
        Life(1, 360.0, None, trace=Trace(3)),
    ]
    happened = [
        Happened("d", 1, 0, 0, "started", "power_on"),
        Happened("d", 1, 1, 40_000, "power", "parked"),
        Happened("d", 1, 2, 90_000, "power", "asleep: quiet"),
        Happened("d", 2, 1, 30_000, "power", "charging"),
    ]
    spent = times(lives, happened, lambda monotonic: monotonic, 400.0)
    assert spent == {"driving": 40 + 30 + 40, "parked": 50, "asleep": 10 + 200, "charging": 20}


def test_device_that_always_drove_has_no_states() -> None:
    assert times([Life(1, 0.0, None)], [Happened("d", 1, 0, 0, "started", "")], lambda monotonic: monotonic, 9.0) == {}
