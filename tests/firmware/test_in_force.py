"""signals/in_force: a profile that cannot be used costs no signal where another is at hand, and never stops the device."""

import os
from packed import Signal, get, pack, put, text
from pigtail.signals import in_force

A = pack([(1, [Signal(0, 8, 100)])])
B = pack([(2, [Signal(0, 16, 200)])])


def _forget():
    for name in os.listdir("/"):
        if name.startswith("profile"):
            os.remove("/" + name)


def _load(**periods):
    return in_force.load("/profile.bin", periods)


def test_good_profile_is_in_force_and_kept():
    _forget()
    put("/profile.bin", A)
    profile, why = _load()
    assert (profile.message_id(0), why) == (1, None)
    assert get("/profile.good") == A


def test_damaged_truncated_foreign_or_missing_profile_leaves_the_last_good_one_in_force():
    for bad in A[:-1], A[:40], b"", b"PNG" + A, A[:60] + bytes([A[60] ^ 1]) + A[61:]:
        _forget()
        put("/profile.bin", B)
        _load()
        put("/profile.bin", bad)
        profile, why = _load()
        assert profile.message_id(0) == 2 and why.startswith("/profile.bin: "), bad
        assert get("/profile.good") == B
    os.remove("/profile.bin")
    profile, why = _load()
    assert profile.message_id(0) == 2 and "ENOENT" in why


def test_fault_5_flipped_bit_in_the_profile_leaves_the_last_good_one_in_force():
    _forget()
    put("/profile.bin", A)
    _load()
    for bit in range(8 * len(A)):
        flipped = bytearray(A)
        flipped[bit // 8] ^= 1 << bit % 8
        put("/profile.bin", flipped)
        profile, why = _load()
        assert profile.identity == int.from_bytes(A[-4:], "little") and why.startswith("/profile.bin: "), bit
        assert get("/profile.good") == A


def test_nothing_that_can_be_used_is_none_and_says_why():
    _forget()
    profile, why = _load()
    assert profile is None and why
    put("/profile.bin", b"x")
    put("/profile.good", b"y")
    assert _load() == (None, "/profile.bin: not a profile")


def test_period_of_a_signal_that_is_not_there_leaves_the_profile_as_it_is():
    _forget()
    put("/profile.bin", pack([(1, [Signal(0, 8, 100)])], text(["Somebody"])))
    profile, why = _load(Nobody=100)
    assert profile.message_id(0) == 1 and "periods" in why


def test_new_profile_replaces_the_copy():
    _forget()
    put("/profile.bin", A)
    _load()
    put("/profile.bin", B)
    profile, why = _load()
    assert (profile.message_id(0), why, get("/profile.good")) == (2, None, B)
