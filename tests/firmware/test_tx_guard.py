"""The gate under MicroPython: what `tests/safety` proves on the host holds for the interpreter that the device has."""

from fakes import Time
from pigtail.can import tx_guard

ALLOWED = [(1, 2), (1, 3), (1, 4), (2, 3), (3, 1), (7, 1), (9, 2), (10, 1), (0x19, 2), (0x19, 3), (0x19, 4), (0x22, 3)]


class Gate:
    def __init__(self):
        self.time = Time(1000).into(tx_guard)
        self.bus = []
        self.ecu = tx_guard.Ecu(0x7E0)
        self.guard = tx_guard.TxGuard([self.ecu], tx_guard.DEFAULT, lambda: "awake", None)

    def send(self, identifier, data, flags):
        self.bus.append((identifier, bytes(data), flags))
        return 0


def test_fault_33_shut_gate_lets_nothing_through():
    gate = Gate()
    frame = bytearray(b"\2\0\1\0\0\0\0\0")
    for identifier in range(0, 0x800, 7):
        for service in range(256):
            frame[1] = service
            assert gate.guard.send(identifier, False, frame) == "shut"
    assert gate.guard.refused == {"shut": 293 * 256}
    assert gate.bus == []


def test_fault_33_open_gate_lets_the_allow_list_through():
    gate = Gate()
    gate.guard.open(gate)
    for service in range(256):
        for length in 1, 2, 3, 4:
            gate.time.now += 1000
            gate.guard.beat()
            gate.guard.ended(gate.ecu)
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
