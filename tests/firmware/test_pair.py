"""The pair: every way in which a power cut or a flipped bit can leave its two copies."""

from packed import get, put
from pair import Pair


def _written(*payloads):
    pair = Pair("/x")
    for payload in payloads:
        pair.write(payload)


def _read():
    return Pair("/x").read()


def _remove(*paths):
    import os

    for path in paths:
        try:
            os.remove(path)
        except OSError:
            pass


def test_nothing_was_ever_written():
    _remove("/x.0", "/x.1")
    assert _read() is None


def test_bytes_are_those_of_the_spec():
    _remove("/x.0", "/x.1")
    _written(b"abc")
    assert get("/x.1") == b"PAIR\x01\0\0\0\x03\0\0\0abc\x0f\xf3\xa7U"  # CRC-32 by zlib


def test_newest_copy_is_in_force():
    _written(b"first", b"second", b"third")
    assert _read() == b"third"


def test_write_goes_to_the_other_copy():
    _remove("/x.0", "/x.1")
    pair = Pair("/x")
    pair.write(b"first")
    for i in range(5):
        newest, other = ("/x.1", "/x.0") if i % 2 == 0 else ("/x.0", "/x.1")
        before = get(newest)
        pair.write(b"%d" % i)
        assert get(newest) == before
        assert get(other)[12:13] == b"%d" % i


def test_write_without_a_read_goes_on_counting():
    _remove("/x.0", "/x.1")
    _written(b"first", b"second", b"third")
    Pair("/x").write(b"fourth")
    assert _read() == b"fourth"


def test_power_cut_at_any_byte_of_the_newest_copy_leaves_the_older():
    _remove("/x.0", "/x.1")
    _written(b"older", b"newest")
    whole = get("/x.0")
    for size in range(len(whole)):
        put("/x.0", whole[:size])
        assert _read() == b"older", size


def test_fault_5_flipped_bit_in_the_newest_copy_leaves_the_older():
    _remove("/x.0", "/x.1")
    _written(b"older", b"newest")
    whole = get("/x.0")
    for i in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[i // 8] ^= 1 << i % 8
        put("/x.0", flipped)
        assert _read() == b"older", i


def test_bytes_behind_a_copy_make_it_invalid():
    _remove("/x.0", "/x.1")
    _written(b"older", b"newest")
    put("/x.0", get("/x.0") + b"\0")
    assert _read() == b"older"


def test_both_copies_bad_is_none():
    _written(b"older", b"newest")
    put("/x.0", b"")
    put("/x.1", bytes(40))
    assert _read() is None


def test_write_after_a_cut_spares_the_copy_that_is_good():
    _remove("/x.0", "/x.1")
    _written(b"older", b"newest")
    good = get("/x.1")
    put("/x.0", get("/x.0")[:9])
    pair = Pair("/x")
    pair.write(b"next")
    assert get("/x.1") == good
    assert _read() == b"next"


def test_write_that_the_flash_refuses_leaves_the_old_value():
    _remove("/x.0", "/x.1")
    _written(b"older", b"newest")
    pair = Pair("/nowhere/x")
    try:
        pair.write(b"lost")
        refused = False
    except OSError:
        refused = True
    assert refused
    assert _read() == b"newest"
