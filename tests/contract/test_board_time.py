"""The simulated board's `time` and RTC keep the ESP32's contract: 2000 at power-on, whole seconds, ticks that nothing steps."""

import calendar
import datetime
import json
import random

import pytest
from on_device import run

from host_tools.toolchain import micropython

EPOCH = 946_684_800  # 2000-01-01 in UTC since 1970
LAST = 0x7FFFFFFF  # what the chip's calendar holds, in 2068
WRAP = 1 << 30  # of ticks_ms, on a 32-bit chip

needs_32_bits = pytest.mark.skipif(micropython.find().bits != 32, reason="ticks of 64 bits do not wrap")


def said(script: str, speed: float = 1.0, ticks: int | None = None, **environment: object) -> object:
    """The JSON that a script prints."""
    beginning = "import json, time\nfrom machine import RTC\n"
    return json.loads(run(["-c", beginning + script], "1m", speed, ticks, **environment))


def civil(seconds: int) -> list[int]:
    """What gmtime must say of `seconds` since 2000."""
    at = datetime.datetime(2000, 1, 1) + datetime.timedelta(seconds=seconds)
    return [*at.timetuple()[:6], at.weekday(), at.timetuple().tm_yday]


def moments() -> list[int]:
    """Seconds since 2000: random ones, and those around every new year and leap day."""
    chance = random.Random(1)
    found = [0, 1, 86399, 86400, LAST] + [chance.randint(0, LAST) for _ in range(100)]
    for year in range(2000, 2068):
        for month, day in (1, 1), (2, 28), (3, 1), (12, 31):
            at = calendar.timegm((year, month, day, 0, 0, 0)) - EPOCH
            found += [max(at - 1, 0), at]
    return found


def test_it_is_2000_at_power_on() -> None:
    year, month, day, hour, minute, *_ = said("print(json.dumps(time.gmtime()))")
    assert (year, month, day, hour, minute) == (2000, 1, 1, 0, 0)


def test_epoch_is_2000() -> None:
    assert said("print(json.dumps([time.gmtime(0), time.time()]))") == [[2000, 1, 1, 0, 0, 0, 5, 1], 0]


def test_time_is_whole_seconds_and_nanoseconds_fit_them() -> None:
    assert said("print(json.dumps([type(time.time()) is int, time.time_ns() // 10**9 == time.time()]))") == [
        True,
        True,
    ]


def test_gmtime_is_an_8_tuple_of_the_civil_calendar() -> None:
    asked = moments()
    answers = said(f"print(json.dumps([time.gmtime(s) for s in {asked}]))")
    assert answers == [civil(s) for s in asked]


def test_localtime_is_utc() -> None:
    assert said("print(json.dumps([time.localtime(s) == time.gmtime(s) for s in (0, 86400 * 200)]))") == [
        True,
        True,
    ]


def test_mktime_is_the_inverse_of_gmtime() -> None:
    assert said(f"print(json.dumps([s for s in {moments()} if time.mktime(time.gmtime(s)) != s]))") == []


def test_rtc_sets_the_calendar_but_not_the_ticks() -> None:
    script = """
before = time.ticks_ms()
RTC().datetime((2036, 2, 7, 3, 6, 28, 16, 250000))
passed = time.ticks_diff(time.ticks_ms(), before)
print(json.dumps([time.time(), time.time_ns() // 10**6 % 1000, time.gmtime(), RTC().datetime(), passed]))
"""
    seconds, ms, civil_time, parts, passed = said(script)
    assert seconds == calendar.timegm((2036, 2, 7, 6, 28, 16)) - EPOCH
    assert ms >= 250
    assert civil_time == [2036, 2, 7, 6, 28, 16, 3, 38]
    assert parts[:7] == [2036, 2, 7, 3, 6, 28, 16]
    assert 250_000 <= parts[7] < 1_000_000
    assert 0 <= passed < 60_000


def test_rtc_can_step_back() -> None:
    script = """
RTC().datetime((2030, 1, 1, 1, 0, 0, 0, 0)); RTC().datetime((2020, 1, 1, 2, 0, 0, 0, 0))
print(json.dumps(time.gmtime()[:5]))
"""
    assert said(script) == [2020, 1, 1, 0, 0]


@pytest.mark.parametrize("speed", [1, 20])
def test_ticks_time_and_sleep_run_at_the_same_speed(speed: float) -> None:
    script = """
ticks = time.ticks_ms()
ns = time.time_ns()
time.sleep_ms(400)
ns = time.time_ns() - ns
print(json.dumps([ns // 10**6, time.ticks_diff(time.ticks_ms(), ticks)]))
"""
    by_calendar, by_ticks = said(script, speed)
    assert 399 <= by_calendar <= by_ticks + 1


def test_asyncio_sleeps_by_the_same_ticks() -> None:
    script = """
import asyncio
ticks = time.ticks_ms()
async def main(): await asyncio.sleep_ms(300)
asyncio.run(main())
print(json.dumps(time.ticks_diff(time.ticks_ms(), ticks)))
"""
    assert said(script, speed=10) >= 299


def test_run_may_begin_with_another_calendar() -> None:
    assert said("print(json.dumps(time.gmtime()[:4]))", PIGTAIL_RTC=1_900_000_000) == [2030, 3, 17, 17]


@needs_32_bits
def test_ticks_that_are_about_to_wrap_do_so_and_asyncio_sleeps_on() -> None:
    script = """
import asyncio
before = time.ticks_ms()
async def main(): await asyncio.sleep_ms(time.ticks_diff(100, before))
asyncio.run(main())
after = time.ticks_ms()
print(json.dumps([before, after, time.ticks_diff(after, before)]))
"""
    before, after, passed = said(script, speed=20, ticks=WRAP - 100_000)  # 5 s
    assert WRAP - 100_000 <= before < WRAP and 100 <= after < WRAP // 2
    assert passed == after + WRAP - before
