"""can/ears: the requests of another tester are heard (fault 36), answers and other traffic are not."""

import struct
from pigtail.can.ears import Ears
from pigtail.can.tx_guard import Ecu

WIDE = 0x20000000
REQUESTS = [0x7DF] + list(range(0x7E0, 0x7E8))  # ISO 15765-4, of 11 bits


class Guard:
    def __init__(self):
        self.heards = 0

    def heard(self):
        self.heards += 1


def hear(*ids, ecus=()):
    """How often these frames, which come at once, were another tester's."""
    guard = Guard()
    slots = bytearray(64 * 16)
    for i, ident in enumerate(ids):
        struct.pack_into("<I", slots, 16 * i, ident)
    Ears(guard, ecus).take(slots, len(ids))
    return guard.heards


def heard_of(idents, ecus=()):
    """Those of which one alone is another tester's."""
    guard = Guard()
    ears = Ears(guard, ecus)
    slots = bytearray(16)
    found = []
    for ident in idents:
        struct.pack_into("<I", slots, 0, ident)
        before = guard.heards
        ears.take(slots, 1)
        if guard.heards > before:
            found.append(ident)
    return found


def test_fault_36_scanner_is_heard_whatever_the_profile_asks_at():
    assert heard_of(range(2048), [Ecu(0x7E4), Ecu(0x7E2)]) == REQUESTS
    assert heard_of(range(2048)) == REQUESTS
    assert heard_of([WIDE | 0x18DB33F1]) and heard_of([WIDE | 0x18DA00F1 | ecu << 8 for ecu in range(256)])[255:]


def test_fault_36_ids_that_only_the_profile_asks_at_are_heard_too():
    ecus = [Ecu(0x710), Ecu(0x6F1, prefix=0x12), Ecu(0x18DB33F0, True)]
    assert heard_of(range(2048), ecus) == [0x6F1, 0x710] + REQUESTS
    assert heard_of([0x18DB33F0, WIDE | 0x18DB33F0, WIDE | 0x710], ecus) == [WIDE | 0x18DB33F0]


def test_fault_36_one_frame_among_many_is_enough():
    for place in range(64):
        ids = [0x100] * 64
        ids[place] = 0x7DF
        assert hear(*ids) == 1
    assert hear(0x7DF, 0x7E0) == 1


def test_other_frames_are_not():
    assert hear(*range(0x7E8, 0x800)) == hear() == 0
    wide = [0x18DAF1FF, 0x18DAF110, 0x18DB33F0, 0x18DB34F1, 0x18DC10F1, 0x10DA10F1, 0x18DA10F2, 0x7DF, 0x7E0]
    assert heard_of([WIDE | ident for ident in wide] + [0x18DA10F1, 0x18DB33F1]) == []
