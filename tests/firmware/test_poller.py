"""diag/poller: the schedule through the real gate, with ECUs that are slow, silent, or do not have what is asked."""

import asyncio
from ecus import server
from fakes import steps
from packed import Signal, pack
from pigtail.signals.profile import Profile
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from runner import raises
from schedules import Drive, scheduled

SPEED, RPM, LEVEL = b"\x01\x0d", b"\x01\x0c", b"\x22\x01\x01"
SPEED_TOLD, RPM_TOLD, LEVEL_TOLD = b"\x41\x0d\x32", b"\x41\x0c\x1a\xf8", b"\x62\x01\x01\x64"
HOUR = 3600000
RANGE = 1, 1, -(1 << 31), 1000 - (1 << 31), 0  # of signal 1, unsigned: 0 to 1000 (SPEC section 1)


async def test_each_request_is_asked_by_its_period():
    engine = server()
    drive = Drive([scheduled("engine", SPEED, 1000), scheduled("engine", RPM, 5000)], engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.answers(engine, RPM, RPM_TOLD)
    await drive.drives(30000)
    assert 29 <= len(drive.asked_at(SPEED)) <= 30
    assert len(drive.asked_at(RPM)) == 6
    assert min(steps(drive.asked_at(SPEED))) >= 500
    assert drive.poller.status() == {"answered": drive.all_asked(), "failed": 0, "dropped": 0, "rare": 0, "short": 0}
    assert 0 < drive.longest <= 1000


async def test_what_has_priority_comes_first_and_nothing_starves():
    engine = server()
    requests = [scheduled("engine", bytes((0x22, 1, n)), 1000) for n in range(10)]
    requests.append(scheduled("engine", SPEED, 1000, priority=3))
    drive = Drive(requests, engine)
    for n in range(10):
        drive.answers(engine, bytes((0x22, 1, n)), bytes((0x62, 1, n, 7)), 200)
    drive.answers(engine, SPEED, SPEED_TOLD, 200)
    await drive.drives(60000)
    counts = [len(drive.asked_at(bytes((0x22, 1, n)))) for n in range(10)]
    assert drive.asked[0][2] == SPEED
    assert min(counts) > 0
    assert len(drive.asked_at(SPEED)) > 2 * max(counts)


async def test_slow_ecu_does_not_starve_the_other_and_is_never_asked_back_to_back():
    slow, quick = server(answer_ms=2000), server(0x7E1, 0x7E9)
    requests = [scheduled("engine", bytes((0x22, 1, n)), 100, priority=5) for n in range(8)]
    requests.append(scheduled("battery", SPEED, 500))
    drive = Drive(requests, slow, quick)
    for n in range(8):
        drive.answers(slow, bytes((0x22, 1, n)), bytes((0x62, 1, n, 7)), 900)
    drive.answers(quick, SPEED, SPEED_TOLD)
    await drive.drives(30000)
    assert len(drive.asked_at(SPEED, quick)) >= 58
    to_slow = sorted([time for n in range(8) for time in drive.asked_at(bytes((0x22, 1, n)))])
    assert min(steps(to_slow)) >= 1800
    assert len(to_slow) >= 14
    assert all([drive.asked_at(bytes((0x22, 1, n))) for n in range(8)])


async def test_two_ecus_are_asked_at_the_same_time():
    one, other = server(), server(0x7E1, 0x7E9)
    drive = Drive([scheduled(name, SPEED, 5000, windows=(0x800, 2)) for name in ("engine", "battery")], one, other)
    drive.answers(one, SPEED, SPEED_TOLD, 800)
    drive.answers(other, SPEED, SPEED_TOLD, 800)
    await drive.drives(1500)
    assert len(drive.asked) == 2
    assert drive.asked[1][0] - drive.asked[0][0] < 200
    assert len(drive.puts) == 2


async def test_greedy_schedule_shares_the_budget_and_keeps_it():
    servers = server(), server(0x7E1, 0x7E9), server(0x7E2, 0x7EA)
    long = bytes((0x62, 1, 1)) + bytes(30)
    drive = Drive([scheduled(name, LEVEL, 100) for name in ("engine", "battery", "gateway")], *servers)
    for one in servers:
        drive.answers(one, LEVEL, long)
    await drive.drives(30000)
    counts = [len(drive.asked_at(LEVEL, one)) for one in servers]
    assert max(counts) - min(counts) <= 2
    assert sum(counts) >= 80
    for i, time in enumerate(drive.times):
        assert len([t for t in drive.times[i:] if t < time + 1000]) <= 10


async def test_condition_holds_a_request_back():
    engine = server()
    engine.ecu.safe = ("charging",)
    states = scheduled("engine", LEVEL, 1000, states=("charging",)), scheduled("engine", SPEED, 1000)
    drive = Drive(states, engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    drive.start()
    await drive.runs(4900)
    assert (len(drive.asked_at(SPEED)), len(drive.asked_at(LEVEL))) == (5, 0)
    drive.vehicle = "charging"
    await drive.runs(4900)
    assert (len(drive.asked_at(SPEED)), len(drive.asked_at(LEVEL))) == (5, 5)
    await drive.stop()
    assert drive.guard.refused == {}


async def test_peers_alarm_of_a_locked_car_nothing_is_tried_until_it_wakes():
    engine = server()
    drive = Drive([scheduled("engine", SPEED, 1000)], engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.vehicle = "locked"
    drive.start()
    await drive.runs(60000)
    assert (drive.asked, drive.guard.refused) == ([], {})
    drive.vehicle = "awake"
    await drive.runs(1000)
    assert len(drive.asked) == 1
    await drive.stop()


async def test_goes_on_after_days_asleep_though_ticks_have_wrapped():
    engine = server()
    drive = Drive([scheduled("engine", SPEED, 1000), scheduled("engine", RPM, 3 * HOUR)], engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.answers(engine, RPM, RPM_TOLD)
    drive.start()
    await drive.runs(3000)
    drive.vehicle = "asleep"
    for _ in range(8 * 24):  # 2^29 ms are six days
        drive.time.now += HOUR
        drive.guard.unmute()  # its heartbeat does not pass by hours
        drive.guard.watch(1, 0)
        drive.isotp.take(b"", 0)
        await drive.runs(10)
    drive.vehicle = "awake"
    before = len(drive.asked_at(SPEED)), len(drive.asked_at(RPM))
    await drive.runs(4900)
    assert (len(drive.asked_at(SPEED)), len(drive.asked_at(RPM))) == (before[0] + 5, before[1] + 1)
    await drive.stop()


async def test_gate_that_is_shut_is_tried_now_and_then_and_counts_nothing_against_the_ecu():
    engine = server()
    drive = Drive([scheduled("engine", SPEED, 100)], engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.guard.mute("owner")
    drive.start()
    await drive.runs(60000)
    assert 25 <= drive.guard.refused["muted"] <= 31
    assert (drive.told, drive.poller.status()["failed"]) == ([], 0)
    drive.guard.unmute()
    await drive.runs(2200)
    assert drive.poller.status()["answered"] > 0
    await drive.stop()


async def test_what_is_not_supported_is_dropped_after_three_tries_and_told():
    for nrc in 0x11, 0x12, 0x31:
        engine = server()
        drive = Drive([scheduled("engine", LEVEL, 500), scheduled("engine", SPEED, 500)], engine)
        drive.answers(engine, LEVEL, bytes((0x7F, 0x22, nrc)))
        drive.answers(engine, SPEED, SPEED_TOLD)
        await drive.drives(10000)
        assert len(drive.asked_at(LEVEL)) == 3
        assert len(drive.asked_at(SPEED)) >= 19
        assert drive.told == [("unsupported", "engine 220101: negative %02x" % nrc)]
        assert (drive.poller.status()["dropped"], drive.poller.status()["failed"]) == (1, 3)


async def test_refusal_that_passes_drops_nothing():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.start()
    for payload in (b"\x7f\x22\x31", LEVEL_TOLD) * 4:
        drive.answers(engine, LEVEL, payload)
        await drive.runs(1500)
    await drive.stop()
    assert (drive.told, drive.poller.status()["dropped"]) == ([], 0)


async def test_answer_longer_than_there_is_room_for_is_dropped_and_told():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.answers(engine, LEVEL, b"\x62\x01\x01" + bytes(600))
    await drive.drives(10000)
    assert drive.told == [("unsupported", "engine 220101: buffer_overflow")]
    assert len(drive.asked_at(LEVEL)) == 3


async def test_what_was_dropped_has_its_chance_in_the_next_drive_and_is_told_once():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 500)], engine)
    drive.answers(engine, LEVEL, b"\x7f\x22\x31")
    drive.start()
    for _ in range(3):
        await drive.runs(5000)
        drive.vehicle = "asleep"
        await drive.runs(1000)
        drive.vehicle = "awake"
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    await drive.runs(2000)
    await drive.stop()
    assert len(drive.told) == 1
    assert drive.poller.status()["dropped"] == 0
    assert drive.puts


async def test_silence_is_asked_ever_more_rarely_and_recovers():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 2000), scheduled("engine", SPEED, 20000)], engine)
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.start()
    await drive.runs(900000)
    gaps = steps(drive.asked_at(LEVEL))
    assert all([gaps[i + 1] >= gaps[i] - 100 for i in range(len(gaps) - 1)])
    assert 300000 <= gaps[-1] <= 302000
    assert len(gaps) < 16
    assert drive.told == [("unanswered", "engine 220101: no_answer")]
    assert drive.poller.status()["rare"] == 1
    assert len(drive.asked_at(SPEED)) >= 44
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    await drive.runs(302000)
    asked = len(drive.asked_at(LEVEL))
    await drive.runs(20000)
    await drive.stop()
    assert len(drive.asked_at(LEVEL)) >= asked + 9
    assert drive.poller.status()["rare"] == 0


async def test_vehicle_that_wakes_up_is_asked_at_once_though_it_was_silent():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 2000)], engine)
    drive.start()
    await drive.runs(900000)
    drive.vehicle = "asleep"
    await drive.runs(1000)
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    drive.vehicle = "awake"
    asked = len(drive.asked_at(LEVEL))
    await drive.runs(9900)
    await drive.stop()
    assert len(drive.asked_at(LEVEL)) == asked + 5


async def test_windows_of_an_answer_become_slots_as_of_a_bus():
    engine = server()
    windows = (0x800, 3, 0x801, 11, 0x802, 13, 0x803, 15, 0x804, 40)
    drive = Drive([scheduled("engine", LEVEL, 10000, windows=windows)], engine)
    drive.answers(engine, LEVEL, b"\x62\x01\x01" + bytes(range(1, 13)))
    await drive.drives(1000)
    assert drive.puts == [
        (0x800, 8, bytes(range(1, 9))), (0x801, 4, bytes((9, 10, 11, 12, 0, 0, 0, 0))),
        (0x802, 2, bytes((11, 12, 0, 0, 0, 0, 0, 0))),
    ]  # fmt: skip
    assert drive.poller.status()["short"] == 2


async def test_more_windows_than_are_given_at_a_time():
    engine = server()
    windows = [n for k in range(20) for n in (0x800 + k, 3 + k)]
    drive = Drive([scheduled("engine", LEVEL, 10000, windows=tuple(windows))], engine)
    drive.answers(engine, LEVEL, b"\x62\x01\x01" + bytes(range(40)))
    await drive.drives(1000)
    assert drive.puts == [(0x800 + k, 8, bytes(range(k, k + 8))) for k in range(20)]


async def test_slots_carry_the_tick_of_the_answer():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 10000)], engine)
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    drive.time.now = 0x10000000 + 5000
    drive.guard.open(drive)
    kept = []
    drive.poller._put = lambda slots, filled: kept.append(int.from_bytes(slots[4:8], "little") & 0x0FFFFFFF)
    await drive.drives(1000)
    assert len(kept) == 1
    assert 5000 < kept[0] < 6000


async def test_peers_cross_talk_between_pids_brings_no_value():
    engine = server()
    speed, rpm = scheduled("engine", SPEED, 1000, windows=(0x800, 2)), scheduled("engine", RPM, 1000, windows=(0x801, 2))
    drive = Drive([speed, rpm], engine)
    drive.answers(engine, SPEED, RPM_TOLD)  # each answered by the other's
    drive.answers(engine, RPM, SPEED_TOLD)
    await drive.drives(10000)
    assert drive.puts == []
    drive.answers(engine, SPEED, SPEED_TOLD)
    drive.answers(engine, RPM, RPM_TOLD)
    drive.vehicle = "unknown"
    drive.start()
    await drive.runs(500)
    drive.vehicle = "awake"
    await drive.runs(1000)
    await drive.stop()
    assert sorted(drive.puts)[:1] + sorted(drive.puts)[-1:] == [
        (0x800, 1, b"\x32" + bytes(7)), (0x801, 2, b"\x1a\xf8" + bytes(6)),
    ]  # fmt: skip


async def test_peers_state_leak_between_ecus_same_request_each_its_own_value():
    one, other = server(), server(0x7E1, 0x7E9)
    drive = Drive(
        [scheduled("engine", LEVEL, 1000, windows=(0x800, 3)), scheduled("battery", LEVEL, 1000, windows=(0x801, 3))], one, other
    )
    drive.answers(one, LEVEL, b"\x62\x01\x01" + bytes([0x11] * 20), 100)
    drive.answers(other, LEVEL, b"\x62\x01\x01\x22", 100)
    await drive.drives(5000)
    assert {put for put in drive.puts} == {(0x800, 8, bytes([0x11] * 8)), (0x801, 1, b"\x22" + bytes(7))}


async def test_peers_ecu_that_fails_leaves_nothing_to_the_next():
    one, other = server(), server(0x7E1, 0x7E9)
    drive = Drive([scheduled("engine", LEVEL, 500), scheduled("battery", LEVEL, 500)], one, other)
    drive.answers(one, LEVEL, b"\x7f\x22\x31")
    drive.answers(other, LEVEL, LEVEL_TOLD)
    await drive.drives(10000)
    assert drive.told == [("unsupported", "engine 220101: negative 31")]
    assert len(drive.asked_at(LEVEL, other)) >= 19


async def test_peers_out_of_range_value_is_flagged_and_corrupts_nothing():
    with open("/profile.bin", "wb") as f:
        f.write(pack([(0x800, [Signal(0, 8), Signal(8, 16), Signal(24, 8)])], limits=[RANGE]))
    profile = Profile("/profile.bin")
    values = Values(profile)
    table = Table(profile, values)
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000, windows=(0x800, 3))], engine)

    drive.poller._put = table.decode
    drive.answers(engine, LEVEL, b"\x62\x01\x01\x07\xff\xff\x09")
    await drive.drives(1000)
    values.judge.limits()
    assert (list(values.raw), list(values.quality)) == ([7, 0xFFFF, 9], [0, 1, 0])


async def test_cancelled_in_the_midst_of_an_answer_leaves_nothing_open():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.answers(engine, LEVEL, b"\x62\x01\x01" + bytes(30), 500)
    drive.start()
    await drive.runs(300)
    assert engine.is_open
    await drive.stop()
    assert (engine.is_open, engine.is_asked, engine.ecu.is_under_way) == (False, False, False)
    await drive.runs(1000)
    assert drive.puts == []
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    await drive.drives(3000)
    assert drive.puts


async def test_cancelled_and_started_again_at_once_as_the_supervisor_does():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.answers(engine, LEVEL, LEVEL_TOLD, 500)
    drive.start()
    await drive.runs(300)
    drive.task.cancel()
    drive.start()
    await drive.runs(5000)
    await drive.stop()
    assert len(drive.puts) >= 3
    assert drive.told == []


async def test_fault_in_what_takes_the_values_reaches_the_supervisor():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.answers(engine, LEVEL, LEVEL_TOLD)

    def put(slots, filled):
        raise MemoryError("planted")

    drive.poller._put = put
    drive.start()
    await drive.runs(1000)
    with raises(MemoryError):
        await drive.task


async def test_ecu_that_is_asked_by_hand_is_asked_again_afterwards():
    engine = server()
    drive = Drive([scheduled("engine", LEVEL, 1000)], engine)
    drive.answers(engine, LEVEL, LEVEL_TOLD)
    drive.answers(engine, SPEED, SPEED_TOLD, 900)
    by_hand = asyncio.create_task(drive.client.ask(engine, SPEED))
    await drive.runs(20)
    drive.start()
    await drive.runs(2000)
    await drive.stop()
    assert await by_hand == SPEED_TOLD
    assert len(drive.asked_at(LEVEL)) >= 1
    assert drive.poller.status()["failed"] == 0


async def test_ecu_with_a_long_interval_does_not_hold_up_the_others():
    rare, quick = server(), server(0x7E1, 0x7E9)
    rare.ecu.interval_ms = 10000
    drive = Drive([scheduled("engine", SPEED, 500), scheduled("battery", SPEED, 500)], rare, quick)
    drive.answers(rare, SPEED, SPEED_TOLD)
    drive.answers(quick, SPEED, SPEED_TOLD)
    await drive.drives(30000)
    assert len(drive.asked_at(SPEED, rare)) == 3
    assert len(drive.asked_at(SPEED, quick)) >= 58
    assert drive.guard.refused == {}
