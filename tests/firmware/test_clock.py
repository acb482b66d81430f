"""uplink/clock: a good answer sets the calendar; one that RFC 4330 calls unusable is refused, counted, and changes nothing."""

import asyncio
import struct
from fakes import Link, Network, Socket, Time, steps, stopped
from pigtail import uptime
from pigtail.uplink import clock, resolve

UTC_2023 = 1700000000  # 2023-11-14 22:13:20, a Tuesday
NTP_ERA_1 = 2085978496  # UTC at which NTP's seconds start again at 0: 2036-02-07 06:28:16


class Server(Socket):
    """Answers a request with what `answer(request)` makes of it."""

    def __init__(self, answer):
        super().__init__()
        self._answer = answer

    def write(self, buf):
        assert buf[0] == 0x23
        self.incoming.extend(self._answer(bytes(buf)))
        return len(buf)


class Rtc:
    set_to = []

    def datetime(self, parts):
        self.set_to.append(parts)


def _answer(request, utc=UTC_2023, fraction=0, first=0x24, stratum=2, originate=None, size=48):
    packet = bytearray(48)
    packet[0], packet[1] = first, stratum
    packet[24:32] = request[40:48] if originate is None else originate
    struct.pack_into("!II", packet, 40, utc + 2208988800 & 0xFFFFFFFF, fraction)
    return bytes(packet[:size])


async def _asked(up=True, uptime_ms=5000, host="10.0.0.1", **fields):
    """A clock after one question, answered with these fields."""
    time = Time().into(clock, uptime, resolve)
    uptime._last, uptime._ms = 0, 0
    time.now = uptime_ms
    Rtc.set_to.clear()
    clock.RTC, clock.socket = Rtc, Network(lambda: Server(lambda request: _answer(request, **fields)))
    asking = clock.Clock(host, 123)
    task = asyncio.create_task(asking.run(Link(up), lambda: None))
    for _ in range(10):
        await asyncio.sleep_ms(0)
    await stopped(task)
    return asking


async def _refuses(**fields):
    asking = await _asked(**fields)
    assert (asking.quality, asking.refused, Rtc.set_to) == (clock.NONE, 1, [])
    assert clock.socket.opened[0].closed


async def test_good_answer_sets_quality_and_the_utc_of_boot():
    asking = await _asked(fraction=1 << 31)
    assert asking.quality == clock.NTP
    assert asking.utc_of_boot_ms == UTC_2023 * 1000 + 500 - 5000
    assert asking.refused == 0
    assert clock.socket.opened[0].closed


async def test_good_answer_sets_the_chips_calendar():
    await _asked(fraction=1 << 30)
    assert Rtc.set_to == [(2023, 11, 14, 1, 22, 13, 20, 250000)]


async def test_half_of_the_way_there_and_back_is_added():
    time = Time().into(clock, uptime, resolve)
    uptime._last, uptime._ms = 0, 0

    def late(request):
        time.now += 300
        return _answer(request)

    clock.RTC, clock.socket = Rtc, Network(lambda: Server(late))
    asking = clock.Clock("10.0.0.1", 123)
    task = asyncio.create_task(asking.run(Link(), lambda: None))
    await asyncio.sleep_ms(0)
    await asyncio.sleep_ms(0)
    await stopped(task)
    assert asking.utc_of_boot_ms == UTC_2023 * 1000 + 150 - 300


async def test_kiss_of_death_is_refused():
    await _refuses(stratum=0)


async def test_server_that_is_not_synchronised_is_refused():
    await _refuses(stratum=16)
    await _refuses(first=0xE4)  # leap indicator 3


async def test_answer_that_is_none_is_refused():
    for mode in 0, 1, 2, 3, 5, 6, 7:
        await _refuses(first=0x20 | mode)


async def test_answer_to_another_question_is_refused():
    await _refuses(originate=bytes(8))


async def test_answer_without_a_time_is_refused():
    await _refuses(utc=NTP_ERA_1)


async def test_short_answer_is_refused():
    for size in 1, 47:
        await _refuses(size=size)


async def test_time_beyond_what_the_chips_calendar_holds_is_refused():
    await _refuses(utc=NTP_ERA_1 + 0x7FFFFFFF)  # the year 2104
    await _refuses(utc=NTP_ERA_1 - 0x80000000)  # the year 1968


async def test_time_goes_on_in_ntps_era_of_2036():
    asking = await _asked(utc=NTP_ERA_1 - 1)
    assert asking.utc_of_boot_ms == (NTP_ERA_1 - 1) * 1000 - 5000
    asking = await _asked(utc=NTP_ERA_1 + 5)
    assert asking.utc_of_boot_ms == (NTP_ERA_1 + 5) * 1000 - 5000
    assert Rtc.set_to == [(2036, 2, 7, 3, 6, 28, 21, 0)]


async def test_fault_6_clock_that_steps_back_moves_utc_and_not_the_uptime():
    time = Time().into(clock, uptime, resolve)
    uptime._last, uptime._ms = 0, 0
    Rtc.set_to.clear()
    answers = [UTC_2023, UTC_2023 - 3600]
    clock.RTC, clock.socket = Rtc, Network(lambda: Server(lambda request: _answer(request, utc=answers.pop(0))))
    asking = clock.Clock("10.0.0.1", 123)
    task = asyncio.create_task(asking.run(Link(), lambda: uptime.ms()))
    await time.passes(10, step=10)
    assert asking.utc_of_boot_ms // 1000 == UTC_2023 - 1
    await time.passes(902000, step=500)
    assert asking.quality == clock.NTP
    assert UTC_2023 - 3600 - 903 <= asking.utc_of_boot_ms // 1000 <= UTC_2023 - 3600 - 900
    assert uptime.ms() == time.now and [parts[3:5] for parts in Rtc.set_to] == [(1, 22), (1, 21)]
    await stopped(task)


async def test_nothing_is_asked_while_the_link_is_down():
    asking = await _asked(up=False)
    assert (asking.quality, clock.socket.opened) == (clock.NONE, [])


async def test_no_host_means_no_question():
    asking = await _asked(host="")
    assert (asking.quality, clock.socket.opened) == (clock.NONE, [])


async def test_network_that_fails_is_asked_again_after_a_while():
    time = Time().into(clock, uptime, resolve)

    class Broken(Socket):
        def connect(self, address):
            raise OSError(113)

    clock.socket = Network(Broken)
    beats = []
    task = asyncio.create_task(clock.Clock("10.0.0.1", 123).run(Link(), lambda: beats.append(1)))
    await time.passes(4000, step=100)
    assert len(clock.socket.opened) == 1
    await time.passes(3000, step=100)
    assert len(clock.socket.opened) == 2
    assert len(beats) >= 10
    await stopped(task)


async def test_silent_server_keeps_the_beat_and_is_asked_again():
    time = Time().into(clock, uptime, resolve)
    clock.socket = Network(lambda: Server(lambda request: b""))
    beats = []
    task = asyncio.create_task(clock.Clock("10.0.0.1", 123).run(Link(), lambda: beats.append(time.now)))
    await time.passes(9000, step=20)
    assert len(clock.socket.opened) == 2
    assert max(steps(beats)) <= 520
    await stopped(task)


async def test_time_that_becomes_known_is_told_once():
    time = Time().into(clock, uptime, resolve)
    uptime._last, uptime._ms = 0, 0
    clock.RTC, clock.socket = Rtc, Network(lambda: Server(_answer))
    asking = clock.Clock("10.0.0.1", 123)
    told = []
    asking.on_set = lambda: told.append(asking.quality)
    task = asyncio.create_task(asking.run(Link(), lambda: None))
    await time.passes(2000000, step=500)
    await stopped(task)
    assert len(clock.socket.opened) == 3
    assert told == [clock.NTP]
