"""signals/reschedule: the owner's periods make a profile of their own, whole on flash or made again."""

import os
import struct
from packed import Signal, get, pack, put, text
from pigtail.signals.profile import Profile, ProfileError
from pigtail.signals.reschedule import scheduled
from runner import raises

NAMES = "Speed", "Gear", "Range", "Door"
MESSAGES = [(1, [Signal(0, 8, 100), Signal(8, 8, 1000)]), (2, [Signal(0, 8, 1000), Signal(8, 8, 0)])]


def _base():
    put("/p", pack(MESSAGES, text(NAMES)))
    try:
        os.remove("/p.own")
    except OSError:
        pass
    return Profile("/p")


def _periods(profile):
    return [profile.periods[c] if c < 8 else 0 for c in bytes(profile.classes)[:4]]


def test_periods_of_the_owner_are_in_force():
    base = _base()
    own = scheduled("/p", {"Speed": 50, "Gear": 0, "Door": 500})
    assert _periods(own) == [50, 0, 1000, 500]
    assert own.grid_ms == 50
    assert own.identity != base.identity
    assert list(own.names()) == list(NAMES)
    assert own.descriptors == base.descriptors


def test_message_is_marked_when_one_of_its_signals_is_on_change():
    _base()
    own = scheduled("/p", {"Gear": 0, "Door": 500})
    assert [own.rows[12 * m + 9] & 2 for m in range(2)] == [2, 0]


def test_same_periods_as_before_write_nothing():
    _base()
    scheduled("/p", {"Speed": 50})
    os.rename("/p.own", "/kept")
    put("/p.own", get("/kept"))
    put("/p.own.new", b"untouched")
    scheduled("/p", {"Speed": 50})
    assert get("/p.own.new") == b"untouched"


def test_power_cut_while_it_was_written_makes_it_again():
    _base()
    whole = scheduled("/p", {"Speed": 50}).identity
    data = get("/p.own")
    for size in 0, 10, 60, len(data) - 1:
        put("/p.own", data[:size])
        assert scheduled("/p", {"Speed": 50}).identity == whole
        assert get("/p.own") == data


def test_profile_that_was_replaced_is_scheduled_anew():
    _base()
    scheduled("/p", {"Speed": 50})
    put("/p", pack([(7, MESSAGES[0][1] + [Signal(16, 8), Signal(24, 8)])], text(NAMES)))
    assert scheduled("/p", {"Speed": 50}).message_id(0) == 7


def test_signal_that_the_profile_does_not_have_is_refused():
    _base()
    with raises(ProfileError):
        scheduled("/p", {"Speed": 50, "Sped": 50})


def test_more_than_eight_periods_and_a_grid_too_fine_or_too_coarse_are_refused():
    many = [(i, [Signal(0, 8, 100 * i)]) for i in range(1, 9)] + [(9, [Signal(0, 8, 100)])]
    put("/many", pack(many, text(["s%d" % i for i in range(1, 10)])))
    for periods in {"s9": 900}, {"s9": 7}, {"s%d" % i: 3600000 for i in range(1, 10)}:
        with raises(ProfileError):
            scheduled("/many", periods)
    assert struct.unpack("<H", get("/many")[10:12])[0] == 100


def test_streams_stay_and_a_signal_told_on_change_is_told_exactly():
    near = [Signal(0, 8, 100, stream=6, most=2), Signal(8, 8, 1000, most=3)]
    messages = [(1, near), (2, [Signal(0, 8, -1), Signal(8, 8, 0, stream=6)])]
    put("/p", pack(messages, text(NAMES)))
    own = scheduled("/p", {"Speed": 0, "Door": 500})
    assert (bytes(own.streams), list(own.classes)) == (b"\6\2", [8, 0x21, 9, 0])
    assert bytes(own.quanta) == b"\1\0\3\0"
    assert list(own.names()) == list(NAMES)


def test_signal_that_is_never_sampled_has_no_stream_and_takes_no_period():
    put("/p", pack([(1, [Signal(0, 8, 100), Signal(8, 8, -1)])], text(NAMES[:2])))
    with raises(ProfileError):
        scheduled("/p", {"Gear": 500})
