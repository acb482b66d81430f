"""signals/profile: whatever is not a sound profile is a ProfileError, never another exception, and nothing is taken from it."""

# heap: 256k

import struct
from packed import EXTENDED, Signal, pack, put, sealed, wide
from pigtail.signals.profile import Profile, ProfileError
from runner import raises

MESSAGES = [
    (0x100, [Signal(0, 8), Signal(8, 16, 500, big=False), Signal(16, 12, 100, big=True)]),
    (0x2F0, [Signal(0, 1, 0)]),
    (0x123 | EXTENDED, [Signal(4, 32, 1000, signed=True), Signal(0, 2, 0)]),
]
TEXT = b"any text, here 23 bytes"
ROWS_AT, ROW = 68, 12


def _refused(data, reason=""):
    put("/p", data)
    with raises(ProfileError) as caught:
        Profile("/p")
    assert reason in str(caught.error), str(caught.error)


def _changed(at, form, *values):
    """The good profile with other values at `at`, and a right CRC: only the content is wrong."""
    body = bytearray(pack(MESSAGES, TEXT)[:-4])
    struct.pack_into(form, body, at, *values)
    return sealed(body)


def test_sound_profile_is_loaded():
    data = pack(MESSAGES, TEXT)
    put("/p", data)
    p = Profile("/p")
    assert (p.messages, p.signals, p.grid_ms, p.widest) == (3, 6, 100, 3)
    assert list(p.periods) == [100, 500, 1000, 0, 0, 0, 0, 0]
    assert list(p.classes) == [0, 1, 0, 8, 2, 8, 0, 0]
    assert (bytes(p.streams), len(p.quanta)) == (b"\2", 0)
    assert [p.message_id(m) for m in range(3)] == [0x100, 0x2F0, 0x20000123]
    assert [(p.first(m), p.count(m)) for m in range(3)] == [(0, 3), (3, 1), (4, 2)]
    assert p.identity == struct.unpack("<I", data[-4:])[0]
    assert p.size == len(data)
    assert b"".join(p.chunks()) == data


def test_truncated_at_any_byte():
    data = pack(MESSAGES, TEXT)
    for size in list(range(0, len(data), 64)) + list(range(40, 60)) + list(range(len(data) - 8, len(data))):
        _refused(data[:size])


def test_flipped_bit_in_any_byte():
    data = pack(MESSAGES, TEXT)
    for i in range(len(data)):
        flipped = bytearray(data)
        flipped[i] ^= 1 << i % 8
        _refused(flipped)


def test_bytes_behind_the_profile():
    _refused(pack(MESSAGES, TEXT) + b"\0")
    _refused(pack(MESSAGES, TEXT) * 2)


def test_foreign_files():
    for data in b"", b"\x89PNG\r\n\x1a\n" + bytes(200), b"VERSION \"\"\nBO_ 256 Speed: 8 Car\n" * 20, bytes(5000), b"\xff" * 5000:
        _refused(data, "not a profile")


def test_foreign_file_that_begins_like_a_profile():
    _refused(b"PTPF\x02\0" + b"\xff" * 5000)
    _refused(b"PTPF\x02\0" + bytes(5000))


def test_other_format_version():
    for version in 1, 3:
        _refused(_changed(4, "<B", version), "version %d" % version)


def test_counts_that_are_larger_than_the_file():
    for at, form, value in (6, "<H", 255), (8, "<H", 0xFFFF), (12, "<I", 0xFFFFFFFF), (12, "<I", 1 << 20):
        _refused(_changed(at, form, value), "bytes, not ")


def test_counts_that_are_smaller_than_the_file():
    for at, form, value in (6, "<H", 2), (8, "<H", 5), (12, "<I", 0), (6, "<H", 0), (8, "<H", 0):
        _refused(_changed(at, form, value))


def test_counts_that_exchange_messages_for_signals():
    _refused(_changed(6, "<HH", 2, 6 + 3))  # the same size in all


def test_more_than_255_messages():
    assert _profile_of(255).messages == 255
    _refused(pack([(i, [Signal(0, 8)]) for i in range(256)]), "256 messages")


def _profile_of(messages):
    put("/p", pack([(i, [Signal(0, 8)]) for i in range(messages)]))
    return Profile("/p")


def test_rows_out_of_order():
    _refused(pack([MESSAGES[1], MESSAGES[0]]), "message row 1")


def test_rows_with_the_same_id():
    _refused(pack([MESSAGES[0], MESSAGES[0]]), "message row 1")


def test_id_of_more_than_29_bits():
    _refused(_changed(ROWS_AT + 2 * ROW, "<I", 0x40000123), "message row 2")


def test_message_whose_signals_are_not_contiguous():
    for first in 0, 2, 4, 0xFFFF:
        _refused(_changed(ROWS_AT + ROW + 4, "<H", first), "message row 1")


def test_message_without_signals():
    _refused(_changed(ROWS_AT + ROW + 6, "<H", 0), "message row 1")


def test_message_with_more_signals_than_there_are():
    for count in 3, 7, 64:
        _refused(_changed(ROWS_AT + 2 * ROW + 6, "<H", count), "signals without a message")


def test_message_longer_than_a_frame():
    _refused(_changed(ROWS_AT + 8, "<B", 9), "message row 0")


def test_class_that_has_no_period():
    classes = ROWS_AT + 3 * ROW + 6 * 4
    for c in 3, 7, 10, 15, 32, 41, 255:
        _refused(_changed(classes + 4, "<B", c), "period or stream of signal 4")


def test_half_of_a_long_signal_without_the_other():
    classes = ROWS_AT + 3 * ROW + 6 * 4
    for at, c in (0, 16), (2, 16), (3, 24), (4, 18), (5, 24):
        _refused(_changed(classes + at, "<B", c), "period or stream of signal")


def test_grid_that_does_not_divide_the_periods():
    for grid in 0, 30, 200, 0xFFFF:
        _refused(_changed(10, "<H", grid), "grid")


def test_missing_file_is_an_oserror():
    with raises(OSError):
        Profile("/nowhere.bin")


def test_descriptor_that_would_read_beside_its_frame_or_never_end():
    d = ROWS_AT + 3 * ROW
    for i, byte, value in (
        (0, 0, 32), (0, 1, 255), (0, 2, 0), (0, 2, 4), (0, 2, 24), (0, 2, 9), (0, 3, 128), (2, 3, 0), (3, 3, 0), (5, 3, 0),
        (1, 2, 12), (1, 3, 128 | 40),
    ):  # fmt: skip
        changed = bytearray(pack(MESSAGES, TEXT)[d + 4 * i : d + 4 * i + 4])
        changed[byte] = value
        if (i, byte) == (1, 2):
            changed[3] = 32 | 40 & 31
        _refused(_changed(d + 4 * i, "<4B", *changed), "bits of signal %d" % i)


def test_window_of_an_answer_is_no_message_of_the_bus():
    put("/p", pack([(ident, [Signal(0, 8)]) for ident in (0x7FF, 0x800, 0x1FFFFFFF, 1 << 29)]))
    profile = Profile("/p")
    assert [profile.is_window(m) for m in range(5)] == [False, True, True, False, False] and profile.windows == 2


def test_message_that_needs_no_data():
    _refused(_changed(ROWS_AT + 8, "<B", 0), "message row 0")


def test_streams_and_quanta_are_loaded():
    put("/p", pack([(1, [Signal(0, 8, stream=5, most=3), Signal(8, 24, most=0x7FFF)]), (2, [Signal(0, 8, 0, stream=63)])]))
    p = Profile("/p")
    assert bytes(p.streams) == b"\5\2\x3f"
    assert list(p.classes)[:3] == [0, 0x20, 0x48]
    assert bytes(p.quanta) == b"\0\0\3\0" + b"\1\0\xff\x7f"


def test_streams_that_are_twice_there_or_none():
    for ids in b"\2\2", b"\x40\2", b"\xff\2":
        _refused(_changed(56, "<2s", ids))


def test_quantum_of_a_signal_that_must_be_exact():
    for signal in Signal(0, 25, most=1), Signal(0, 8, 0, most=1), Signal(0, 8, -1, most=1):
        _refused(pack([(1, [signal])]), "quantum 0")
    low, high = wide(0, 40)
    high.most = 1
    _refused(pack([(1, [low, high])]), "quantum 0")


def test_quanta_out_of_order_or_of_no_size():
    data = pack([(1, [Signal(0, 8, most=3), Signal(8, 8, most=4)])])
    at = len(data) - 4 - 8
    for place, value in (at, 1), (at, 2), (at + 4, 0), (at + 2, 0), (at + 2, 0x8000):
        changed = bytearray(data[:-4])
        struct.pack_into("<H", changed, place, value)
        _refused(sealed(changed), "quantum")


def test_row_of_more_signals_than_a_batch_can_take_at_once():
    put("/p", pack([(1, [Signal(0, 8) for _ in range(64)])]))
    assert Profile("/p").widest == 64
    _refused(pack([(1, [Signal(0, 8) for _ in range(65)])]), "message row 0")
