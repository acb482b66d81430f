"""The device's diagnostics against other people's: `can-isotp` answers as the ECU, `udsoncan` says what bytes mean."""

import asyncio
import random
import struct
import threading
from collections.abc import Iterator
from typing import Any

import can
import isotp
import on_host
import pytest
import udsoncan
from udsoncan.services import ReadDTCInformation, TesterPresent

EXTENDED = 1 << 29
M = on_host.load()
_channels = iter(range(1000))


class Ecu:
    """An ECU made of can-isotp: answers each request by the next of `answers`, a list of messages."""

    def __init__(self, bus: can.BusABC, address: isotp.Address, answers: list[list[bytes]], **settings: Any) -> None:
        self.stack = isotp.CanStack(bus, address=address, params={"tx_padding": 0xAA, "blocking_send": True} | settings)
        self.requests: list[bytes] = []
        self._answers = answers
        self._thread = threading.Thread(target=self._run)
        self.stack.start()
        self._thread.start()

    def _run(self) -> None:
        for messages in self._answers:
            request = self.stack.recv(block=True, timeout=20)
            if request is None:
                return
            self.requests.append(bytes(request))
            for message in messages:
                self.stack.send(message, send_timeout=20)

    def stop(self) -> None:
        self._thread.join(timeout=30)
        self.stack.stop()


class Device:
    """The device's stack with the real gate on a python-can bus."""

    def __init__(self, bus: can.BusABC, *servers: Any, functional: Any = None) -> None:
        self.bus = bus
        ecus = [server.ecu for server in servers] + ([functional] if functional else [])
        self.guard = M.tx_guard.TxGuard(ecus, M.tx_guard.DEFAULT, lambda: "awake", None)
        self.guard.open(self)
        self.isotp = M.isotp.Isotp(self.guard, servers)
        self.client = M.uds.Client(self.guard, self.isotp)

    def send(self, identifier: int, data: bytes, flags: int) -> int:
        self.bus.send(can.Message(arbitration_id=identifier, data=bytes(data), is_extended_id=bool(flags & 2)))
        return 0

    async def read_bus(self) -> None:
        while True:
            frames = []
            while len(frames) < 64 and (frame := self.bus.recv(0)):
                key = frame.arbitration_id | (EXTENDED if frame.is_extended_id else 0)
                frames.append(struct.pack("<II8s", key, frame.dlc << 28, bytes(frame.data)))
            self.isotp.take(bytearray(b"".join(frames)), len(frames))
            self.guard.beat()
            await asyncio.sleep(0.002)

    def run(self, asking: Any) -> Any:
        async def both() -> Any:
            reading = asyncio.create_task(self.read_bus())
            try:
                return await asking
            finally:
                reading.cancel()

        return asyncio.run(both())


@pytest.fixture
def buses() -> Iterator[list[can.BusABC]]:
    channel = f"diag{next(_channels)}"
    opened = [can.Bus(interface="virtual", channel=channel) for _ in range(4)]
    yield opened
    for bus in opened:
        bus.shutdown()


def server(tx: int, rx: int, prefix: int | None = None, rx_prefix: int | None = None, **rest: Any) -> Any:
    rest.setdefault("answer_ms", 8000)
    return M.uds.Server(M.tx_guard.Ecu(tx, tx > 0x7FF, prefix, interval_ms=0), rx, rx_prefix, **rest)


Mode = isotp.AddressingMode
ADDRESSINGS = {
    "normal": (server(0x7E0, 0x7E8), isotp.Address(Mode.Normal_11bits, txid=0x7E8, rxid=0x7E0)),
    "normal, 29 bits": (server(0x17FC0076, 0x17FE0076), isotp.Address(Mode.Normal_29bits, txid=0x17FE0076, rxid=0x17FC0076)),
    "normal fixed": (
        server(0x18DA10F1, 0x18DAF110),
        isotp.Address(Mode.NormalFixed_29bits, target_address=0xF1, source_address=0x10),
    ),
    "extended": (
        server(0x6F1, 0x607, 0x07, 0xF1),
        isotp.Address(Mode.Extended_11bits, txid=0x607, rxid=0x6F1, source_address=0x07, target_address=0xF1),
    ),
    "mixed": (
        server(0x750, 0x758, 0x2A, 0x2A),
        isotp.Address(Mode.Mixed_11bits, txid=0x758, rxid=0x750, address_extension=0x2A),
    ),
    "mixed, 29 bits": (
        server(0x18CE10F1, 0x18CEF110, 0x55, 0x55),
        isotp.Address(Mode.Mixed_29bits, target_address=0xF1, source_address=0x10, address_extension=0x55),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDRESSINGS)
def test_answers_of_can_isotp_come_whole_by_every_addressing(name: str, buses: list[can.BusABC]) -> None:
    ours, address = ADDRESSINGS[name]
    chance = random.Random(name)
    answers = [b"\x62\xf1\x90" + chance.randbytes(n) for n in (1, 4, 5, 509)]
    ecu = Ecu(buses[0], address, [[answer] for answer in answers])
    device = Device(buses[1], ours)
    try:
        for answer in answers:
            assert device.run(device.client.ask(ours, b"\x22\xf1\x90")) == answer
    finally:
        ecu.stop()
    assert ecu.requests == [b"\x22\xf1\x90"] * len(answers)
    assert not any(device.isotp.counts.values())


@pytest.mark.parametrize(("block_size", "st_min"), [(0, 0), (0, 0xF3), (3, 0), (2, 2), (1, 0xF9)])
def test_can_isotp_keeps_to_what_is_asked_of_it(block_size: int, st_min: int, buses: list[can.BusABC]) -> None:
    ours = server(0x7E0, 0x7E8, block_size=block_size, st_min=st_min, pad=0xCC)
    answer = b"\x62\xf1\x90" + bytes(range(40))
    ecu = Ecu(buses[0], ADDRESSINGS["normal"][1], [[answer]])
    device = Device(buses[1], ours)
    try:
        assert device.run(device.client.ask(ours, b"\x22\xf1\x90")) == answer
    finally:
        ecu.stop()
    flows = [data for _, _, data in device.guard.log if data[0] == 0x30]
    consecutive = 6
    assert flows == [bytes([0x30, block_size, st_min]) + b"\xcc" * 5] * (-(-consecutive // block_size) if block_size else 1)


def test_can_isotp_takes_an_overflow_for_its_end_and_the_next_request_works(buses: list[can.BusABC]) -> None:
    ours = server(0x7E0, 0x7E8)
    ecu = Ecu(buses[0], ADDRESSINGS["normal"][1], [[b"\x62\xf1\x90" + bytes(510)], [b"\x62\xf1\x90\x07"]], blocking_send=False)
    device = Device(buses[1], ours)
    try:
        with pytest.raises(M.isotp.Failure, match="buffer_overflow"):
            device.run(device.client.ask(ours, b"\x22\xf1\x90"))
        assert device.run(device.client.ask(ours, b"\x22\xf1\x90")) == b"\x62\xf1\x90\x07"
    finally:
        ecu.stop()


def test_response_pending_of_can_isotp_and_a_long_answer(buses: list[can.BusABC]) -> None:
    ours = server(0x7E0, 0x7E8)
    answer = b"\x59\x02\xff" + bytes.fromhex("0420002f") * 20
    ecu = Ecu(buses[0], ADDRESSINGS["normal"][1], [[b"\x7f\x19\x78", b"\x7f\x19\x78", answer], [b"\x7f\x22\x31"]])
    device = Device(buses[1], ours)
    try:
        assert M.dtc.codes(device.run(device.client.ask(ours, M.dtc.request()))) == [(0x042000, 0x2F)] * 20
        with pytest.raises(M.isotp.Failure, match="negative 31"):
            device.run(device.client.ask(ours, b"\x22\xf1\x90"))
    finally:
        ecu.stop()


def test_several_of_can_isotp_answer_a_functional_request_at_once(buses: list[can.BusABC]) -> None:
    everyone = M.tx_guard.Ecu(0x7DF, functional=True)
    servers = [server(0x7E0 + n, 0x7E8 + n) for n in range(3)]
    answers = [b"\x49\x04\x01" + bytes([65 + n]) * 16 for n in range(3)]
    ecus = []
    for n, answer in enumerate(answers):
        address: Any = isotp.Address(Mode.Normal_11bits, txid=0x7E8 + n, rxid=0x7E0 + n)
        address.is_for_me = lambda frame, own=0x7E0 + n: frame.arbitration_id in (0x7DF, own)
        ecus.append(Ecu(buses[1 + n], address, [[answer]]))
    device = Device(buses[0], *servers, functional=everyone)
    try:
        assert device.run(device.client.ask_all(everyone, servers, b"\x09\x04")) == answers
    finally:
        for ecu in ecus:
            ecu.stop()
    first, *rest = [tx for _, tx, _ in device.guard.log]
    assert (first, sorted(rest)) == (0x7DF, [0x7E0, 0x7E1, 0x7E2])


def test_requests_are_those_of_udsoncan() -> None:
    dtc, kind = M.dtc, ReadDTCInformation.Subfunction
    for ours, theirs in (
        (dtc.count_request(8), ReadDTCInformation.make_request(kind.reportNumberOfDTCByStatusMask, status_mask=8)),
        (dtc.request(0xAF), ReadDTCInformation.make_request(kind.reportDTCByStatusMask, status_mask=0xAF)),
        (dtc.supported_request(), ReadDTCInformation.make_request(kind.reportSupportedDTCs)),
        (
            dtc.snapshot_request(0xC10087),
            ReadDTCInformation.make_request(kind.reportDTCSnapshotRecordByDTCNumber, dtc=0xC10087, snapshot_record_number=0xFF),
        ),
        (
            dtc.extended_request(0x042000, 1),
            ReadDTCInformation.make_request(
                kind.reportDTCExtendedDataRecordByDTCNumber, dtc=0x042000, extended_data_record_number=1
            ),
        ),
        (b"\x3e\x00", TesterPresent.make_request()),
    ):  # fmt: skip
        assert ours == theirs.get_payload()


def test_answers_mean_what_udsoncan_says() -> None:
    kind = ReadDTCInformation.Subfunction
    chance = random.Random(1)
    for n in range(30):
        rows = [(chance.randrange(1, 1 << 24), chance.randrange(256)) for _ in range(n)]
        answer = b"\x59\x02\xff" + b"".join(code.to_bytes(3, "big") + bytes([status]) for code, status in rows)
        theirs = ReadDTCInformation.interpret_response(udsoncan.Response.from_payload(answer), kind.reportDTCByStatusMask)
        assert M.dtc.codes(answer) == [(d.id, d.status.get_byte_as_int()) for d in theirs.service_data.dtcs] == rows
    answer = bytes.fromhex("5901ff010102")
    theirs = ReadDTCInformation.interpret_response(udsoncan.Response.from_payload(answer), kind.reportNumberOfDTCByStatusMask)
    assert M.dtc.count(answer) == theirs.service_data.dtc_count


def test_status_bits_are_called_as_by_udsoncan() -> None:
    theirs = udsoncan.Dtc.Status()
    for byte in range(256):
        theirs.set_byte(byte)
        names = {name.replace("_", "") for name, value in vars(theirs).items() if value}
        assert {name.lower().removesuffix("dtc") for name in M.dtc.status(byte)} == names


def test_snapshots_mean_what_udsoncan_says() -> None:
    lengths = {0x010C: 2, 0x0105: 1}
    config = {0x010C: udsoncan.DidCodec("2s"), 0x0105: udsoncan.DidCodec("1s")}
    answer = bytes.fromhex("5904c1008709 0102 010c1af8 01057b 0201 010c0000")
    kind = ReadDTCInformation.Subfunction.reportDTCSnapshotRecordByDTCNumber
    response = udsoncan.Response.from_payload(answer)
    theirs = ReadDTCInformation.interpret_response(response, kind, didconfig=config, dtc_snapshot_did_size=2)
    code, status, records = M.dtc.snapshot(answer, lengths)
    found = theirs.service_data.dtcs[0]
    assert (code, status) == (found.id, found.status.get_byte_as_int())
    by_record: dict[int, dict[int, bytes]] = {}
    for snapshot in found.snapshots:
        by_record.setdefault(snapshot.record_number, {})[snapshot.did] = snapshot.data[0]
    assert records == by_record
