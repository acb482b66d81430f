"""The virtual car's ECUs, in their own time: what they say to each service, when, in which frames, and how they misbehave."""

import re
from pathlib import Path

import can
import pytest

from host_tools.errors import InputError
from host_tools.paths import ROOT
from host_tools.sim.ecus import Ecus
from host_tools.sim.ecus.file import load, load_all

DEMO = ROOT / "host_tools" / "sim" / "ecus" / "demo.toml"
TX, RX, EVERYONE = 0x7E0, 0x7E8, 0x7DF
HEAD = """
[states]
locked = [[30, 60]]
[[ecus]]
name = "engine"
tx_id = 0x7e0
rx_id = 0x7e8
"""
DATA = """
[ecus.dids]
f190 = { text = "KMHXX00XXXX000000" }
0101 = { ramp = [0, 1000], seconds = 10, bytes = 2 }
0102 = { steps = [[0, "00"], [20, "01"]] }
0103 = "0a"
"""
OBD = """
[ecus.pids]
0c = "1af8"
0d = "32"
21 = "0007"
[ecus.freeze]
02 = "0420"
0c = "1af8"
[ecus.infos]
02 = { text = "KMHXX00XXXX000000" }
04 = { text = "PIGTAIL-ENGINE-1PIGTAIL-ENGINE-2" }
[ecus.locals]
01 = "ffee"
"""
CODES = """
[[ecus.codes]]
code = "P0420"
snapshot = { "010c" = "1af8", "010d" = "32" }
extended = { "01" = "05" }
[[ecus.codes]]
code = "U0100-87"
status = 0x04
since = 20
until = 100
[[ecus.codes]]
code = "B1234"
status = 0x40
permanent = true
"""


class Car:
    """ECUs of a text, asked in their own time."""

    def __init__(self, folder: Path, text: str) -> None:
        path = folder / "car.toml"
        path.write_text(text)
        self.ecus = Ecus(load(path))

    def sends(self, tx: int, data: str, at: float = 0.0) -> list[tuple[float, int, str]]:
        """(time in ms since, id, data) of what comes upon a frame."""
        frame = can.Message(at, tx, tx > 0x7FF, data=bytes.fromhex(data))
        said = self.ecus.answer(frame)
        return [(round((m.timestamp - at) * 1000, 1), m.arbitration_id, bytes(m.data).hex()) for m in said]

    def asks(self, request: str, at: float = 0.0, tx: int = TX) -> str:
        """The answer of the first who answers to a request in a single frame, put together; "" when nobody does."""
        data = bytes.fromhex(request)
        said = self.sends(tx, bytes([len(data), *data]).hex(), at)
        if not said:
            return ""
        first = bytes.fromhex(said[0][2])
        if first[0] < 8:
            return first[1 : 1 + first[0]].hex()
        whole = first[2:]
        for _, _, frame in self.sends(TX, "300000", at + 0.1):
            whole += bytes.fromhex(frame)[1:]
        return whole[: (first[0] & 15) << 8 | first[1]].hex()


@pytest.fixture
def car(tmp_path: Path) -> Car:
    return Car(tmp_path, HEAD + DATA + OBD + CODES)


def misbehaving(folder: Path, manners: str, head: str = HEAD, data: str = DATA) -> Car:
    return Car(folder, f"{head}{data}[[ecus.behaviours]]\n{manners}\n")


VIN = b"KMHXX00XXXX000000".hex()


@pytest.mark.parametrize(
    ("request_", "at", "answer"),
    [
        ("22f190", 0, "62f190" + VIN),
        ("220101", 5, "62010101f4"),
        ("220101", 99, "62010103e8"),
        ("220102", 19.9, "62010200"),
        ("220102", 20, "62010201"),
        ("22010301020103", 0, "6201030a0102000103" + "0a"),
        ("220103f1ff", 0, "6201030a"),
        ("22f1ff", 0, "7f2231"),
        ("22f1", 0, "7f2213"),
        ("22", 0, "7f2213"),
        ("1101", 0, "7f1111"),
        ("2703", 0, "7f2711"),
        ("1001", 0, "5001003201f4"),
        ("1081", 0, ""),
        ("1002", 0, "7f1012"),
        ("3e00", 0, "7e00"),
        ("3e80", 0, ""),
        ("3e01", 0, "7f3e12"),
        ("3e", 0, "7f3e13"),
        ("1901ff", 0, "5901ff010002"),
        ("1901ff", 20, "5901ff010003"),
        ("190208", 20, "5902ff0420002f"),
        ("1902ff", 20, "5902ff0420002fc1008704923400" + "40"),
        ("1902ff", 100, "5902ff0420002f923400" + "40"),
        ("190a", 0, "590aff0420002fc100870092340040"),
        ("1904042000ff", 0, "59040420002f0102010c1af8010d32"),
        ("190404200001", 0, "59040420002f0102010c1af8010d32"),
        ("190404200002", 0, "7f1931"),
        ("1904c10087ff", 0, "7f1931"),
        ("1904c10087ff", 20, "5904c1008704"),
        ("190604200001", 0, "59060420002f0105"),
        ("1906042000ff", 0, "59060420002f0105"),
        ("190604200002", 0, "7f1931"),
        ("1903", 0, "7f1912"),
        ("1902", 0, "7f1913"),
        ("19", 0, "7f1913"),
        ("14ffffff", 0, "54"),
        ("14012345", 0, "7f1431"),
        ("14ff", 0, "7f1413"),
        ("0100", 0, "410000180001"),
        ("0120", 0, "412080000000"),
        ("0140", 0, ""),
        ("010c", 0, "410c1af8"),
        ("010c0d11", 0, "410c1af80d32"),
        ("0111", 0, ""),
        ("020200", 0, "4202000420"),
        ("020c00", 0, "420c001af8"),
        ("020c01", 0, ""),
        ("020000", 0, "42000040100000"),
        ("03", 20, "43010420"),
        ("07", 20, "47020420c100"),
        ("0a", 0, "4a019234"),
        ("0900", 0, "490050000000"),
        ("0902", 0, "490201" + VIN),
        ("0904", 0, "490402" + b"PIGTAIL-ENGINE-1PIGTAIL-ENGINE-2".hex()),
        ("0906", 0, ""),
        ("2101", 0, "6101ffee"),
        ("2102", 0, "7f2112"),
        ("1800ff00", 0, "7f1811"),
    ],
)
def test_answers_are_those_of_the_standards(car: Car, request_: str, at: float, answer: str) -> None:
    assert car.asks(request_, at) == answer


def test_kwp_codes_are_two_bytes_and_a_status(tmp_path: Path) -> None:
    assert Car(tmp_path, HEAD + "services = [0x18]" + CODES).asks("1800ff00", 20) == "58030420" + "2fc10004923440"


@pytest.mark.parametrize("clearing", ["14ffffff", "04"])
def test_cleared_codes_are_gone_but_for_permanent_ones_and_those_that_come_later(car: Car, clearing: str) -> None:
    car.asks(clearing, 10)
    assert car.asks("1902ff", 11) == "5902ff"
    assert car.asks("0a", 11) == "4a019234"
    assert car.asks("1902ff", 20) == "5902ffc1008704"


@pytest.mark.parametrize("clearing", ["14ffffff", "14042000", "04"])
def test_freeze_frame_goes_with_its_code(car: Car, clearing: str) -> None:
    assert (car.asks("020200", 9), car.asks("020c00", 9)) == ("4202000420", "420c001af8")
    car.asks(clearing, 10)
    assert (car.asks("020200", 11), car.asks("020c00", 11)) == ("4202000000", "")
    assert car.asks("020000", 12) == "42000040000000"


def test_freeze_frame_of_no_code_of_this_ecu_goes_when_all_are_cleared(tmp_path: Path) -> None:
    for text, code in ('02 = "0171"', "0171"), ("", ""):
        car = Car(tmp_path, HEAD + OBD.replace('02 = "0420"', text) + CODES)
        car.asks("14042000", 1)
        assert (car.asks("020200", 2), car.asks("020c00", 2)) == (code and "420200" + code, "420c001af8")
        car.asks("14ffffff", 3)
        assert (car.asks("020200", 4), car.asks("020c00", 4)) == ("4202000000", "")


def test_codes_that_an_ecu_can_have_are_told_after_a_clearing_too(car: Car) -> None:
    car.asks("14ffffff", 1)
    assert car.asks("190a", 2) == "590aff042000" + "50" + "c10087" + "50" + "923400" + "50"
    assert car.asks("190a", 20) == "590aff042000" + "50" + "c10087" + "04" + "923400" + "50"
    assert (car.asks("1902ff", 2), car.asks("190208", 2)) == ("5902ff", "5902ff")


def test_one_code_is_cleared_alone(car: Car) -> None:
    assert car.asks("14042000") == "54"
    assert car.asks("1902ff", 1) == "5902ff92340040"


def test_all_who_have_something_to_say_answer_a_functional_request() -> None:
    ecus = Ecus(load(DEMO))

    def asks(data: str, at: float = 0.0) -> list[tuple[int, str]]:
        said = ecus.answer(can.Message(at, EVERYONE, False, data=bytes.fromhex(data)))
        return [(message.arbitration_id, bytes(message.data).hex()) for message in said]

    assert asks("0322f190") == [(0x7EA, "101462f190504947"), (0x7EC, "101462f190504947")]
    assert asks("0101") == []  # too short: no PID
    assert asks("020100") == [(0x7EA, "0641008018000300")]
    assert asks("03220301") == [(0x7EA, "0562030101250000")]
    assert asks("021101") == []
    assert asks("300000", 0.5) == []  # a flow control to everyone
    assert len(ecus.answer(can.Message(0.6, 0x7E4, False, data=b"\x30\0\0"))) == 2


def test_fixed_addressing_answers_its_own_functional_id(tmp_path: Path) -> None:
    car = Car(tmp_path, '[[ecus]]\nname = "e"\ntx_id = 0x18da10f1\nrx_id = 0x18daf110\n' + DATA)
    for tx in 0x18DA10F1, 0x18DB33F1:
        assert [(rx, data) for _, rx, data in car.sends(tx, "03220103")] == [(0x18DAF110, "046201030a000000")]
    assert car.sends(EVERYONE, "03220103") == []


@pytest.mark.parametrize(("prefix", "rx_prefix"), [(0x07, 0xF1), (0x2A, 0x2A)])
def test_prefixes_stand_before_every_frame(tmp_path: Path, prefix: int, rx_prefix: int) -> None:
    car = Car(tmp_path, f"{HEAD}prefix = {prefix}\nrx_prefix = {rx_prefix}\n{DATA}")
    assert car.sends(TX, f"{prefix:02x}0322f190") == [(5.0, RX, f"{rx_prefix:02x}101462f1904b4d")]
    said = car.sends(TX, f"{prefix:02x}300000", 0.1)
    assert [frame[:4] for _, _, frame in said] == [f"{rx_prefix:02x}{n}" for n in (21, 22, 23)]
    assert car.sends(TX, f"{prefix ^ 1:02x}0322f190", 0.2) == car.sends(TX, "0322f190", 0.2) == []


def times(car: Car, flow: str, at: float = 0.1) -> list[float]:
    return [ms for ms, _, _ in car.sends(TX, flow, at)]


@pytest.mark.parametrize(
    ("st_min", "gap_ms"),
    [(0, 0.3), (1, 1.0), (0x7F, 127.0), (0xF1, 0.3), (0xF5, 0.5), (0xF9, 0.9), (0x80, 127.0), (0xFF, 127.0)],
)
def test_separation_time_is_kept(car: Car, st_min: int, gap_ms: float) -> None:
    car.sends(TX, "0322f190")
    assert times(car, f"3000{st_min:02x}") == pytest.approx([0.3, 0.3 + gap_ms], abs=0.06)


def test_block_size_is_kept_and_each_block_awaits_its_flow_control(car: Car) -> None:
    car.sends(TX, "020904")  # 35 bytes: a first frame and 5 consecutive ones
    blocks = [[frame[:2] for _, _, frame in car.sends(TX, "300200", at)] for at in (0.1, 0.2, 0.3, 0.4)]
    assert blocks == [["21", "22"], ["23", "24"], ["25"], []]


def test_fault_38_flow_control_wait_for_ever_ends_the_answer(car: Car) -> None:
    car.sends(TX, "0322f190")
    assert [times(car, "310000", 0.9 * n) for n in range(1, 12)] == [[]] * 11
    assert times(car, "300000", 10.0) == [] and car.ecus.ecus[0].counts["too_many_waits"] == 1


def test_answer_goes_on_after_some_waits(car: Car) -> None:
    car.sends(TX, "0322f190")
    assert times(car, "310000", 0.9) == times(car, "310000", 1.8) == []
    assert len(times(car, "300000", 2.7)) == 2


@pytest.mark.parametrize(("flow", "outcome"), [("320000", "overflow"), ("330000", "invalid_fs"), ("3f0000", "invalid_fs")])
def test_fault_38_flow_control_that_forbids_ends_the_answer(car: Car, flow: str, outcome: str) -> None:
    car.sends(TX, "0322f190")
    assert times(car, flow) == times(car, "300000", 0.2) == []
    assert car.ecus.ecus[0].counts[outcome] == 1


def test_fault_38_flow_control_that_is_late_ends_the_answer_by_n_bs(car: Car) -> None:
    car.sends(TX, "0322f190")
    assert times(car, "300000", 1.1) == []
    assert car.ecus.ecus[0].counts["timeout_bs"] == 1


def test_request_while_an_answer_waits_is_dropped(car: Car) -> None:
    car.sends(TX, "0322f190")
    assert car.sends(TX, "023e00", 0.1) == [] and len(times(car, "300000", 0.2)) == 2
    assert car.sends(TX, "023e00", 0.3) != []
    assert car.ecus.ecus[0].counts["dropped"] == 1


def test_long_request_is_put_together_by_the_blocks_that_it_asks_for(tmp_path: Path) -> None:
    car = Car(tmp_path, HEAD + "block_size = 1\nst_min = 0xf3\n" + DATA)
    assert car.sends(TX, "1011220103010301") == [(0.3, RX, "3001f30000000000")]
    assert car.sends(TX, "2103010301030103", 0.1) == [(0.3, RX, "3001f30000000000")]
    assert [frame for _, _, frame in car.sends(TX, "2201030103", 0.2)] == ["101962" + "01030a0103"]
    assert car.sends(TX, "2201030103", 0.3) == []


@pytest.mark.parametrize("frame", ["2203010301030103", "2103010301030103"])
def test_long_request_with_a_wrong_sequence_or_a_late_frame_comes_to_nothing(car: Car, frame: str) -> None:
    car.sends(TX, "100c220103010301")
    assert car.sends(TX, frame, 0.1 if frame < "21" or frame > "22" else 1.1) == []


@pytest.mark.parametrize("frame", ["", "00", "0722f190", "0f22f190", "21", "30", "4022f190", "1007220103010301"])
def test_frames_that_mean_nothing_are_not_answered(car: Car, frame: str) -> None:
    assert car.sends(TX, frame) == []


def test_pad_is_as_the_file_says(tmp_path: Path) -> None:
    for said, frame in (("0xaa", "027e00aaaaaaaaaa"), ('"none"', "027e00")):
        assert Car(tmp_path, f"{HEAD}pad = {said}\n").sends(TX, "023e00") == [(5.0, RX, frame)]


def test_pending_storm_comes_before_the_answer(tmp_path: Path) -> None:
    car = misbehaving(tmp_path, 'request = "22"\npending = 3\npending_ms = 40\ndelay_ms = 20')
    said = car.sends(TX, "03220103")
    assert said == [(20.0 + 40 * n, RX, "037f227800000000") for n in range(3)] + [(140.0, RX, "046201030a000000")]


def test_busy_so_many_times(tmp_path: Path) -> None:
    car = misbehaving(tmp_path, 'request = "22"\nnrc = 0x21\ntimes = 2')
    assert [car.asks("220103", n) for n in range(3)] == ["7f2221", "7f2221", "6201030a"]
    assert car.asks("3e00", 4) == "7e00"


def test_silence_after_so_many(tmp_path: Path) -> None:
    car = misbehaving(tmp_path, "after = 2\nsilent = true")
    assert [car.asks("3e00", n) for n in range(4)] == ["7e00", "7e00", "", ""]


def test_silence_for_some_time(tmp_path: Path) -> None:
    car = misbehaving(tmp_path, "since = 10\nuntil = 20\nsilent = true")
    assert [car.asks("3e00", n) for n in (9, 10, 19, 20)] == ["7e00", "", "", "7e00"]


def test_fault_41_answer_late_twice_elsewhere_or_to_another_request(tmp_path: Path) -> None:
    late = misbehaving(tmp_path, "delay_ms = 1500\ncopies = 2\ncopies_ms = 30")
    assert late.sends(TX, "023e00") == [(1500.0, RX, "027e000000000000"), (1530.0, RX, "027e000000000000")]
    elsewhere = misbehaving(tmp_path, "answer_id = 0x808")
    assert elsewhere.sends(TX, "023e00") == [(5.0, 0x808, "027e000000000000")]
    assert {rx for _, rx, _ in elsewhere.sends(TX, "0322f190", 1) + elsewhere.sends(TX, "300000", 1.1)} == {0x808}
    assert misbehaving(tmp_path, 'answer = "62 ff ff 00"').asks("220103") == "62ffff00"


def consecutive(folder: Path, manners: str) -> list[tuple[float, str]]:
    """(ms since the flow control, first byte and more) of an answer of five consecutive frames."""
    car = misbehaving(folder, manners, data=OBD)
    car.sends(TX, "020904")
    return [(ms, frame) for ms, _, frame in car.sends(TX, "300001", 0.1)]


@pytest.mark.parametrize(
    ("manners", "numbers"),
    [
        ("wrong_sequence = 3", ["21", "22", "24", "24", "25"]),
        ("lost_frame = 2", ["21", "23", "24", "25"]),
        ("stop_after = 2", ["21", "22"]),
        ('interleaved = "7f 22 31"', ["21", "03", "22", "23", "24", "25"]),
    ],
)
def test_consecutive_frames_misbehave(tmp_path: Path, manners: str, numbers: list[str]) -> None:
    assert [frame[:2] for _, frame in consecutive(tmp_path, manners)] == numbers


def test_answer_that_is_split_pauses_in_its_middle(tmp_path: Path) -> None:
    assert [ms for ms, _ in consecutive(tmp_path, "split_ms = 600")] == [0.3, 1.3, 602.3, 603.3, 604.3]


@pytest.mark.parametrize(("length", "head"), [(0, "1000"), (3, "1003"), (4095, "1fff"), (100_000, "1000000186a0")])
def test_fault_37_first_frame_tells_an_odd_length(tmp_path: Path, length: int, head: str) -> None:
    car = misbehaving(tmp_path, f"first_frame_length = {length}")
    assert car.sends(TX, "0322f190")[0][2].startswith(head)


def test_fault_37_frames_of_any_kind(tmp_path: Path) -> None:
    car = misbehaving(tmp_path, 'frames = ["2101", "0f62", "10 00 ff ff ff ff 00 00"]')
    assert car.sends(TX, "023e00") == [(5.0, RX, "2101"), (6.0, RX, "0f62"), (7.0, RX, "1000ffffffff0000")]


def test_fault_37_flow_controls_flood(tmp_path: Path) -> None:
    said = misbehaving(tmp_path, "flow_controls = 50").sends(TX, "023e00")
    assert said[:2] == [(5.0, RX, "3000000000000000"), (6.0, RX, "3000000000000000")]
    assert len(said) == 51 and said[50] == (55.0, RX, "027e000000000000")


def test_ends_may_be_inf(tmp_path: Path) -> None:
    head = HEAD.replace("60]", "inf]") + 'silent_while = ["locked"]\n'
    car = misbehaving(tmp_path, 'request = "3e"\ntimes = inf\nuntil = inf\nnrc = 0x21', head=head)
    assert [car.asks("3e00", at) for at in (0, 29, 1e9)] == ["7f3e21", "7f3e21", ""]


def test_alarm_goes_off_when_the_locked_car_is_asked(tmp_path: Path) -> None:
    car = Car(tmp_path, HEAD + 'alarm_while = ["locked"]\n')
    for tx, at in (TX, 29.9), (0x123, 40), (TX, 60):
        car.sends(tx, "023e00", at)
    assert car.ecus.alarms == 0
    for tx, at in (TX, 30), (EVERYONE, 59.9):
        car.sends(tx, "023e00", at)
    assert car.ecus.alarms == 2


def test_ecu_that_sleeps_says_nothing(tmp_path: Path) -> None:
    car = Car(tmp_path, HEAD + 'silent_while = ["locked"]\n')
    assert [car.asks("3e00", at) for at in (29, 30, 60)] == ["7e00", "", "7e00"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "not TOML"),
        ("[states]", '"ecus" is missing'),
        ("ecus = [1]", "ecu 1: a table is expected"),
        ("[[ecus]]\nname = 'e'", 'ecu 1: "rx_id" is missing'),
        (HEAD + "colour = 1", 'ecu 1: unknown key "colour"'),
        (HEAD.replace("0x7e0", "0x20000000"), 'ecu 1: "tx_id" must be from 0 to 0x1fffffff, not 536870912'),
        (HEAD.replace("30, 60", "60, 30"), "state locked: give"),
        (HEAD + 'alarm_while = ["asleep"]', 'ecu 1: alarm_while: there is no state "asleep"'),
        (HEAD + 'alarm_while = [["locked"]]', "ecu 1: alarm_while: there is no state \"['locked']\""),
        (HEAD + "silent_while = [{}]", 'ecu 1: silent_while: there is no state "{}"'),
        (HEAD + "prefix = 1", "ecu 1: prefix and rx_prefix: give both or neither"),
        (HEAD + "services = [0x27]", "ecu 1: service 27 is not one that a virtual ECU knows"),
        (HEAD + "delay_ms = -1", 'ecu 1: "delay_ms" must be a number from 0 on, not -1'),
        (HEAD + "delay_ms = inf", 'ecu 1: "delay_ms" must be 3600000 at most, not inf'),
        (HEAD + 'pad = "some"', 'ecu 1: "pad" must be of type int'),
        (HEAD + '[ecus.dids]\nf1 = "00"', 'ecu 1: dids: "f1" is no identifier: give 4 hexadecimal digits'),
        (HEAD + '[ecus.dids]\n"-101" = "00"', 'dids: "-101" is no identifier: give 4 hexadecimal digits'),
        (HEAD + '[ecus.dids]\n"1_01" = "00"', 'dids: "1_01" is no identifier'),
        (HEAD + '[ecus.pids]\n"+1" = "00"', 'pids: "+1" is no identifier: give 2 hexadecimal digits'),
        (HEAD + '[ecus.pids]\n" 1" = "00"', 'pids: " 1" is no identifier'),
        (HEAD + '[[ecus.codes]]\ncode = "P0420"\nextended = { "-1" = "05" }', 'ecu 1: code 1: "-1" is no identifier'),
        (HEAD + '[[ecus.codes]]\ncode = "P0420"\nsince = inf', 'ecu 1: code 1: "since" must be 3600000 at most'),
        (HEAD + '[ecus.dids]\nf190 = "0"', "ecu 1: dids: \"f190\": '0' are no bytes"),
        (HEAD + "[ecus.dids]\nf190 = 1", 'ecu 1: dids: "f190": 1 is no value'),
        (HEAD + "[ecus.dids]\nf190 = " + "[" * 5000, "not TOML: "),
        (HEAD + f"[ecus.dids]\nf190 = {{ steps = [[1{'0' * 400}, '00']] }}", 'give [seconds, "bytes"]'),
        (HEAD + "[ecus.dids]\nf190 = { steps = [] }", "steps: give at least one, in order of time"),
        (HEAD + "[ecus.dids]\nf190 = { ramp = [0, 256], seconds = 1, bytes = 1 }", "fit 1 to 8 bytes, 1 here"),
        (HEAD + "[ecus.dids]\nf190 = { ramp = [0, 1], seconds = 0, bytes = 1 }", "seconds above 0"),
        (HEAD + '[[ecus.codes]]\ncode = "X0420"', 'ecu 1: code 1: "X0420" is no trouble code'),
        (HEAD + '[[ecus.behaviours]]\nrequest = "2"', "ecu 1: behaviour 1: request: '2' are no bytes"),
        (HEAD + '[[ecus.behaviours]]\ninterleaved = "00000000000000"', "interleaved: one to six bytes"),
        (HEAD + '[[ecus.behaviours]]\nframes = ["000000000000000000"]', "frames: a frame has eight bytes at most"),
        (HEAD + "[[ecus.behaviours]]\nsilent = 1", '"silent" must be true or false, not 1'),
        (HEAD + "[[ecus.behaviours]]\ncopies = 0", "copies: from 1 on"),
        (HEAD + "[[ecus.behaviours]]\ndelay_ms = inf", 'behaviour 1: "delay_ms" must be 3600000 at most'),
        (HEAD + "[[ecus.behaviours]]\npending_ms = inf", 'behaviour 1: "pending_ms" must be 3600000 at most'),
        (HEAD + "[[ecus.behaviours]]\ncopies_ms = 3600001", 'behaviour 1: "copies_ms" must be 3600000 at most, not 3600001'),
        (HEAD + "[[ecus.behaviours]]\nsplit_ms = inf", 'behaviour 1: "split_ms" must be 3600000 at most'),
        (HEAD + "[[ecus.behaviours]]\npending = 10001", 'behaviour 1: "pending" must be from 0 to 10000, not 10001'),
        (HEAD + "[[ecus.behaviours]]\ncopies = 536870911", 'behaviour 1: "copies" must be from 0 to 10000'),
        (HEAD + "[[ecus.behaviours]]\nflow_controls = 536870911", 'behaviour 1: "flow_controls" must be from 0 to 10000'),
        (HEAD + "[[ecus.behaviours]]\npending = 36\npending_ms = 100_001", "pending times pending_ms: 3600000 at most"),
        (HEAD + "[[ecus.behaviours]]\ncopies = 36\ncopies_ms = 100_001", "copies times copies_ms: 3600000 at most"),
        (HEAD + '[[ecus.behaviours]]\nanswer = ""', "answer: at least one byte"),
        (HEAD + "[[ecus.behaviours]]\nnrc = 256", '"nrc" must be from 0 to 0xff'),
    ],
)  # fmt: skip
def test_bad_file_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and said in line and "\n" not in line


def test_example_of_the_documentation_is_a_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(\[states\].*?)```", (ROOT / "docs" / "diagnostics.md").read_text(), re.DOTALL)
    assert Car(tmp_path, example).asks("220110", 20, 0x7E4) == "62011001"


def test_two_ecus_that_could_not_be_told_apart_are_refused(tmp_path: Path) -> None:
    one, same_id, same_name = (tmp_path / name for name in ("one", "two", "three"))
    one.write_text(HEAD)
    same_id.write_text(HEAD.replace("engine", "gearbox"))
    same_name.write_text(HEAD.replace("0x7e0", "0x7e1"))
    with pytest.raises(InputError, match="gearbox is asked at 0x7e0 like engine"):
        load_all([one, same_id])
    with pytest.raises(InputError, match="there is an ecu engine already"):
        load_all([one, same_name])
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
