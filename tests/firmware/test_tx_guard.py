"""The gate under MicroPython: what `tests/safety` proves on the host holds for the interpreter that the device has."""

import random
from fakes import Time
from pigtail.can import tx_guard

ALLOWED = [(1, 2), (1, 3), (1, 4), (2, 3), (3, 1), (7, 1), (9, 2), (10, 1), (0x19, 2), (0x19, 3), (0x19, 4), (0x22, 3)]


class Gate:
    def __init__(self):
        self.time = Time(1000).into(tx_guard)
        self.bus = []
        self.ecu = tx_guard.Ecu(0x7E0)
        self.wide = tx_guard.Ecu(0x18DA10F1, True)
        self.guard = tx_guard.TxGuard([self.ecu, self.wide], tx_guard.DEFAULT, lambda: "awake", lambda reason: None)

    def rests(self):
        """What was sent has had its answer, and its second."""
        self.time.now += 1000
        self.guard.beat()
        self.guard.ended(self.ecu)
        self.guard.ended(self.wide)

    def send(self, identifier, data, flags):
        self.bus.append((identifier, bytes(data), flags))
        return 0


IDS = 2048 + 81


def tell_every_id(gate):
    """Sends each service, in a form that it could pass with, to every id of 11 bits, and to ISO 15765-4's and some of 29."""
    random.seed(33)
    wide = [0x18DB33F1] + [0x18DA00F1 | n << 8 for n in range(0, 256, 16)] + [random.getrandbits(29) for _ in range(64)]
    frame, send = bytearray(8), gate.guard.send
    for service in range(256):
        frame[0], frame[1], frame[2] = tx_guard.READS.get(service, b"\2")[0], service, int(service != 0x3E)
        for identifier in range(0x800):
            if not send(identifier, False, frame):
                gate.rests()
        for identifier in wide:
            if not send(identifier, True, frame):
                gate.rests()


def test_fault_33_shut_gate_lets_nothing_through_to_any_id():
    gate = Gate()
    tell_every_id(gate)
    assert (gate.bus, gate.guard.sent) == ([], 0)
    assert gate.guard.refused == {"shut": IDS * 256}


def test_fault_33_mute_gate_lets_nothing_through_to_any_id():
    gate = Gate()
    gate.guard.open(gate)
    gate.guard.mute("dtc")
    tell_every_id(gate)
    assert (gate.bus, gate.guard.sent) == ([], 0)
    assert gate.guard.refused == {"muted": IDS * 256}


def test_fault_33_open_gate_lets_the_allow_list_through_to_the_profiles_ids_alone():
    gate = Gate()
    gate.guard.open(gate)
    tell_every_id(gate)
    reads = [1, 2, 3, 7, 9, 10, 0x19, 0x22, 0x3E]
    assert [(identifier, data[1], flags) for identifier, data, flags in gate.bus] == [
        ecu for service in reads for ecu in ((0x7E0, service, 0), (0x18DA10F1, service, 2))
    ]
    assert gate.guard.refused == {"id": (IDS - 2) * 256, "service": 2 * (256 - len(reads))}


def test_fault_33_open_gate_lets_the_allow_list_through():
    gate = Gate()
    gate.guard.open(gate)
    for service in range(256):
        for length in 1, 2, 3, 4:
            gate.rests()
            gate.guard.send(0x7E0, False, bytes([length, service]) + b"\1\0\0\0\0\0")
    assert [(data[1], data[0]) for _, data, _ in gate.bus] == ALLOWED


def test_what_is_never_allowed_cannot_be_set():
    refused = 0
    for service in 0x04, 0x10, 0x11, 0x14, 0x27, 0x28, 0x2E, 0x2F, 0x31, 0x34, 0x36, 0x3D, 0x85:
        try:
            tx_guard.TxGuard([], bytes([service]), None, None)
        except ValueError:
            refused += 1
    assert refused == 13
