"""diag/dtc: trouble codes of all three standards, and answers that are cut short."""

from pigtail.diag import dtc
from pigtail.diag.isotp import Failure
from runner import raises


def test_text():
    for code, text in (
        (0x042000, "P0420"), (0xC10087, "U0100-87"), (0x000001, "P0000-01"), (0x3FFF00, "P3FFF"), (0x456712, "C0567-12"),
        (0x9A1B1C, "B1A1B-1C"), (0xFFFFFF, "U3FFF-FF"), (0x0A9B00, "P0A9B"), (0xD16F87, "U116F-87"),
    ):  # fmt: skip
        assert dtc.text(code) == text


def test_status_bits():
    assert dtc.status(0) == []
    assert dtc.status(0x2F) == [
        "testFailed", "testFailedThisOperationCycle", "pendingDTC", "confirmedDTC", "testFailedSinceLastClear",
    ]  # fmt: skip
    assert dtc.status(0xD0) == [
        "testNotCompletedSinceLastClear", "testNotCompletedThisOperationCycle", "warningIndicatorRequested",
    ]  # fmt: skip


def test_kwp_status_bits():
    storage = [dtc.kwp_status(byte)[0] for byte in (0x0F, 0x20, 0x40, 0x60)]
    assert storage == ["noDTCDetected", "notPresent", "intermittent", "present"]
    assert dtc.kwp_status(0xF3) == ["present", "testNotCompleted", "warningIndicatorRequested"]


def test_requests():
    assert dtc.count_request(8).hex() == "190108"
    assert dtc.request().hex() == "1902ff"
    assert dtc.supported_request().hex() == "190a"
    assert dtc.snapshot_request(0xC10087).hex() == "1904c10087ff"
    assert dtc.extended_request(0x042000, 1).hex() == "190604200001"
    assert dtc.ALL.hex() == "1800ff00"


def test_codes_of_iso_14229():
    assert dtc.codes(b"\x59\x02\xff") == []
    assert dtc.codes(bytes.fromhex("5902ff 042000 2f c10087 08")) == [(0x042000, 0x2F), (0xC10087, 0x08)]
    assert dtc.codes(bytes.fromhex("590a7f 123456 50")) == [(0x123456, 0x50)]
    assert dtc.count(bytes.fromhex("5901ff010102")) == 0x102


def test_codes_of_sae_j1979_have_no_status():
    for service in b"\x43\x47\x4a":
        head = bytes([service])
        assert dtc.codes(head + b"\0") == []
        assert dtc.codes(head + bytes.fromhex("02 0420 c100")) == [(0x042000, None), (0xC10000, None)]
        assert dtc.codes(head + bytes.fromhex("01 0420 0000 0000")) == [(0x042000, None)], "filled up"
        assert dtc.codes(head + bytes.fromhex("02 0420 0000")) == [(0x042000, None)], "and counted"


def test_codes_of_iso_14230():
    assert dtc.codes(bytes.fromhex("58 02 0420 e1 4567 24")) == [(0x042000, 0xE1), (0x456700, 0x24)]
    assert dtc.codes(b"\x58\0") == []


def test_snapshots():
    answer = bytes.fromhex("5904 c10087 09 01 02 010c 1af8 0105 7b 02 01 010c 0000")
    code, status, records = dtc.snapshot(answer, {0x010C: 2, 0x0105: 1})
    assert (dtc.text(code), status) == ("U0100-87", 9)
    assert records == {1: {0x010C: b"\x1a\xf8", 0x0105: b"\x7b"}, 2: {0x010C: b"\0\0"}}
    assert dtc.snapshot(answer, {0x010C: 2})[2] == {1: {0x010C: b"\x1a\xf8", None: bytes.fromhex("01057b0201010c0000")}}
    assert dtc.snapshot(answer[:6], {}) == (0xC10087, 9, {}), "nothing was stored"


def test_extended_records():
    assert dtc.extended(bytes.fromhex("5906 042000 2f 01 05 02 0007")) == (0x042000, 0x2F, b"\1\5\2\0\7")


def test_answers_that_are_cut_short():
    lengths = {0x010C: 2, 0x0105: 1}
    whole = bytes.fromhex("5904c1008709 0102 010c1af8 01057b")
    cut = "5902", "5902ff04", "5902ff042000", "43", "430104", "43020420", "58010420"
    cases = [(dtc.codes, bytes.fromhex(text)) for text in cut]
    cases += [(dtc.count, b"\x59\1\xff\1\0"), (dtc.extended, b"\x59\6\0\0\0")]
    cases += [(lambda answer: dtc.snapshot(answer, lengths), whole[:n]) for n in range(2, len(whole)) if n != 6]
    for take, answer in cases:
        with raises(Failure) as caught:
            take(answer)
        assert caught.error.code == "form"
