"""uptime: this boot's time goes on where `ticks_ms` wraps."""

from fakes import Time
from pigtail import uptime


def _at(now):
    time = Time(now).into(uptime)
    uptime._last, uptime._ms = time.ticks_ms(), 0
    return time


def test_time_passes():
    time = _at(5)
    assert uptime.ms() == 0
    time.now += 1234
    assert uptime.ms() == 1234


def test_time_goes_on_across_the_wrap_of_the_ticks():
    time = _at((1 << 30) - 10)
    time.now += 30
    assert uptime.ms() == 30
    for day in range(1, 30):
        time.now += 86400000
        assert uptime.ms() == 30 + day * 86400000


def test_tick_of_a_time_is_what_ticks_ms_says_then():
    time = _at((1 << 30) - 10)
    assert uptime.tick_of(0) == (1 << 30) - 10
    assert uptime.tick_of(10) == 0
    time.now += 500
    assert uptime.tick_of(uptime.ms()) == time.ticks_ms()
    assert uptime.tick_of(0) == (1 << 30) - 10
