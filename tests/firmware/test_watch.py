"""diag/watch: trouble codes that come after asking began mute the gate; those that were there before do not."""

from ecus import server
from pigtail.diag.watch import Codes
from schedules import Drive, scheduled

STORED, OBD, PENDING = b"\x19\x02\x0c", b"\x03", b"\x07"
LEVEL, LEVEL_TOLD = b"\x22\x01\x01", b"\x62\x01\x01\x64"
HEAD, P0420, U0100 = b"\x59\x02\xff", b"\x04\x20\x00\x08", b"\xc1\x00\x87\x0c"
MINUTE = 60000


def drive_of(*servers):
    """One ECU that is polled, and watched with the others."""
    drive = Drive([scheduled("engine", LEVEL, 1000, priority=5)], *servers, taking=Codes.requests)
    drive.answers(servers[0], LEVEL, LEVEL_TOLD)
    return drive


async def test_new_code_mutes_and_is_named():
    engine, battery = server(), server(0x7E4, 0x7EC)
    drive = drive_of(engine, battery)
    drive.answers(engine, STORED, HEAD + P0420)
    drive.answers(battery, STORED, HEAD)
    drive.start()
    await drive.runs(3 * MINUTE)
    assert (drive.muted, drive.told) == ([], [])
    assert 3 <= len(drive.asked_at(STORED, engine)) <= 4
    drive.answers(battery, STORED, HEAD + U0100)
    await drive.runs(MINUTE + 1000)
    assert drive.muted == ["dtc"]
    assert drive.told == [("dtc", "battery U0100-87")]
    asked = drive.all_asked()
    await drive.runs(MINUTE)
    assert drive.all_asked() == asked
    drive.guard.unmute()
    await drive.runs(3 * MINUTE)
    await drive.stop()
    assert drive.muted == ["dtc"]


async def test_codes_are_asked_for_before_all_else():
    engine = server()
    drive = drive_of(engine)
    drive.answers(engine, STORED, HEAD)
    await drive.drives(5000)
    assert [request for _, _, request in drive.asked[:2]] == [STORED, LEVEL]


async def test_code_whose_status_changes_is_no_new_one_nor_is_one_that_was_away():
    engine = server()
    drive = drive_of(engine)
    drive.start()
    for codes in P0420 + U0100, b"\x04\x20\x00\x2f", b"", U0100, P0420:
        drive.answers(engine, STORED, HEAD + codes)
        await drive.runs(MINUTE)
    await drive.stop()
    assert drive.muted == []


def obd_drive(stored, pending):
    """One ECU that has no UDS for codes; `pending` None: nor OBD's 07."""
    engine = server()
    drive = drive_of(engine)
    drive.answers(engine, STORED, b"\x7f\x19\x11")
    drive.answers(engine, OBD, stored)
    drive.answers(engine, PENDING, pending or b"\x7f\x07\x11")
    drive.start()
    return drive, engine


async def test_obd_is_asked_where_uds_is_not_supported():
    for ids, refusal in ((), b"\x7f\x19\x11"), ((), None), ((0x18DA10F1, 0x18DAF110), b"\x7f\x19\x11"):
        engine = server(*ids)
        drive = drive_of(engine)
        if refusal:
            drive.answers(engine, STORED, refusal)
        drive.answers(engine, OBD, b"\x43\x01\x04\x20")
        drive.answers(engine, PENDING, b"\x47\x00")
        drive.start()
        await drive.runs(3 * MINUTE)
        assert len(drive.asked_at(STORED)) == (1 if refusal else 3)
        asked = [request for _, _, request in drive.asked]
        assert asked[asked.index(OBD) - 1 : asked.index(OBD) + 2] == [STORED, OBD, PENDING]
        assert drive.muted == []
        drive.answers(engine, OBD, b"\x43\x02\x04\x20\xc1\x00")
        await drive.runs(MINUTE + 1000)
        await drive.stop()
        assert (drive.muted, drive.told) == (["dtc"], [("dtc", "engine U0100")])


async def test_obd_tells_what_was_there_before_anything_else_is_asked_pending_or_stored():
    drive, _ = obd_drive(b"\x43\x00", b"\x47\x01\x04\x20")
    await drive.runs(3 * MINUTE + 30_000)
    await drive.stop()
    assert [request for _, _, request in drive.asked[:4]] == [STORED, OBD, PENDING, LEVEL]
    assert len(drive.asked_at(OBD)) == len(drive.asked_at(PENDING)) == 4, "both once a minute"
    assert drive.muted == []


async def test_pending_code_that_is_new_mutes():
    drive, engine = obd_drive(b"\x43\x01\x04\x20", b"\x47\x00")
    await drive.runs(MINUTE)
    drive.answers(engine, PENDING, b"\x47\x01\x01\x71")
    await drive.runs(MINUTE + 1000)
    await drive.stop()
    assert (drive.muted, drive.told) == (["dtc"], [("dtc", "engine P0171")])


async def test_pending_code_that_is_stored_later_is_no_new_one():
    drive, engine = obd_drive(b"\x43\x00", b"\x47\x01\x04\x20")
    await drive.runs(MINUTE)
    drive.answers(engine, OBD, b"\x43\x01\x04\x20")
    drive.answers(engine, PENDING, b"\x47\x00")
    await drive.runs(2 * MINUTE)
    await drive.stop()
    assert drive.muted == []


async def test_obd_ecu_without_pending_codes_is_watched_by_the_stored_ones_and_says_so():
    drive, engine = obd_drive(b"\x43\x01\x04\x20", None)
    await drive.runs(3 * MINUTE)
    assert (len(drive.asked_at(PENDING)), drive.told, drive.muted) == (1, [("unsupported", "engine 07: only 03")], [])
    assert 3 <= len(drive.asked_at(OBD)) <= 5
    drive.answers(engine, OBD, b"\x43\x02\x04\x20\xc1\x00")
    await drive.runs(MINUTE + 1000)
    await drive.stop()
    assert drive.muted == ["dtc"]


async def test_code_that_comes_while_pending_ones_are_not_answered_mutes():
    drive, engine = obd_drive(b"\x43\x00", b"\x47\x00")
    del drive.replies[engine.ecu.tx_id, PENDING]
    await drive.runs(5000)
    drive.answers(engine, OBD, b"\x43\x01\x04\x20")
    await drive.runs(30_000)
    await drive.stop()
    assert len(drive.asked_at(PENDING)) == 3
    assert (drive.muted, drive.told) == (["dtc"], [("unsupported", "engine 07: only 03"), ("dtc", "engine P0420")])


async def test_codes_are_watched_in_every_state_in_which_the_ecu_is_asked_and_in_no_other():
    engine, battery = server(), server(0x7E4, 0x7EC)
    engine.ecu.safe = battery.ecu.safe = ("charging", "locked")
    rows = [scheduled("battery", LEVEL, 1000, states=("awake", "charging")), scheduled("battery", LEVEL, 5000)]
    drive = Drive(rows, engine, battery, taking=Codes.requests)
    drive.answers(battery, LEVEL, LEVEL_TOLD)
    for one in engine, battery:
        drive.answers(one, STORED, HEAD)
    drive.vehicle = "charging"
    drive.start()
    await drive.runs(MINUTE - 5000)
    assert (len(drive.asked_at(STORED, battery)), drive.asked_at(STORED, engine)) == (1, [])
    drive.answers(battery, STORED, HEAD + U0100)
    await drive.runs(10_000)
    assert drive.muted == ["dtc"]
    drive.guard.unmute()
    asked = len(drive.asked_at(STORED, battery))
    drive.vehicle = "locked"
    await drive.runs(2 * MINUTE)
    assert len(drive.asked_at(STORED, battery)) == asked
    drive.vehicle = "awake"
    await drive.runs(1000)
    await drive.stop()
    assert (len(drive.asked_at(STORED, battery)), len(drive.asked_at(STORED, engine))) == (asked + 1, 1)


async def test_ecu_that_has_neither_is_not_watched_and_says_so():
    engine, door = server(), server(0x18DB40F1, 0x18DBF140)
    drive = drive_of(engine, door)
    drive.answers(engine, STORED, b"\x7f\x19\x11")
    drive.answers(engine, OBD, b"\x7f\x03\x11")
    drive.answers(door, STORED, b"\x7f\x19\x12")
    await drive.drives(5 * MINUTE)
    assert sorted(drive.told) == [
        ("unsupported", "battery 19020c: negative 12"), ("unsupported", "engine 03: negative 11"),
    ]  # fmt: skip
    assert (len(drive.asked_at(STORED)), len(drive.asked_at(STORED, door))) == (1, 1)
    assert len(drive.asked_at(OBD)) == 1
    assert drive.poller.status()["dropped"] == 2
    assert len(drive.asked_at(LEVEL)) >= 299


async def test_answer_that_is_none_of_codes_is_not_taken_for_a_new_one():
    engine = server()
    drive = drive_of(engine)
    drive.answers(engine, STORED, HEAD)
    drive.start()
    await drive.runs(MINUTE)
    drive.answers(engine, STORED, HEAD + P0420[:3])
    await drive.runs(2 * MINUTE)
    await drive.stop()
    assert drive.muted == []


async def test_ecu_that_falls_silent_and_comes_back_with_a_code_mutes():
    engine = server()
    drive = drive_of(engine)
    drive.answers(engine, STORED, HEAD)
    drive.answers(engine, OBD, b"\x43\x00")
    drive.answers(engine, PENDING, b"\x47\x00")
    drive.start()
    await drive.runs(3 * MINUTE)
    replies, drive.replies = drive.replies, {}
    await drive.runs(2 * MINUTE)
    drive.replies = replies
    drive.answers(engine, STORED, HEAD + P0420)
    drive.answers(engine, OBD, b"\x43\x01\x04\x20")
    assert drive.muted == []
    await drive.runs(10 * MINUTE)
    await drive.stop()
    assert drive.muted == ["dtc"]


async def test_nothing_is_asked_of_an_ecu_before_its_codes_are_known():
    engine = server()
    drive = drive_of(engine)
    drive.answers(engine, LEVEL, b"\x62\x01\x01\x07")
    drive.start()
    await drive.runs(4000)
    assert drive.asked and not drive.asked_at(LEVEL, engine)
    drive.answers(engine, STORED, HEAD + P0420)
    await drive.runs(MINUTE)
    await drive.stop()
    assert drive.asked_at(LEVEL, engine) and drive.muted == []
