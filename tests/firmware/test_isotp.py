"""diag/isotp: answers from their frames, through the real gate, and what is wrong with frames."""

import gc
import micropython
from ecus import CONTINUE, EXTENDED, Bench, channel, ecu, failure, segmented, slots
from fakes import Time
from pigtail.diag import isotp

VIN = b"\x62\xf1\x90" + bytes(range(17))
OVERFLOW = b"\x32\0\0\0\0\0\0\0"
WAIT = b"\x31\0\0\0\0\0\0\0"


def test_single_frame_padded_or_not():
    for pad in None, 0xAA:
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        bench.hears(0x7E8, *segmented(b"\x62\xf1\x90\x01", pad=pad))
        assert e.payload() == b"\x62\xf1\x90\x01"
    assert bench.counted() == {}
    assert bench.sent == []


def test_every_length_of_message():
    for length in list(range(1, 24)) + [62, 63, 64, 118, 119, 120, 511, 512]:
        payload = bytes([i * 7 & 0xFF for i in range(length)])
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        bench.hears(0x7E8, *segmented(payload, pad=0 if length & 1 else None))
        assert e.payload() == payload
        assert bench.sent == ([(0x7E0, CONTINUE)] if length > 7 else [])
        assert bench.counted() == {}


def test_addressing_extended_mixed_and_normal_fixed():
    for tx, rx, prefix, rx_prefix in (
        (0x6F1, 0x607, 0x07, 0xF1), (0x750, 0x758, 0x2A, 0x2A), (0x18CE10F1, 0x18CEF110, 0x55, 0x55),
        (0x18DA10F1, 0x18DAF110, None, None), (0x17FC0076, 0x17FE0076, None, None),
    ):  # fmt: skip
        key, to = (rx | EXTENDED, tx | EXTENDED) if tx > 0x7FF else (rx, tx)
        front, back = [b"" if p is None else bytes([p]) for p in (prefix, rx_prefix)]
        for length in 1, 5, 6, 7, 8, 12, 13, 200:
            payload = bytes(range(1, length + 1))
            e = channel(tx, rx, prefix, rx_prefix)
            bench = Bench(e)
            bench.asks(e, b"\x22\xf1\x90")
            bench.hears(key, *segmented(payload, back))
            assert e.payload() == payload
            assert bench.sent == ([(to, (front + CONTINUE)[:8])] if length + len(back) > 7 else [])


def test_the_same_id_with_two_prefixes_is_two_ecus():
    a, b = channel(0x7A0, 0x758, 0x2A, 0x2A), channel(0x7A1, 0x758, 0x2B, 0x2B)
    bench = Bench(a, b)
    bench.asks(a)
    bench.asks(b)
    bench.hears(0x758, b"\x2b\x01\x62", b"\x2c\x01\x63", b"\x2a\x01\x61")
    assert (a.payload(), b.payload()) == (b"\x61", b"\x62")


def test_an_id_of_29_bits_is_not_the_same_one_of_11():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    bench.hears(0x7E8 | EXTENDED, b"\x01\x62")
    assert not e.is_over
    assert bench.counted() == {}


def test_peers_response_ids_are_not_always_request_plus_8():
    for offset in 0x08, 0x20, 0x6A, -0x10:
        e = channel(0x710, 0x710 + offset)
        bench = Bench(e)
        bench.asks(e)
        bench.hears(0x710 + offset, *segmented(VIN))
        assert e.payload() == VIN
        assert bench.sent == [(0x710, CONTINUE)]


def test_what_is_asked_of_the_ecu_and_how_frames_are_filled():
    e = channel(block_size=3, st_min=0xF5, pad=0xCC)
    bench = Bench(e)
    bench.asks(e)
    frames = segmented(bytes(60))
    bench.hears(0x7E8, *frames[:3])
    flow = (0x7E0, b"\x30\x03\xf5\xcc\xcc\xcc\xcc\xcc")
    assert bench.sent == [flow]
    bench.hears(0x7E8, frames[3])
    assert bench.sent == [flow], "the third of a block"
    bench.passes(250)
    assert bench.sent == [flow, flow]
    bench.hears(0x7E8, *frames[4:7])
    bench.passes(250)
    bench.hears(0x7E8, *frames[7:])
    assert bench.sent == [flow] * 3
    assert e.payload() == bytes(60)


def test_blocks_at_four_flow_controls_a_second():
    e = channel(block_size=1)
    bench = Bench(e)
    bench.asks(e)
    frames = segmented(bytes(range(60)))
    heard = 0
    for _ in range(300):
        if heard < len(bench.sent) + 1 and heard < len(frames):
            bench.hears(0x7E8, frames[heard])
            heard += 1
        bench.passes(10)
    assert e.payload() == bytes(range(60))
    assert len(bench.sent) == 8
    assert bench.counted() == {}


def test_peers_reply_split_across_reads():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    for frame in segmented(VIN):
        assert not e.is_over
        bench.hears(0x7E8, frame)
        bench.passes(900)
    assert e.payload() == VIN


def test_peers_flow_control_goes_to_the_physical_id_after_a_functional_request():
    all_of_them = ecu(0x7DF, functional=True)
    a, b, c = channel(0x7E2, 0x7EA), channel(0x7E4, 0x7EC), channel(0x7E5, 0x7ED)
    bench = Bench(a, b, c, functional=all_of_them)
    for e in a, b, c:
        bench.isotp.open(e, 1000)
    assert bench.guard.send(0x7DF, False, b"\x02\x09\x04\0\0\0\0\0") == ""
    second, third = segmented(VIN), segmented(VIN + VIN)
    bench.hears(0x7ED, third[0])
    bench.hears(0x7EC, second[0])
    bench.hears(0x7EA, b"\x04\x49\x04\x01\0\0\0\0")
    assert bench.sent[1:] == [(0x7E5, CONTINUE), (0x7E4, CONTINUE)]
    for i in range(1, 6):
        bench.hears(0x7ED, third[i])
        if i < len(second):
            bench.hears(0x7EC, second[i])
    assert (a.payload(), b.payload(), c.payload()) == (b"\x49\x04\x01\0", VIN, VIN + VIN)


def test_peers_receive_timeout_is_not_refreshed_by_unrelated_frames():
    e, other = channel(), channel(0x7E1, 0x7E9)
    bench = Bench(e, other)
    bench.asks(e)
    frames = segmented(VIN)
    bench.hears(0x7E8, frames[0])
    for _ in range(10):
        assert not e.is_over
        bench.passes(100)
        bench.hears(0x123, b"\x21")
        bench.hears(0x7E9, frames[1])
        bench.hears(0x7E8, CONTINUE, b"\x40", b"", b"\x0f", b"\x10\x04")
    assert failure(e) == "timeout_cr"
    assert bench.counted() == {"timeout_cr": 1, "consecutive": 10, "flow_control": 10, "pci": 10, "length": 30}


def test_peers_state_does_not_leak_from_one_ecu_to_the_next():
    a, b = channel(0x7E0, 0x7E8, block_size=2, st_min=20, pad=0x55), channel(0x6F1, 0x607, 7, 0xF1)
    bench = Bench(a, b)
    bench.asks(a)
    bench.hears(0x7E8, segmented(VIN)[0])
    bench.asks(b)
    bench.hears(0x607, *segmented(VIN[:12], b"\xf1"))
    assert bench.sent == [(0x6F1, b"\x07\x30\0\0\0\0\0\0")]
    assert b.payload() == VIN[:12]
    bench.hears(0x7E8, *segmented(VIN)[1:])
    assert a.payload() == VIN
    bench.isotp.close(a)
    bench.isotp.close(b)
    bench.guard.ended(a.ecu)
    bench.passes(1000)
    bench.asks(a)
    bench.hears(0x7E8, segmented(VIN)[2])
    assert bench.counted() == {"consecutive": 1}, "the sequence of the answer before went on"


def test_fault_37_single_frame_with_a_length_nibble_that_cannot_be():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    for first in [0] + list(range(8, 16)):
        bench.hears(0x7E8, bytes([first]) + b"\x62\xf1\x90\0\0\0\0")
    bench.hears(0x7E8, b"\x03\x62\xf1", b"\x07\x62\xf1\x90\0\0\0", b"\x01", b"")
    assert bench.counted() == {"length": 13}
    assert not e.is_over
    prefixed = channel(0x6F1, 0x607, 7, 0xF1)
    bench = Bench(prefixed)
    bench.asks(prefixed)
    for frame in b"\xf1\x07\x62\xf1\x90\0\0\0", b"\xf1\x06\x62\xf1\x90\0\0", b"\xf1", b"\xf1\0\x62":
        bench.hears(0x607, frame)
    assert bench.counted() == {"length": 4}


def test_fault_37_first_frame_below_8_or_0():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    for length in range(8):
        bench.hears(0x7E8, bytes([0x10, length]) + bytes(6))
    bench.hears(0x7E8, b"\x10\0\0\0\x0f\xff\x62\xf1", b"\x10\x14\x62\xf1\x90\0\0")
    assert bench.counted() == {"length": 10}
    assert (bench.sent, e.is_over) == ([], False)
    prefixed = channel(0x6F1, 0x607, 7, 0xF1)
    bench = Bench(prefixed)
    bench.asks(prefixed)
    for length in range(7):
        bench.hears(0x607, bytes([0xF1, 0x10, length]) + bytes(5))
    assert bench.counted() == {"length": 7}
    bench.hears(0x607, *segmented(bytes(7), b"\xf1"))
    assert prefixed.payload() == bytes(7)


def test_fault_37_first_frame_of_4095_or_513_is_refused_with_overflow():
    for length in 513, 514, 4094, 4095:
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        bench.hears(0x7E8, bytes([0x10 | length >> 8, length & 0xFF]) + bytes(6))
        assert failure(e) == "buffer_overflow"
        assert bench.sent == [(0x7E0, OVERFLOW)]
        bench.hears(0x7E8, b"\x21" + bytes(7))
        assert bench.counted() == {"buffer_overflow": 1, "consecutive": 1}


def test_fault_37_first_frame_of_32_bits_is_refused_with_overflow():
    for size in b"\0\0\x10\0", b"\0\x01\0\0", b"\xff\xff\xff\xff", b"\x80\0\0\x0f":
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        bench.hears(0x7E8, b"\x10\0" + size + b"\x62\xf1")
        assert failure(e) == "buffer_overflow"
        assert bench.sent == [(0x7E0, OVERFLOW)]


def test_fault_37_wrong_sequence_ends_the_answer():
    for wrong in (2, 0, 15), (1, 1), (1, 3), (1, 2, 2):
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        frames = segmented(VIN + VIN)
        bench.hears(0x7E8, frames[0])
        for n in wrong:
            bench.hears(0x7E8, bytes([0x20 | n]) + frames[1][1:])
        assert failure(e) == "wrong_sn"
        assert bench.counted()["wrong_sn"] == 1
        assert len(bench.isotp._pool) == 2


def test_fault_37_consecutive_frame_first_or_unasked():
    e = channel()
    bench = Bench(e)
    bench.hears(0x7E8, b"\x21" + bytes(7))
    bench.asks(e)
    bench.hears(0x7E8, b"\x21" + bytes(7), b"\x20" + bytes(7))
    assert bench.counted() == {"consecutive": 3}
    assert not e.is_over


def test_fault_37_short_consecutive_frame_is_no_part_of_the_answer():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    frames = segmented(VIN)
    bench.hears(0x7E8, frames[0], frames[1][:7], frames[1], frames[2][:-1], frames[2])
    assert e.payload() == VIN
    assert bench.counted() == {"length": 2}


def test_fault_37_flood_of_first_frames_gets_four_flow_controls_a_second():
    e = channel()
    bench = Bench(e)
    bench.asks(e, answer_ms=9900)
    first = segmented(VIN)[0]
    for _ in range(399):
        bench.hears(0x7E8, first, first, first)
        bench.passes(10)
    times = bench.times[1:]
    assert len(times) == 16
    assert max([len([t for t in times if start <= t < start + 1000]) for start in times]) == 4
    assert len(bench.isotp._pool) + (e.buffer is not None) == 2
    assert bench.counted() == {"interrupted": 1196}


def test_fault_37_flood_of_too_long_answers_gets_four_flow_controls_a_second():
    e = channel()
    bench = Bench(e)
    refused = []
    for _ in range(20):
        bench.asks(e)
        bench.hears(0x7E8, b"\x1f\xff" + bytes(6))
        refused += bench.sent
        bench.isotp.close(e)
        bench.guard.ended(e.ecu)
        bench.passes(200)
    assert refused == [(0x7E0, OVERFLOW)] * 16


def test_fault_38_flow_controls_of_an_ecu_are_counted_and_delay_nothing():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    for _ in range(100):
        assert not e.is_over
        bench.hears(0x7E8, WAIT, b"\x3f\0\0\0\0\0\0\0", b"\x30\0\xf9\0\0\0\0\0", b"\x30")
        bench.passes(10)
    assert failure(e) == "no_answer"
    assert bench.counted() == {"flow_control": 400, "no_answer": 1}
    assert bench.sent == []


def test_fault_41_answer_after_its_time_is_dropped():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    bench.passes(1000)
    assert failure(e) == "no_answer"
    bench.hears(0x7E8, b"\x03\x62\xf1\x90")
    bench.isotp.close(e)
    bench.hears(0x7E8, *segmented(VIN))
    assert bench.counted() == {"no_answer": 1, "unasked": 2, "consecutive": 2}
    assert bench.sent == []


def test_fault_41_answer_that_comes_twice_is_taken_once():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    bench.hears(0x7E8, b"\x04\x62\xf1\x90\x01", b"\x04\x62\xf1\x90\x02", *segmented(VIN))
    assert e.payload() == b"\x62\xf1\x90\x01"
    assert bench.counted() == {"unasked": 2, "consecutive": 2}


def test_fault_41_answer_at_another_offset_is_none():
    e, other = channel(0x7A0, 0x7A8), channel(0x7C0, 0x7C8)
    bench = Bench(e, other)
    bench.asks(e)
    bench.hears(0x7C0, b"\x01\x62")
    bench.hears(0x7C8, b"\x01\x62")
    bench.passes(1000)
    assert failure(e) == "no_answer"
    assert bench.counted() == {"no_answer": 1, "unasked": 1}


def test_a_new_answer_ends_the_one_that_is_under_way():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    bench.hears(0x7E8, segmented(VIN)[0], *segmented(VIN + b"!"))
    assert e.payload() == VIN + b"!"
    assert bench.counted() == {"interrupted": 1}
    assert len(bench.sent) == 2
    bench.isotp.close(e)
    assert len(bench.isotp._pool) == 2


def test_more_answers_than_buffers_wait_for_one():
    ecus = [channel(0x7E0 + n, 0x7E8 + n) for n in range(3)]
    bench = Bench(*ecus, buffers=1)
    for e in ecus:
        bench.asks(e)
    frames = segmented(VIN)
    for n in range(3):
        bench.hears(0x7E8 + n, frames[0])
    assert bench.sent == [(0x7E0, CONTINUE)]
    bench.passes(500)
    bench.hears(0x7E8, *frames[1:])
    bench.passes(290)
    assert bench.sent == [(0x7E0, CONTINUE)], "the buffer is taken until the answer is"
    assert ecus[0].payload() == VIN
    bench.isotp.close(ecus[0])
    bench.passes(10)
    assert bench.sent == [(0x7E0, CONTINUE), (0x7E1, CONTINUE), (0x7E2, WAIT)]
    bench.hears(0x7E9, *frames[1:])
    bench.isotp.close(ecus[1])
    bench.passes(10)
    assert bench.sent[3:] == [(0x7E2, CONTINUE)]
    bench.hears(0x7EA, *frames[1:])
    assert ecus[2].payload() == VIN
    assert bench.counted() == {}


def test_wait_frames_come_to_an_end():
    e = channel()
    bench = Bench(e, buffers=0)
    bench.asks(e)
    bench.hears(0x7E8, segmented(VIN)[0])
    bench.passes(3190)
    assert bench.sent == [(0x7E0, WAIT)] * 3
    assert not e.is_over
    bench.passes(10)
    assert failure(e) == "no_room"
    assert bench.counted() == {"no_room": 1}


def test_no_answer_is_awaited_longer_than_the_gate_lets_flow_controls_through():
    for size, code in (2, "timeout_cr"), (0, "no_room"):
        e = channel()
        bench = Bench(e, buffers=size)
        bench.asks(e, answer_ms=60000)
        bench.passes(9500)
        bench.hears(0x7E8, segmented(VIN)[0])
        bench.passes(390)
        assert not e.is_over
        bench.passes(10)
        assert failure(e) == code
        assert WAIT not in [data for _, data in bench.sent]


def test_what_the_gate_refuses_for_good_and_for_a_while():
    for refusal, times in ("shut", 1), ("budget", 16), ("queue", 16):
        e = channel()
        bench = Bench(e)
        bench.asks(e)
        tried = bench.refuses(refusal)
        bench.hears(0x7E8, segmented(VIN)[0])
        bench.passes(790)
        assert len(tried) == times
        bench.passes(10)
        assert failure(e) == (refusal if times == 1 else "no_room")
        assert len(bench.isotp._pool) == 2


def test_gate_that_refused_for_a_while_is_tried_again():
    e = channel()
    bench = Bench(e)
    bench.asks(e)
    through = bench.guard.send
    bench.refuses("budget")
    bench.hears(0x7E8, segmented(VIN)[0])
    bench.guard.send = through
    bench.passes(40)
    assert bench.sent == []
    bench.passes(10)
    assert bench.sent == [(0x7E0, CONTINUE)]
    bench.hears(0x7E8, *segmented(VIN)[1:])
    assert e.payload() == VIN


def test_ticks_that_wrap():
    e = channel()
    bench = Bench(e)
    bench.time.now = 0x3FFFFFFF - 100
    bench.guard.unmute()
    bench.asks(e)
    bench.hears(0x7E8, segmented(VIN)[0])
    bench.passes(990)
    assert not e.is_over
    bench.passes(10)
    assert failure(e) == "timeout_cr"


def test_nothing_is_allocated_per_frame():
    class Gate:
        def send(self, identifier, is_extended_id, data):
            return ""

    e, idle = channel(), channel(0x7E1, 0x7E9)
    Time(0x3FFFFFF0).into(isotp)
    receiver = isotp.Isotp(Gate(), (idle, e))
    frames = slots(
        [(0x7E8, frame) for frame in segmented(bytes(100))]
        + [(0x7E9, b"\x01\x62"), (0x7E8, b"\x0f"), (0x7E8, b"\x30"), (0x7E8, b"\xf0"), (0x100, bytes(8)), (0x7E8, b"\x21")]
    )
    alone = slots([(0x7E8, b"\x02\x62\x01")])
    for _ in range(2):
        gc.collect()
        micropython.heap_lock()
        receiver.open(e, 1000)
        receiver.take(frames, len(frames) // 16)
        done = e.is_over
        receiver.open(e, 1000)
        receiver.take(alone, 1)
        receiver.take(alone, 0)
        receiver.close(e)
        micropython.heap_unlock()
        assert done
