"""diag/uds: requests through the real gate, the answers that belong to them, and those that do not."""

from ecus import CONTINUE, EXTENDED, Asked, Bench, ecu, segmented, server
from pigtail.diag import uds

VIN = b"\x62\xf1\x90" + bytes(range(48, 65))
READ_VIN = b"\x22\xf1\x90"


async def asked(bench, e, request=READ_VIN):
    """The request is on its way."""
    task = Asked(bench.client.ask(e, request))
    await bench.runs(5)
    return task


async def answered(bench, e, *messages, request=READ_VIN):
    """What comes of a request that is answered by these messages."""
    task = await asked(bench, e, request)
    for message in messages:
        bench.hears(e.rx_id, *segmented(message))
    await bench.runs(10)
    return task.outcome


async def test_answer_and_negative_answer():
    e = server()
    bench = Bench(e)
    assert await answered(bench, e, VIN) == VIN
    assert bench.sent == [(0x7E0, b"\3\x22\xf1\x90\0\0\0\0"), (0x7E0, CONTINUE)]
    await bench.runs(100)
    assert await answered(bench, e, b"\x7f\x22\x31") == ("negative", 0x31)
    assert bench.counted() == {}
    assert (e.is_open, e.ecu.is_under_way) == (False, False)


async def test_answer_shorter_than_what_it_has_to_repeat():
    e = server()
    assert await answered(Bench(e), e, b"\x62\xf1") == ("form", 0)


async def test_requests_are_framed_for_each_addressing():
    for e, frame in (
        (server(0x18DA10F1, 0x18DAF110, pad=0x55), (0x18DA10F1 | EXTENDED, b"\3\x22\xf1\x90\x55\x55\x55\x55")),
        (server(0x6F1, 0x607, 7, 0xF1), (0x6F1, b"\7\3\x22\xf1\x90\0\0\0")),
    ):
        bench = Bench(e)
        await asked(bench, e)
        assert bench.sent == [frame]
        await bench.runs(1100)


async def test_request_that_does_not_fit_a_single_frame_is_refused():
    for e, size in (server(), 8), (server(0x6F1, 0x607, 7, 0xF1), 7):
        bench = Bench(e)
        task = await asked(bench, e, b"\x22" + bytes(size - 1))
        assert task.outcome == ("form", 0)
        assert (bench.sent, e.is_open) == ([], False)


async def test_what_the_gate_refuses_fails_with_its_reason():
    e = server()
    bench = Bench(e)
    task = await asked(bench, e, b"\x11\x01")
    assert task.outcome == ("service", 0)
    assert not e.is_open
    first = await asked(bench, e)
    assert (await asked(bench, e)).outcome == ("under_way", 0)
    bench.hears(0x7E8, *segmented(VIN))
    await bench.runs(10)
    assert first.outcome == VIN


async def test_what_the_gate_refuses_for_a_while_is_asked_again_for_two_seconds():
    e = server()
    bench = Bench(e)
    await answered(bench, e, VIN)
    task = await asked(bench, e)
    await bench.runs(150)
    assert [data[0] for _, data in bench.sent] == [3, 0x30, 3]
    bench.hears(0x7E8, *segmented(VIN))
    await bench.runs(10)
    assert task.outcome == VIN
    tried = bench.refuses("queue")
    task = await asked(bench, e)
    await bench.runs(1980)
    assert task.outcome is None
    await bench.runs(30)
    assert task.outcome == ("queue", 0)
    assert len(tried) == 40


async def test_no_answer():
    e = server(answer_ms=300)
    bench = Bench(e)
    task = await asked(bench, e)
    await bench.runs(290)
    assert task.outcome is None
    await bench.runs(15)
    assert task.outcome == ("no_answer", 0)
    assert e.ecu.is_under_way is False


async def test_peers_response_pending_comes_before_the_reply_once_or_many_times():
    for times in 1, 2, 20:
        e = server(answer_ms=100)
        bench = Bench(e)
        task = await asked(bench, e)
        for _ in range(times):
            bench.hears(0x7E8, b"\x03\x7f\x22\x78\xaa\xaa\xaa\xaa")
            await bench.runs(400)
        assert task.outcome is None
        bench.hears(0x7E8, *segmented(VIN))
        await bench.runs(10)
        assert task.outcome == VIN
        assert len(bench.sent) == 2
        assert bench.counted() == {}


async def test_identifier_that_looks_like_a_response_pending_is_none():
    e = server()
    answer = b"\x62\xf1\x78\x01"
    assert await answered(Bench(e), e, answer, request=b"\x22\xf1\x78") == answer


async def test_peers_response_pending_and_reply_in_one_read():
    e = server()
    bench = Bench(e)
    assert await answered(bench, e, b"\x7f\x22\x78", b"\x7f\x22\x78", VIN) == VIN


async def test_response_pending_without_end_is_given_up_before_the_gate_forgets():
    e = server(answer_ms=100)
    bench = Bench(e)
    task = await asked(bench, e)
    for _ in range(98):
        bench.hears(0x7E8, b"\x03\x7f\x22\x78")
        await bench.runs(100)
        assert task.outcome is None
    await bench.runs(100)
    assert task.outcome == ("no_answer", 0)
    assert len(bench.sent) == 1


async def test_response_pending_and_then_nothing():
    e = server(answer_ms=100)
    bench = Bench(e)
    task = await asked(bench, e)
    bench.hears(0x7E8, b"\x03\x7f\x22\x78")
    await bench.runs(4980)
    assert task.outcome is None
    await bench.runs(30)
    assert task.outcome == ("no_answer", 0)


async def test_busy_server_is_asked_again_three_times_in_all():
    for times, outcome in (1, VIN), (2, VIN), (3, ("negative", 0x21)):
        e = server()
        bench = Bench(e)
        task = await asked(bench, e)
        for n in range(times):
            assert len(bench.sent) == n + 1
            bench.hears(0x7E8, b"\x03\x7f\x22\x21")
            await bench.runs(250)
        if times < 3:
            bench.hears(0x7E8, *segmented(VIN))
            await bench.runs(10)
        assert task.outcome == outcome
        assert len([1 for _, data in bench.sent if data[1] == 0x22]) == min(3, times + 1)


async def test_fault_37_answer_of_32_bits_is_known_by_what_it_begins_with():
    for rx_prefix in None, 0xF1:
        for begin, code in (b"\x62\xf1", "buffer_overflow"), (b"\x59\xf1", "no_answer"):
            e = server(0x6F1, 0x607, rx_prefix and 7, rx_prefix)
            back = bytes([rx_prefix]) if rx_prefix else b""
            bench = Bench(e)
            task = await asked(bench, e)
            bench.hears(e.rx_id, (back + b"\x10\0\0\0\x20\0" + begin)[:8])
            await bench.runs(1010)
            assert task.outcome == (code, 0)
            assert (len(bench.sent) == 2) == (code == "buffer_overflow"), "it is told that it is too long"


async def test_fault_41_answers_to_other_requests_are_dropped_and_counted():
    e = server()
    bench = Bench(e)
    task = await asked(bench, e)
    for other in (
        b"\x62\xf1\x91\x01", b"\x41\x0c\x1a\xf8", b"\x7f\x19\x31", b"\x7f\x22", b"\x22\xf1\x90", b"\x7f\x22\x31\x00",
        b"\xc2\xf1\x90",
    ):  # fmt: skip
        bench.hears(0x7E8, *segmented(other))
    bench.hears(0x7E8, *segmented(b"\x62\xf1\x91" + bytes(30)))
    bench.hears(0x7E8, *segmented(b"\x7f\x22\x31" + bytes(30)))
    assert len(bench.sent) == 1, "a flow control for an answer that nobody asked for"
    bench.hears(0x7E8, *segmented(VIN))
    await bench.runs(10)
    assert task.outcome == VIN
    assert bench.counted() == {"unmatched": 9, "consecutive": 8}


async def test_fault_41_answer_after_its_time_is_not_the_next_requests():
    e = server(answer_ms=200)
    bench = Bench(e)
    late = await asked(bench, e)
    await bench.runs(200)
    assert late.outcome == ("no_answer", 0)
    task = await asked(bench, e, b"\x22\xf1\x8c")
    bench.hears(0x7E8, *segmented(VIN))
    bench.hears(0x7E8, *segmented(b"\x62\xf1\x8c\x07"))
    await bench.runs(10)
    assert task.outcome == b"\x62\xf1\x8c\x07"
    assert bench.counted() == {"no_answer": 1, "unmatched": 1, "consecutive": 2}


async def test_other_answers_do_not_disturb_the_one_under_way():
    e = server()
    bench = Bench(e)
    task = await asked(bench, e)
    frames = segmented(VIN)
    bench.hears(0x7E8, frames[0], b"\x03\x7f\x19\x31", frames[1], *segmented(b"\x59" + bytes(20))[:1])
    bench.hears(0x7E8, frames[2])
    await bench.runs(10)
    assert task.outcome == VIN
    assert bench.counted() == {"unmatched": 2}


async def test_answer_that_is_lost_on_the_way_fails_with_the_reason():
    e = server()
    bench = Bench(e)
    task = await asked(bench, e)
    frames = segmented(VIN)
    bench.hears(0x7E8, frames[0], frames[2])
    await bench.runs(10)
    assert task.outcome == ("wrong_sn", 0)
    assert len(bench.isotp._pool) == 2
    await bench.runs(100)
    task = await asked(bench, e)
    bench.hears(0x7E8, frames[0], frames[1])
    await bench.runs(1100)
    assert task.outcome == ("timeout_cr", 0)


async def test_functional_request_with_all_sorts_of_answers():
    everyone = ecu(0x7DF, functional=True)
    servers = [server(0x7E0 + n, 0x7E8 + n, answer_ms=200) for n in range(6)]
    bench = Bench(*servers, functional=everyone)
    task = Asked(bench.client.ask_all(everyone, servers, b"\x09\x02"))
    await bench.runs(5)
    vin = b"\x49\x02\x01" + VIN[3:]
    for n, message in (0, vin), (1, b"\x7f\x09\x12"), (2, b"\x7f\x09\x78"), (4, b"\x49\x04\x01"), (5, vin):
        bench.hears(0x7E8 + n, *segmented(message))
    await bench.runs(210)
    assert task.outcome is None, "one of them has asked for time"
    bench.hears(0x7EA, *segmented(vin))
    await bench.runs(10)
    told = [answer if isinstance(answer, bytes) else str(answer) for answer in task.outcome]
    assert told == [vin, "negative 12", vin, "no_answer", "no_answer", vin]
    assert [to for to, _ in bench.sent] == [0x7DF, 0x7E0, 0x7E5, 0x7E2]
    assert bench.counted() == {"unmatched": 1, "no_answer": 2}
    assert everyone.is_under_way is False
    assert len(bench.isotp._pool) == 2


async def test_two_servers_are_asked_at_the_same_time():
    a, b = server(0x7E0, 0x7E8), server(0x7E1, 0x7E9)
    bench = Bench(a, b)
    first, second = await asked(bench, a), await asked(bench, b)
    bench.hears(0x7E9, *segmented(VIN + b"b"))
    bench.hears(0x7E8, *segmented(VIN + b"a"))
    await bench.runs(10)
    assert (first.outcome, second.outcome) == (VIN + b"a", VIN + b"b")


async def test_request_that_is_cancelled_leaves_nothing_behind():
    e = server()
    bench = Bench(e)
    task = await asked(bench, e)
    bench.hears(0x7E8, segmented(VIN)[0])
    task._task.cancel()
    await bench.runs(10)
    assert (e.is_open, e.ecu.is_under_way, len(bench.isotp._pool)) == (False, False, 2)


async def test_tester_present_with_and_without_an_answer():
    e = server()
    bench = Bench(e)
    assert await answered(bench, e, b"\x7e\x00", request=b"\x3e\x00") == b"\x7e\x00"
    await bench.runs(100)
    bench.client.tell(e, b"\x3e\x80")
    assert bench.sent[1:] == [(0x7E0, b"\2\x3e\x80\0\0\0\0\0")]
    await bench.runs(100)
    assert await answered(bench, e, VIN) == VIN, "it is not under way any more"


def test_what_an_answer_begins_with():
    for request, begins in (
        ("010c", "410c"), ("010c0d", "41"), ("020c00", "420c00"), ("020c000d00", "42"), ("03", "43"), ("0601", "4601"),
        ("060102", "46"), ("0902", "4902"), ("190201", "5902"), ("1904012300ff", "5904"), ("22f190", "62f190"),
        ("22f190f18c", "62"), ("2101", "6101"), ("210155", "6101"), ("1a90", "5a90"), ("1800ff00", "58"), ("3e00", "7e00"),
        ("1003", "5003"), ("14ffffff", "54"), ("04", "44"),
    ):  # fmt: skip
        assert uds.answer_to(bytes.fromhex(request)).hex() == begins


async def test_no_request_is_sent_whose_answer_might_lack_a_flow_control():
    servers = [server(0x700 + 2 * n, 0x701 + 2 * n) for n in range(8)]
    bench = Bench(*servers)
    tasks = [Asked(bench.client.ask(e, READ_VIN)) for e in servers]
    await bench.runs(100)
    assert len(bench.sent) == 4, "the answers to these may need four flow controls"
    heard = 0
    for _ in range(400):
        await bench.runs(10)
        for tx, data in bench.sent[heard:]:
            frames = segmented(VIN)
            bench.hears(tx + 1, *(frames[:1] if data[0] == 3 else frames[1:]))
            heard += 1
        if None not in [task.outcome for task in tasks]:
            break
    assert [task.outcome for task in tasks] == [VIN] * 8
    assert bench.guard.refused == {}
    assert bench.counted() == {}


async def test_answers_of_one_frame_are_had_at_nine_a_second():
    e = server()
    e.ecu.interval_ms = 0
    bench = Bench(e)
    heard = 0
    for _ in range(20):
        task = await asked(bench, e)
        while len(bench.sent) == heard:
            await bench.runs(10)
        bench.hears(0x7E8, b"\x04\x62\xf1\x90\x01")
        heard += 1
        await bench.runs(10)
        assert task.outcome == b"\x62\xf1\x90\x01"
    assert len([time for time in bench.times if time < bench.times[0] + 1000]) == 9
    assert bench.guard.refused == {}
