"""diag/isotp under hostile frames: nothing raises, no buffer is exceeded or lost, and right answers still come."""

# heap: 512k

import random
from array import array
from ecus import Bench, channel, segmented, server, slots
from pigtail.diag import dtc, obd, uds
from pigtail.diag.isotp import Failure

CANARY = 0x5A


def _guarded(bench, size):
    """Buffers with canaries behind them; the receiver believes in `size`."""
    bench.isotp._pool = [bytearray([0] * size + [CANARY] * 16) for _ in bench.isotp._pool]
    for e in bench.channels:
        e.head = bytearray([0] * 7 + [CANARY] * 16)
    return bench.isotp._pool[:]


def _check(bench, pool, size):
    for buffer in pool:
        assert buffer[size:] == bytes([CANARY] * 16), "written beyond a buffer"
    for e in bench.channels:
        assert e.head[7:] == bytes([CANARY] * 16), "written beyond the head"
    held = [e.buffer for e in bench.channels if e.buffer is not None]
    assert len(held) + len(bench.isotp._pool) == len(pool), "a buffer is lost, or there twice"


def _frame(chance):
    kind = chance.randrange(8)
    data = bytearray([chance.randrange(256) for _ in range(chance.choice((0, 1, 2, 3, 7, 8, 8, 8, 8, 8)))])
    at = chance.randrange(2)
    if at < len(data):
        data[0] = chance.choice((0x2A, data[0]))
        data[at] = (
            chance.randrange(256), chance.randrange(8), 0x10 | chance.randrange(4), 0x20 | chance.randrange(16), 0x21, 0x22,
            0x30 | chance.randrange(16), 0x10,
        )[kind]  # fmt: skip
    return chance.choice((0x7E8, 0x7E9, 0x7EA, 0x7EA, 0x7EB, 0x20000000 | 0x7E8)), bytes(data)


def test_fault_37_random_frames_exceed_no_buffer_and_raise_nothing():
    for seed in range(6):
        random.seed(seed)
        size = random.choice((8, 20, 100, 512))
        ecus = channel(0x7E0, 0x7E8), channel(0x7E1, 0x7E9, block_size=2), channel(0x7E2, 0x7EA, 0x2A, 0x2A), server(0x7E3, 0x7EB)
        bench = Bench(*ecus, buffers=2, size=size)
        pool = _guarded(bench, size)
        for _ in range(400):
            for e in ecus:
                if not e.is_open or e.is_over:
                    bench.isotp.close(e)
                    bench.guard.ended(e.ecu)
                    if isinstance(e, uds.Server):
                        e.expect(b"\x22\xf1\x90")
                    bench.isotp.open(e, 1000)
                    e.ecu.is_under_way = True
            frames = [_frame(random) for _ in range(random.randrange(12))]
            bench.isotp.take(slots(frames), len(frames))
            _check(bench, pool, size)
            bench.passes(random.choice((1, 10, 100)))
        at = bench.times
        for i in range(4, len(at)):
            assert at[i] - at[i - 4] >= 1000, "five flow controls in a second"
        assert len(at) > 4


def test_right_answers_come_through_between_hostile_frames_of_others():
    random.seed(7)
    e = channel(0x7E3, 0x7EB)
    others = channel(0x7E0, 0x7E8), channel(0x7E1, 0x7E9), channel(0x7E2, 0x7EA, 0x2A, 0x2A)
    bench = Bench(e, *others)
    for length in 3, 8, 62, 300, 512:
        payload = bytes([random.randrange(256) for _ in range(length)])
        bench.asks(e)
        for frame in segmented(payload):
            bench.hears(0x7EB, frame)
            for _ in range(5):
                rx, data = _frame(random)
                if rx != 0x7EB:
                    bench.hears(rx, data)
        assert e.payload() == payload
        bench.isotp.close(e)
        bench.guard.ended(e.ecu)
        bench.passes(1000)


def test_random_answers_raise_failures_and_nothing_else():
    random.seed(11)
    lengths = {0x0C: 2, 0x0D: 1, 0x010C: 2, 0xF190: 17}
    readers = (
        dtc.codes, dtc.count, dtc.extended, lambda a: dtc.snapshot(a, lengths), lambda a: obd.values(a, lengths), obd.supported,
        lambda a: obd.texts(a, 17),
    )  # fmt: skip
    heads = b"\x41\x42\x43\x47\x49\x4a\x58\x59\x62"
    taken = array("I", [0] * len(readers))
    for n in range(6000):
        rest = [random.choice((0, 1, 2, 0x0C, random.randrange(256))) for _ in range(random.randrange(24))]
        answer = bytes([heads[n % len(heads)]] + rest)
        which = n // len(heads) % len(readers)
        try:
            readers[which](answer)
            taken[which] += 1
        except Failure:
            pass
    assert min(taken) > 0, "an answer of each kind was right"
