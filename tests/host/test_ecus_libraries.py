"""The virtual car's ECUs against other people's testers: `udsoncan` asks them over `can-isotp`, which refuses what is wrong."""

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import can
import isotp
import pytest
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import NegativeResponseException, TimeoutException

from host_tools.sim.ecus import Ecus
from host_tools.sim.ecus.file import load

VIN = "KMHXX00XXXX000000"
ENGINE = """
[[ecus]]
name = "engine"
tx_id = 0x7e0
rx_id = 0x7e8
"""
DATA = f"""
[ecus.dids]
f190 = {{ text = "{VIN}" }}
0101 = "1af8"
0102 = "00"
0103 = "0102030405060708090a0b0c0d0e0f101112131415"
[[ecus.codes]]
code = "P0420"
snapshot = {{ "0101" = "1af7", "0102" = "32" }}
extended = {{ "01" = "05" }}
[[ecus.codes]]
code = "U0100-87"
status = 0x04
"""
Mode = isotp.AddressingMode


class EcuBus(can.BusABC):
    """A bus in memory with these ECUs on it, in real time."""

    def __init__(self, ecus: Ecus) -> None:
        super().__init__(channel="ecus")
        self._ecus = ecus
        self._began = time.monotonic()
        self._due: list[tuple[float, int, can.Message]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        with self._changed:
            msg.timestamp = self._now()
            for said in self._ecus.answer(msg):
                heapq.heappush(self._due, (said.timestamp, next(self._numbers), said))
            self._changed.notify_all()

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        until = None if timeout is None else self._now() + timeout
        with self._changed:
            while not (self._due and self._due[0][0] <= self._now()):
                ends = [at for at in (until, self._due[0][0] if self._due else None) if at is not None]
                if until is not None and self._now() >= until:
                    return None, True
                self._changed.wait(min(ends) - self._now() if ends else None)
            return heapq.heappop(self._due)[2], True

    def _now(self) -> float:
        return time.monotonic() - self._began


class Asker:
    """A udsoncan client on such a bus; `errors` are those that can-isotp met."""

    def __init__(self, ecus: Ecus, address: isotp.Address, settings: dict[str, Any]) -> None:
        self.errors: list[type[Exception]] = []
        self.ecus = ecus
        self.bus = EcuBus(ecus)
        self.stack = isotp.CanStack(
            self.bus, address=address, error_handler=lambda error: self.errors.append(type(error)),
            params={"tx_padding": 0, "rx_consecutive_frame_timeout": 3000} | settings,
        )  # fmt: skip
        config = udsoncan.configs.default_client_config | {
            "data_identifiers": {0xF190: udsoncan.AsciiCodec(17), 0xF191: "B", 0x0101: ">H", 0x0102: "B", 0x0103: "21s"},
            "request_timeout": 10, "p2_timeout": 5, "p2_star_timeout": 5, "extended_data_size": 1,
        }  # fmt: skip
        self.client = Client(PythonIsoTpConnection(self.stack), config=config)
        self.client.open()

    def soon_gives_up(self) -> "Asker":
        """The same, where an answer is to fail."""
        self.client.set_config("p2_timeout", 0.5)
        return self

    def close(self) -> None:
        self.client.close()
        self.bus.shutdown()


@pytest.fixture
def testers(tmp_path: Path) -> Iterator[Callable[..., Asker]]:
    """testers(text of a file, address, settings of can-isotp): an asker of these ECUs."""
    opened: list[Asker] = []

    def start(text: str, address: isotp.Address | None = None, **settings: Any) -> Asker:
        path = tmp_path / "car.toml"
        path.write_text(text)
        normal = isotp.Address(Mode.Normal_11bits, txid=0x7E0, rxid=0x7E8)
        opened.append(Asker(Ecus(load(path)), address or normal, settings))
        return opened[-1]

    yield start
    for tester in opened:
        tester.close()


def ids(tx: int, rx: int, prefixes: str = "") -> str:
    return ENGINE.replace("0x7e0", f"{tx:#x}").replace("0x7e8", f"{rx:#x}") + prefixes + DATA


ADDRESSINGS = {
    "normal": (ids(0x7E0, 0x7E8), isotp.Address(Mode.Normal_11bits, txid=0x7E0, rxid=0x7E8)),
    "another offset": (ids(0x744, 0x7AE), isotp.Address(Mode.Normal_11bits, txid=0x744, rxid=0x7AE)),
    "normal, 29 bits": (ids(0x17FC0076, 0x17FE0076), isotp.Address(Mode.Normal_29bits, txid=0x17FC0076, rxid=0x17FE0076)),
    "normal fixed": (
        ids(0x18DA10F1, 0x18DAF110),
        isotp.Address(Mode.NormalFixed_29bits, target_address=0x10, source_address=0xF1),
    ),
    "extended": (
        ids(0x6F1, 0x607, "prefix = 0x07\nrx_prefix = 0xf1\n"),
        isotp.Address(Mode.Extended_11bits, txid=0x6F1, rxid=0x607, source_address=0xF1, target_address=0x07),
    ),
    "mixed": (
        ids(0x750, 0x758, "prefix = 0x2a\nrx_prefix = 0x2a\n"),
        isotp.Address(Mode.Mixed_11bits, txid=0x750, rxid=0x758, address_extension=0x2A),
    ),
    "mixed, 29 bits": (
        ids(0x18CE10F1, 0x18CEF110, "prefix = 0x55\nrx_prefix = 0x55\n"),
        isotp.Address(Mode.Mixed_29bits, target_address=0x10, source_address=0xF1, address_extension=0x55),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ADDRESSINGS)
def test_udsoncan_reads_the_vin_by_every_addressing(name: str, testers: Callable[..., Asker]) -> None:
    tester = testers(*ADDRESSINGS[name])
    assert tester.client.read_data_by_identifier_first(0xF190) == VIN
    assert tester.errors == []


@pytest.mark.parametrize(("block_size", "st_min"), [(0, 0), (0, 0xF3), (1, 0xF9), (2, 5), (3, 0)])
def test_answers_keep_to_what_can_isotp_asks_for(block_size: int, st_min: int, testers: Callable[..., Asker]) -> None:
    tester = testers(ENGINE + DATA, blocksize=block_size, stmin=st_min)
    assert tester.client.read_data_by_identifier_first(0x0103) == (bytes(range(1, 0x16)),)
    assert tester.errors == []


@pytest.mark.parametrize("manners", ["", "block_size = 1\nst_min = 0xf5\n"])
def test_long_request_for_several_identifiers_is_answered(manners: str, testers: Callable[..., Asker]) -> None:
    values = testers(ENGINE + manners + DATA).client.read_data_by_identifier([0xF190, 0x0101, 0x0102, 0x0103]).service_data.values
    assert values == {0xF190: VIN, 0x0101: (0x1AF8,), 0x0102: (0,), 0x0103: (bytes(range(1, 0x16)),)}


def test_udsoncan_reads_trouble_codes_their_snapshots_and_clears_them(testers: Callable[..., Asker]) -> None:
    client = testers(ENGINE + DATA).client

    def codes(answer: Any) -> list[tuple[int, int]]:
        return [(code.id, code.status.get_byte_as_int()) for code in answer.service_data.dtcs]

    assert client.get_number_of_dtc_by_status_mask(0xFF).service_data.dtc_count == 2
    assert codes(client.get_dtc_by_status_mask(0x08)) == [(0x042000, 0x2F)]
    assert codes(client.get_supported_dtc()) == [(0x042000, 0x2F), (0xC10087, 0x04)]
    found = client.get_dtc_snapshot_by_dtc_number(0x042000).service_data.dtcs[0]
    assert [(s.record_number, s.did, s.data) for s in found.snapshots] == [(1, 0x0101, (0x1AF7,)), (1, 0x0102, (0x32,))]
    extended = client.get_dtc_extended_data_by_dtc_number(0x042000, 1).service_data.dtcs[0].extended_data
    assert [(e.record_number, e.raw_data) for e in extended] == [(1, b"\x05")]
    client.clear_dtc(0xFFFFFF)
    assert client.get_number_of_dtc_by_status_mask(0xFF).service_data.dtc_count == 0


def test_udsoncan_keeps_the_default_session(testers: Callable[..., Asker]) -> None:
    client = testers(ENGINE + DATA).client
    client.tester_present()
    assert client.change_session(1).service_data.p2_server_max == 0.05


@pytest.mark.parametrize(
    ("ask", "nrc"),
    [
        (lambda client: client.read_data_by_identifier(0xF191), 0x31),
        (lambda client: client.change_session(2), 0x12),
        (lambda client: client.ecu_reset(1), 0x11),
        (lambda client: client.get_dtc_extended_data_by_dtc_number(0x123456, 1), 0x31),
        (lambda client: client.send_request(udsoncan.Request(udsoncan.services.ClearDiagnosticInformation, data=b"\xff")), 0x13),
    ],
)
def test_negative_answers_are_those_of_the_standard(
    ask: Callable[[Client], Any], nrc: int, testers: Callable[..., Asker]
) -> None:
    with pytest.raises(NegativeResponseException) as caught:
        ask(testers(ENGINE + DATA).client)
    assert caught.value.response.code == nrc


def test_udsoncan_waits_through_a_storm_of_response_pending(testers: Callable[..., Asker]) -> None:
    tester = testers(ENGINE + DATA + "[[ecus.behaviours]]\npending = 10\npending_ms = 60")
    assert tester.client.read_data_by_identifier_first(0xF190) == VIN


@pytest.mark.parametrize(
    ("manners", "error"),
    [
        ("wrong_sequence = 1", isotp.WrongSequenceNumberError),
        ("lost_frame = 1", isotp.WrongSequenceNumberError),
        ("stop_after = 1", isotp.ConsecutiveFrameTimeoutError),
        ("split_ms = 800", isotp.ConsecutiveFrameTimeoutError),
        ("interleaved = '7f 22 31'", isotp.ReceptionInterruptedWithSingleFrameError),
        ("copies = 2\ncopies_ms = 1", isotp.ReceptionInterruptedWithFirstFrameError),
        ("first_frame_length = 60000", isotp.FrameTooLongError),
        ("frames = ['21 00 00 00 00 00 00 00']", isotp.UnexpectedConsecutiveFrameError),
        ("frames = ['0f 62 f1 90 00 00 00 00']", isotp.InvalidCanDataError),
        ("flow_controls = 3\nanswer = '7f 22 31'", isotp.UnexpectedFlowControlError),
    ],
)
def test_can_isotp_refuses_frames_that_misbehave(manners: str, error: type[Exception], testers: Callable[..., Asker]) -> None:
    text = f"{ENGINE}{DATA}[[ecus.behaviours]]\ntimes = 1\n{manners}"
    tester = testers(text, stmin=2, rx_consecutive_frame_timeout=200).soon_gives_up()
    with contextlib.suppress(TimeoutException, NegativeResponseException):  # of an answer that comes twice, one is whole
        tester.client.read_data_by_identifier(0xF190)
    assert tester.errors[:1] == [error]


@pytest.mark.parametrize("manners", ["silent = true", "answer_id = 0x7f8", "delay_ms = 900"])
def test_udsoncan_gives_up_when_nothing_comes_in_time(manners: str, testers: Callable[..., Asker]) -> None:
    tester = testers(f"{ENGINE}{DATA}[[ecus.behaviours]]\n{manners}").soon_gives_up()
    with pytest.raises(TimeoutException):
        tester.client.read_data_by_identifier(0x0101)
    assert tester.errors == []


def test_udsoncan_refuses_the_answer_of_another_request(testers: Callable[..., Asker]) -> None:
    tester = testers(f"{ENGINE}{DATA}[[ecus.behaviours]]\nanswer = '62 01 02 00'")
    with pytest.raises(udsoncan.exceptions.UnexpectedResponseException):
        tester.client.read_data_by_identifier(0x0101)


def test_overflow_of_can_isotp_ends_the_answer_and_the_next_request_is_served(testers: Callable[..., Asker]) -> None:
    tester = testers(ENGINE + DATA, max_frame_size=12).soon_gives_up()
    with pytest.raises(TimeoutException):
        tester.client.read_data_by_identifier(0xF190)
    tester.client.set_config("p2_timeout", 5)
    assert tester.errors == [isotp.FrameTooLongError]
    assert tester.client.read_data_by_identifier_first(0x0102) == (0,)
    assert tester.ecus.ecus[0].counts["overflow"] == 1
