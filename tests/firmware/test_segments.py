# heap: 512k
"""outbox/sectors and outbox/files: the contract of segments, over both."""

from back_ends import on_both


def _read(segments, segment, offset, size):
    buf = bytearray(size)
    segments.read(segment, offset, buf)
    return bytes(buf)


@on_both
def test_size_and_count(back_end):
    segments = back_end.segments()
    assert (segments.size, segments.count) == (512, 16)


@on_both
def test_what_was_never_written_is_blank(back_end):
    segments = back_end.segments()
    for segment in 0, 7, 15:
        assert _read(segments, segment, 0, 512) == b"\xff" * 512


@on_both
def test_header_and_payload_lie_behind_each_other(back_end):
    segments = back_end.segments()
    segments.write(3, 0, b"head", b"payload")
    segments.write(3, 12, b"more", b"")
    segments.write(3, 16, b"last", b"!")
    assert _read(segments, 3, 0, 22) == b"headpayload\xffmorelast!\xff"
    assert _read(segments, 3, 500, 12) == b"\xff" * 12
    assert _read(segments, 2, 0, 4) == _read(segments, 4, 0, 4) == b"\xff" * 4


@on_both
def test_everything_is_there_after_a_power_cut(back_end):
    segments = back_end.segments()
    for segment in 5, 6, 5:
        segments.write(segment, 0 if segment == 6 else 8 * (_read(segments, 5, 0, 1) != b"\xff"), b"head", b"load")
    assert _read(back_end.segments(), 5, 0, 17) == b"headloadheadload\xff"
    assert _read(back_end.segments(), 6, 0, 9) == b"headload\xff"


@on_both
def test_erased_segment_is_blank_and_can_be_written(back_end):
    segments = back_end.segments()
    segments.write(15, 0, b"head", bytes(508))
    segments.write(14, 0, b"head", b"stays")
    segments.erase(15)
    assert _read(back_end.segments(), 15, 0, 512) == b"\xff" * 512
    segments.write(15, 0, b"anew", b"")
    assert _read(segments, 15, 0, 5) == b"anew\xff"
    assert _read(segments, 14, 0, 9) == b"headstays"


@on_both
def test_segment_that_was_never_written_can_be_erased(back_end):
    back_end.segments().erase(9)
    assert _read(back_end.segments(), 9, 0, 4) == b"\xff" * 4
