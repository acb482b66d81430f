# heap: 512k
"""outbox/outbox, over both back ends: nothing taken is lost that the ledger does not tell, full, cut or refused."""

import gc
from back_ends import STREAMS, OnFiles, OnSectors, on_both
from pigtail.outbox import files
from pigtail.outbox import outbox as module
from runner import raises
from sources import Samples, Source, drained, ledgered, long, parts, spans

ALERT, DIAGNOSTIC, TELEMETRY, OTHER = STREAMS


def _batch(outbox, boot, stream, first, count, size=60, opened_ms=0):
    """A short batch, never checkpointed."""
    source = Source(outbox, boot, stream)
    source.first = first
    source.take(count, opened_ms)
    source.close(size)


def _sent(outbox):
    """[(stream, first sequence, count)] of what is sent, in order; nothing is acknowledged."""
    batches, _ = drained(outbox)
    return [(found[0][1], found[0][2], sum([part[3] for part in found])) for found in batches]


@on_both
def test_batch_is_given_once_and_gone_when_acknowledged(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 10)
    batch = outbox.next()
    assert (batch.stream, batch.boot, batch.first, batch.count) == (TELEMETRY, 1, 0, 10)
    assert parts(b"".join([bytes(piece) for piece in batch.chunks()])) == [(1, TELEMETRY, 0, 10)]
    assert outbox.next() is None
    outbox.acknowledge(batch)
    outbox.acknowledge(batch)
    outbox.rewind()
    assert outbox.next() is None
    assert outbox.bytes == 0


@on_both
def test_alerts_go_before_diagnostics_before_telemetry_and_the_oldest_first(back_end):
    outbox = back_end.outbox(1)
    for first in 0, 10:
        for stream in TELEMETRY, DIAGNOSTIC, ALERT:
            _batch(outbox, 1, stream, first, 10)
    assert [entry[:2] for entry in _sent(outbox)] == [
        (ALERT, 0), (ALERT, 10), (DIAGNOSTIC, 0), (DIAGNOSTIC, 10), (TELEMETRY, 0), (TELEMETRY, 10),
    ]  # fmt: skip


@on_both
def test_new_session_is_given_again_what_was_not_acknowledged(back_end):
    outbox = back_end.outbox(1)
    for first in range(0, 50, 10):
        _batch(outbox, 1, TELEMETRY, first, 10)
    given = [outbox.next() for _ in range(3)]
    outbox.acknowledge(given[1])
    outbox.rewind()
    assert [first for _, first, _ in _sent(outbox)] == [0, 20, 30, 40]


@on_both
def test_each_batch_that_is_under_way_from_flash_takes_little_of_the_heap(back_end):
    outbox = back_end.outbox(1)
    for first in range(0, 200, 10):
        _batch(outbox, 1, TELEMETRY, first, 10)
    outbox.flush_all()
    outbox = back_end.outbox(2)
    given = [outbox.next() for _ in range(4)] + [None] * 16  # what only the first cost is there
    gc.collect()
    before = gc.mem_alloc()
    for i in range(4, 20):
        given[i] = outbox.next()
    gc.collect()
    assert (gc.mem_alloc() - before) / 16 <= 144


@on_both
def test_open_batch_is_not_sent_and_its_parts_outlive_a_cut(back_end):
    outbox = back_end.outbox(1)
    source = Source(outbox, 1, TELEMETRY)
    long(source, 3)
    assert outbox.next() is None
    outbox = back_end.outbox(2)
    assert _sent(outbox) == [(TELEMETRY, 0, 15)]
    assert ledgered(outbox.ledger)["power_cut_unflushed"].has(1, TELEMETRY, 15, module.RESERVED)


@on_both
def test_parts_of_several_streams_are_put_together_again(back_end):
    outbox = back_end.outbox(1)
    sources = [Source(outbox, 1, stream) for stream in (TELEMETRY, OTHER)]
    for _ in range(9):
        for source in sources:
            long(source, 1)
    for source in sources:
        source.close(20)
    assert _sent(back_end.outbox(2)) == [(TELEMETRY, 0, 45), (OTHER, 0, 45)]


@on_both
def test_closed_batch_is_sent_whole_from_ram_and_its_records_go_with_it(back_end):
    outbox = back_end.outbox(1)
    source = Source(outbox, 1, TELEMETRY)
    long(source, 3)
    source.close(20)
    batch = outbox.next()
    assert batch.ring and batch.records
    outbox.acknowledge(batch)
    outbox.tidy(0)
    assert outbox.bytes == 0
    outbox.flush_all()
    assert _sent(back_end.outbox(2)) == []


@on_both
def test_batch_longer_than_a_segment_is_split_and_comes_back_whole(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 100, 1300)
    outbox.flush_all()
    assert _sent(back_end.outbox(2)) == [(TELEMETRY, 0, 100)]


@on_both
def test_clean_shutdown_loses_nothing_and_ledgers_nothing(back_end):
    outbox = back_end.outbox(1)
    for stream in STREAMS:
        _batch(outbox, 1, stream, 0, 10)
    outbox.flush_all()
    outbox = back_end.outbox(2)
    assert sorted(_sent(outbox)) == [(stream, 0, 10) for stream in STREAMS]
    assert len(outbox.ledger) == 0


@on_both
def test_going_on_after_a_shutdown_that_did_not_come_is_a_power_cut_again(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 10)
    outbox.flush_all()
    _batch(outbox, 1, TELEMETRY, 10, 10)
    outbox = back_end.outbox(2)
    assert _sent(outbox) == [(TELEMETRY, 0, 10)]
    assert ledgered(outbox.ledger)["power_cut_unflushed"].has(1, TELEMETRY, 10, 10)


@on_both
def test_power_cut_before_anything_was_flushed_is_ledgered_to_the_reservation(back_end):
    outbox = back_end.outbox(1)
    for stream in STREAMS:
        outbox.reserve(stream, 3)
    outbox = back_end.outbox(2)
    for stream in STREAMS:
        boot, its_stream, first, count, reason = outbox.ledger.peek()
        assert (boot, its_stream, first, count, reason) == (1, stream, 0, 4096, "power_cut_unflushed")
        outbox.ledger.acknowledge(outbox.ledger.peek())


@on_both
def test_numbers_beyond_the_reservation_are_reserved_on_flash_first(back_end):
    outbox = back_end.outbox(1)
    outbox.reserve(TELEMETRY, 4096)
    programmed = back_end.nor.programmed
    outbox.reserve(TELEMETRY, 4096)
    assert back_end.nor.programmed == programmed
    outbox.reserve(TELEMETRY, 4097)
    assert back_end.nor.programmed > programmed
    assert ledgered(back_end.outbox(2).ledger)["power_cut_unflushed"].has(1, TELEMETRY, 0, 4097)


@on_both
def test_what_a_stream_put_on_flash_reserves_the_numbers_behind_it(back_end):
    outbox = back_end.outbox(1)
    source = Source(outbox, 1, TELEMETRY)
    long(source, 1, 4000)
    programmed = back_end.nor.programmed
    outbox.reserve(TELEMETRY, 8096)
    assert back_end.nor.programmed == programmed
    cut = ledgered(back_end.outbox(2).ledger)["power_cut_unflushed"]
    assert cut.has(1, TELEMETRY, 4000, 4096) and not cut.has(1, TELEMETRY, 3999, 1)


@on_both
def test_alert_is_on_flash_before_append_returns(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, ALERT, 0, 1)
    outbox = back_end.outbox(2)
    assert _sent(outbox) == [(ALERT, 0, 1)]


@on_both
def test_unacknowledged_batch_is_on_flash_when_the_bound_is_over_and_not_before(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 10, opened_ms=5000)
    outbox.tidy(5000 + outbox.bound_ms - 1)
    assert not outbox._ring.batches[0].records
    outbox.tidy(5000 + outbox.bound_ms)
    assert _sent(back_end.outbox(2)) == [(TELEMETRY, 0, 10)]


class _File:
    """A file of which nothing is in force before it is flushed; `fail` flushes to come lose what waited."""

    flushes = fail = 0

    def __init__(self, *arguments):
        self._file = open(*arguments)
        self._waiting = []
        self.seek, self.readinto, self.close = self._file.seek, self._file.readinto, self._file.close

    def write(self, data):
        self._waiting.append(bytes(data))

    def flush(self):
        waiting, self._waiting = self._waiting, []
        _File.flushes += bool(waiting)
        if waiting and _File.fail:
            _File.fail -= 1
            raise OSError(28)
        self._file.write(b"".join(waiting))
        self._file.flush()


def _due_in_files(fail):
    """Flushes that it took to put four batches on flash, when so many of them failed."""
    back_end = OnFiles()
    files.open, _File.flushes, _File.fail = _File, 0, fail
    try:
        outbox = back_end.outbox(1)
        for first in 0, 10:
            for stream in TELEMETRY, OTHER:
                _batch(outbox, 1, stream, first, 10, opened_ms=5000 + 100 * first)
        outbox.tidy(5000 + outbox.bound_ms - 1)
        assert _File.flushes == 0
        outbox.tidy(5000 + outbox.bound_ms)
        flushes = _File.flushes
        outbox.save()
        outbox = back_end.outbox(2)
        assert sorted(_sent(outbox)) == [(stream, first, 10) for stream in (TELEMETRY, OTHER) for first in (0, 10)]
        assert list(ledgered(outbox.ledger)) == ["power_cut_unflushed"]
        return flushes
    finally:
        del files.open
        back_end.close()


def test_batches_that_are_due_in_files_and_what_else_waits_share_one_flush():
    assert _due_in_files(0) == 1


def test_batches_whose_common_flush_fails_are_written_one_by_one():
    assert _due_in_files(1) == 6  # and a table


def test_snapshot_says_on_flash_only_what_has_been_flushed():
    back_end = OnFiles()
    files.open = _File
    try:
        outbox = back_end.outbox(1)
        outbox.logs[2].segments.holds = True
        _batch(outbox, 1, TELEMETRY, 0, 10)
        outbox._leave(outbox._ring.batches[0])
        outbox.save()
        assert list(ledgered(back_end.outbox(2).ledger)) == ["power_cut_unflushed"]
    finally:
        del files.open
        back_end.close()


@on_both
def test_acknowledged_batch_is_never_written(back_end):
    outbox = back_end.outbox(1)
    programmed = back_end.nor.programmed
    for first in range(0, 100, 10):
        _batch(outbox, 1, TELEMETRY, first, 10)
        outbox.acknowledge(outbox.next())
        outbox.tidy(1000)
    assert outbox.logs[2].ends == {}
    assert back_end.name == "files" or back_end.nor.programmed == programmed


@on_both
def test_ram_that_is_needed_goes_to_flash(back_end):
    outbox = back_end.outbox(1)
    for first in range(0, 200, 10):
        _batch(outbox, 1, TELEMETRY, first, 10, 150)
    assert len(outbox.ledger) == 0
    assert [first for _, first, _ in _sent(outbox)] == list(range(0, 200, 10))


def test_batch_that_leaves_ram_while_it_is_sent_breaks_the_connection():
    outbox = OnSectors().outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 10)
    batch = outbox.next()
    chunks = batch.chunks()
    for first in range(10, 200, 10):
        _batch(outbox, 1, TELEMETRY, first, 10, 150)
    with raises(OSError):
        next(chunks)


def test_batch_that_is_erased_while_it_is_sent_breaks_the_connection():
    back_end = OnSectors()
    outbox = back_end.outbox(1)
    _batch(outbox, 1, TELEMETRY, 0, 10, 700)
    outbox.flush_all()
    outbox = back_end.outbox(2)
    chunks = outbox.next().chunks()
    next(chunks)
    for first in range(0, 400, 10):
        _batch(outbox, 2, TELEMETRY, first, 10, 150)
    with raises(OSError):
        for _ in chunks:
            pass


@on_both
def test_flash_full_drops_the_oldest_of_its_class_and_the_ledger_is_exact(back_end):
    outbox = back_end.outbox(1)
    _batch(outbox, 1, ALERT, 0, 1)
    _batch(outbox, 1, DIAGNOSTIC, 0, 5)
    for first in range(0, 600, 10):
        _batch(outbox, 1, TELEMETRY, first, 10, 150)
    _check_full(outbox)
    assert outbox.dropped_samples == outbox.ledger.peek()[3]
    assert _sent(back_end.outbox(2))[:2] == [(ALERT, 0, 1), (DIAGNOSTIC, 0, 5)]


def _check_full(outbox):
    """Every telemetry sample below 600 is readable or ledgered as flash_full, none is both, and the ledgered are the oldest."""
    outbox.rewind()
    _, readable = drained(outbox)
    full = ledgered(outbox.ledger)["flash_full"]
    key = 1, TELEMETRY
    assert not full.within(readable), spans(full.within(readable))
    assert full.masks[key] | readable.masks[key] == (1 << 600) - 1
    assert full.masks[key] & full.masks[key] + 1 == 0  # one range, from 0 on


@on_both
def test_fault_3_flash_full_then_a_power_cut(back_end):
    outbox = back_end.outbox(1)
    for first in range(0, 600, 10):
        _batch(outbox, 1, TELEMETRY, first, 10, 150)
    outbox.flush_all()
    again = back_end.outbox(2)
    assert len(again.ledger) == 1
    _check_full(again)


@on_both
def test_flash_full_with_thin_keeps_every_third_new_batch(back_end):
    outbox = back_end.outbox(1, thin=(1, 1, 3))
    outbox.ledger.most = 40  # none becomes `several`
    _batch(outbox, 1, DIAGNOSTIC, 0, 5)
    first = 0
    while not len(outbox.ledger):
        _batch(outbox, 1, TELEMETRY, first, 10, 150)
        first += 10
    for i in range(12):
        _batch(outbox, 1, TELEMETRY, first + 10 * i, 10, 150)
    outbox.flush_all()
    outbox = back_end.outbox(2)
    _, readable = drained(outbox)
    late = readable.masks[1, TELEMETRY] >> first
    kept = [i for i in range(12) if late >> 10 * i & 1]
    assert len(kept) in (3, 4, 5), kept
    assert all([b - 3 in kept for b in kept[1:]]), kept
    taken = Samples()
    taken.add(1, TELEMETRY, 0, first + 120)
    taken.add(1, DIAGNOSTIC, 0, 5)
    ledger = ledgered(outbox.ledger)
    assert list(ledger) == ["flash_full"]
    assert taken.without(readable, ledger["flash_full"]) == {}
    assert ledger["flash_full"].within(readable) == {}


def test_acknowledged_batches_are_not_ledgered_when_their_segment_is_used_again():
    back_end = OnSectors()
    outbox = back_end.outbox(1)
    for first in range(0, 2000, 10):
        _batch(outbox, 1, TELEMETRY, first, 10, 150, opened_ms=0)
        outbox.tidy(2000)
        outbox.acknowledge(outbox.next())
    assert len(outbox.ledger) == 0
    outbox.flush_all()
    assert _sent(back_end.outbox(2)) == []


def test_wear_is_the_same_for_all_segments_of_a_ring():
    back_end = OnSectors()
    for boot in range(1, 6):
        outbox = back_end.outbox(boot)
        for first in range(0, 1000, 10):
            _batch(outbox, boot, TELEMETRY, first, 10, 150)
            outbox.tidy(2000)
        outbox.flush_all()
    ring = back_end.nor.erases[10:]
    assert len(ring) == 8
    assert min(ring) > 8
    assert max(ring) - min(ring) <= 1


@on_both
def test_ledger_outlives_a_power_cut_and_what_was_told_does_not_come_again(back_end):
    outbox = back_end.outbox(1)
    outbox.ledger.add(1, TELEMETRY, 3, 4, "overrun")
    outbox.ledger.add(1, OTHER, 3, 4, "overrun")
    outbox.tidy(120000)
    outbox.ledger.acknowledge((1, TELEMETRY, 3, 4, "overrun"))
    outbox.tidy(240000)
    assert back_end.outbox(2).ledger.peek() == (1, OTHER, 3, 4, "overrun")


@on_both
def test_lost_frames_are_on_flash_before_the_next_batch_and_outlive_a_power_cut(back_end):
    outbox = back_end.outbox(1)
    outbox.tidy(120000)
    outbox.ledger.overruns(1, 10, 12, 17)
    _batch(outbox, 1, TELEMETRY, 0, 10, 150)
    outbox.tidy(121000 + outbox.bound_ms)
    assert back_end.outbox(2).ledger.peek() == (1, 0xFF, 10, 17, 2)


@on_both
def test_lost_frames_that_go_on_cost_no_write_of_their_own_and_outlive_a_power_cut_two_minutes_later(back_end):
    outbox = back_end.outbox(1)
    outbox.ledger.overruns(1, 10, 12, 17)
    outbox.tidy(120000)
    saves = []
    save, outbox.save = outbox.save, lambda: saves.append(save())
    outbox.ledger.overruns(1, 12, 13, 3)
    _batch(outbox, 1, TELEMETRY, 0, 10, 150)
    outbox.tidy(121000 + outbox.bound_ms)
    assert saves == []
    outbox.tidy(240000)
    assert len(saves) == 1
    assert back_end.outbox(2).ledger.peek() == (1, 0xFF, 10, 20, 3)


@on_both
def test_acknowledgements_outlive_a_power_cut_after_two_minutes(back_end):
    outbox = back_end.outbox(1)
    for first in range(0, 50, 10):
        _batch(outbox, 1, TELEMETRY, first, 10)
    outbox.tidy(9000)
    for _ in range(4):
        outbox.acknowledge(outbox.next())
    outbox = back_end.outbox(2)
    for first in range(0, 40, 10):
        batch = outbox.next()
        assert (batch.boot, batch.first) == (1, first)  # again, and with the same identity
        outbox.acknowledge(batch)
    outbox.tidy(120000)
    assert [first for _, first, _ in _sent(back_end.outbox(3))] == [40]


@on_both
def test_another_layout_waits_until_everything_was_sent(back_end):
    outbox = back_end.outbox(1)
    for stream in STREAMS:
        _batch(outbox, 1, stream, 0, 10)
    outbox.flush_all()
    outbox = back_end.outbox(2, segments=(3, 3))
    assert [log.segments.count for log in outbox.logs] == [4, 4, 8]
    _, readable = drained(outbox, acknowledge=True)
    assert readable.has(1, ALERT, 0, 10) and readable.has(1, OTHER, 0, 10)
    outbox.tidy(0)
    outbox.flush_all()
    outbox = back_end.outbox(3, segments=(3, 3))
    assert [log.segments.count for log in outbox.logs] == [3, 3, 10]
    _batch(outbox, 3, ALERT, 0, 10)
    assert _sent(back_end.outbox(4, segments=(3, 3))) == [(ALERT, 0, 10)]


def test_flash_that_refuses_every_write_leaves_the_batches_in_ram_and_is_counted():
    back_end = OnSectors()
    outbox = back_end.outbox(1)
    back_end.nor.writeblocks = _refuse
    source = Source(outbox, 1, TELEMETRY)
    long(source, 3)
    source.close(20)
    _batch(outbox, 1, ALERT, 0, 2)
    assert outbox.errors > 0
    assert _sent(outbox) == [(ALERT, 0, 2), (TELEMETRY, 0, 15)]
    for first in range(15, 400, 5):
        _batch(outbox, 1, TELEMETRY, first, 5, 150)
    outbox.rewind()
    _, readable = drained(outbox)
    full = ledgered(outbox.ledger)["flash_full"]
    assert full.masks[1, TELEMETRY] | readable.masks[1, TELEMETRY] == (1 << 400) - 1


def _refuse(*rest):
    raise OSError(5)


def test_file_system_that_is_full_before_the_log_is_gives_up_the_oldest_batches():
    back_end = OnFiles(blocks=26)
    try:
        outbox = back_end.outbox(1)
        for first in range(0, 600, 10):
            _batch(outbox, 1, TELEMETRY, first, 10, 150)
        outbox.rewind()
        _, readable = drained(outbox)
        full = ledgered(outbox.ledger)["flash_full"]
        assert full.masks[1, TELEMETRY] | readable.masks[1, TELEMETRY] == (1 << 600) - 1
        assert readable.has(1, TELEMETRY, 550, 50)
    finally:
        back_end.close()


def test_boots_that_are_counted_anew_get_numbers_behind_those_on_flash():
    back_end = OnSectors()
    for boot in 7, 8:
        outbox = back_end.outbox(boot)
        _batch(outbox, boot, TELEMETRY, 0, 10)
        outbox.tidy(9000)
    outbox = back_end.outbox(1)
    assert outbox.boot == 9
    _batch(outbox, outbox.boot, TELEMETRY, 0, 10)
    assert [(batch[0][0], batch[0][2]) for batch in drained(outbox)[0]] == [(7, 0), (8, 0), (9, 0)]
    assert sorted([boot for samples in ledgered(outbox.ledger).values() for boot, _ in samples.masks]) == [7] * 4 + [8] * 4
    assert back_end.outbox(1).boot == 10


@on_both
def test_outbox_is_small(back_end):
    import gc

    outbox = back_end.outbox(1, ram=6144)
    _batch(outbox, 1, TELEMETRY, 0, 10)
    drained(outbox, True)
    del outbox
    gc.collect()
    before = gc.mem_alloc()
    outbox = back_end.outbox(2, ram=6144)
    assert outbox.bytes < 100
    gc.collect()
    assert gc.mem_alloc() - before < 6144 + 4096
