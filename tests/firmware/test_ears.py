"""can/ears: another tester on the bus is heard (fault 36), answers and other traffic are not."""

import struct
from pigtail.can.ears import Ears
from pigtail.can.tx_guard import Ecu


class Guard:
    def __init__(self):
        self.heards = []

    def heard(self, arbitration_id, is_extended_id):
        self.heards.append((arbitration_id, is_extended_id))


def hear(*ids):
    guard = Guard()
    ears = Ears(guard, [Ecu(0x7E0), Ecu(0x18DA10F1, True), Ecu(0x7DF, functional=True)])
    slots = bytearray(64 * 16)
    for i, ident in enumerate(ids):
        struct.pack_into("<I", slots, 16 * i, ident)
    ears.take(slots, len(ids))
    return guard.heards


def test_fault_36_requests_of_another_tester_are_heard():
    assert hear(0x100, 0x7E0) == [(0x7E0, False)]
    assert hear(0x38DA10F1) == [(0x18DA10F1, True)]
    assert hear(0x7DF, 0x7E0) == [(0x7DF, False)], "one is enough"


def test_other_frames_are_not():
    assert hear(0x7E8, 0x7E1, 0x18DA10F1, 0x200007E0, 0x38DAF110) == []
    assert hear() == []
