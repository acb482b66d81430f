# heap: 512k
"""Fault 5, in the store: every byte of a stored log and of the journal flipped in turn, and whole segments gone."""

from back_ends import SIZE, STREAMS, OnSectors
from sources import Samples, Source, drained, ledgered, long, spans

_, _, TELEMETRY, OTHER = STREAMS


def test_fault_5_flipped_byte_in_a_record_loses_that_record_and_the_ledger_says_so():
    """Every byte of a log in turn: two boots, two streams, split records, tables."""
    back_end, known = _log_of_boots(1, 2)
    image = bytes(back_end.nor.data)
    hits = 0
    for at in range(10 * SIZE, 18 * SIZE):
        if image[at : at + 4] == b"\xff" * 4:
            continue
        back_end.nor.data[:] = image
        back_end.nor.data[at] ^= 1 + at % 255
        outbox = back_end.outbox(4)
        _, readable = drained(outbox)
        _judge(known, readable, ledgered(outbox.ledger), at)
        hits += readable.masks != known.masks
    assert hits > 1000


def _log_of_boots(*boots):
    back_end, known = OnSectors(), Samples()
    for boot in boots:
        outbox = back_end.outbox(boot)
        sources = [Source(outbox, boot, stream) for stream in (TELEMETRY, OTHER)]
        for batch in range(2):
            for _ in range(3):
                for source in sources:
                    long(source, 1, 5 + batch, 40 + 60 * (source.stream == OTHER))
            for source in sources:
                source.close(30)
                known.add(boot, source.stream, 0, source.first)
        outbox.flush_all()
    return back_end, known


def _judge(known, readable, ledger, at):
    """What is gone is ledgered as corrupt, exactly, and belongs to one batch."""
    gone = known.without(readable)
    corrupt = ledger.pop("corrupt", Samples())
    assert not ledger, "%d: %s" % (at, list(ledger))
    assert corrupt.masks == gone, "%d: gone %s, ledgered %s" % (at, spans(gone), spans(corrupt.masks))
    assert len(gone) <= 1, "%d: %s" % (at, spans(gone))


def test_fault_5_flipped_byte_in_the_journal_changes_nothing():
    back_end, known = _log_of_boots(1, 2)
    outbox = back_end.outbox(4)
    outbox.ledger.add(3, OTHER, 900, 5, "overrun")
    outbox.flush_all()
    image = bytes(back_end.nor.data)
    for at in range(2 * SIZE):
        if image[at : at + 4] == b"\xff" * 4:
            continue
        back_end.nor.data[:] = image
        back_end.nor.data[at] ^= 1 + at % 255
        outbox = back_end.outbox(5)
        assert outbox.ledger.peek() == (3, OTHER, 900, 5, "overrun"), at
        assert len(outbox.ledger) == 1, at
        assert drained(outbox)[1].masks == known.masks, at


def test_fault_5_whole_segment_that_rots_is_ledgered():
    """Where it holds the end of a boot and the table behind that, too, its last samples are not: SPEC says so."""
    back_end, known = _log_of_boots(1)
    image = bytes(back_end.nor.data)
    for segment in range(10, 18):
        for fill in b"\0", b"\xff":
            back_end.nor.data[:] = image
            back_end.nor.data[segment * SIZE : (segment + 1) * SIZE] = fill * SIZE
            outbox = back_end.outbox(4)
            _, readable = drained(outbox)
            lost = ledgered(outbox.ledger).get("corrupt", Samples())
            gone = known.without(readable, lost)
            assert gone == {}, "%d: %s" % (segment, spans(gone))
