"""diag/obd: what an ECU has, and what it says of itself, by service of SAE J1979."""

from ecus import Asked, Bench, segmented, server
from pigtail.diag import obd
from pigtail.diag.isotp import Failure
from runner import raises


def test_supported():
    assert obd.supported(bytes.fromhex("4100be1fa813")) == [
        1, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 19, 21, 28, 31, 32,
    ]  # fmt: skip
    assert obd.supported(bytes.fromhex("414000000001")) == [0x60]
    assert obd.supported(bytes.fromhex("42000080000000")) == [1]
    assert obd.supported(bytes.fromhex("490055400000")) == [2, 4, 6, 8, 10]
    for cut in "4100be1fa8", "4200000000":
        with raises(Failure):
            obd.supported(bytes.fromhex(cut))


async def test_discovery_goes_on_as_long_as_the_ecu_says():
    asked = []
    answers = {"0100": "410080000001", "0120": "412080000001", "0140": "414080000000"}

    async def ask(request):
        asked.append(request.hex())
        return bytes.fromhex(answers[request.hex()])

    assert await obd.discover(ask) == [0x01, 0x21, 0x41]
    assert asked == ["0100", "0120", "0140"]


async def test_discovery_of_frozen_data_and_of_all_there_can_be():
    asked = []

    async def ask(request):
        asked.append(request.hex())
        return bytes([request[0] | 0x40, request[1]]) + request[2:] + b"\xff\xff\xff\xff"

    assert await obd.discover(ask, 2) == [pid for pid in range(1, 256) if pid & 31]
    assert asked == ["02%02x00" % base for base in range(0, 256, 32)]


async def test_discovery_of_an_ecu_that_stops_answering():
    async def ask(request):
        if request[1] >= len(told) * 32:
            raise Failure("no_answer")
        return told[request[1] >> 5]

    told = [bytes.fromhex("4100c0000001")]
    assert await obd.discover(ask) == [1, 2]
    told = []
    try:
        await obd.discover(ask)
    except Failure as failure:
        assert failure.code == "no_answer"
    else:
        raise AssertionError("an ECU that says nothing has nothing")


async def test_discovery_through_the_gate():
    e = server()
    bench = Bench(e)
    task = Asked(obd.discover(lambda request: bench.client.ask(e, request)))
    for answer in "410080000001", "412080000000":
        await bench.runs(200)
        bench.hears(0x7E8, *segmented(bytes.fromhex(answer)))
    await bench.runs(10)
    assert task.outcome == [1, 0x21]


def test_values():
    assert obd.request(0x0C, 0x0D).hex() == "010c0d"
    assert obd.frozen_request(0x0C).hex() == "020c00"
    assert obd.values(bytes.fromhex("410c1af8"), {}) == {0x0C: b"\x1a\xf8"}
    lengths = {0x0C: 2, 0x0D: 1}
    assert obd.values(bytes.fromhex("410d32 0c1af8"), lengths) == {0x0C: b"\x1a\xf8", 0x0D: b"\x32"}
    assert obd.values(bytes.fromhex("420c001af8 0d0032"), lengths) == {0x0C: b"\x1a\xf8", 0x0D: b"\x32"}
    for cut in "410c", "410c1a", "410d320c", "420c001a", "410c1af80d":
        with raises(Failure):
            obd.values(bytes.fromhex(cut), lengths)
    with raises(Failure):
        obd.values(b"\x41\x0c", {})


def test_vin_calibrations_and_name():
    assert obd.texts(b"\x49\x02\x01WVWZZZE1ZMP000123", 17) == ["WVWZZZE1ZMP000123"]
    assert obd.texts(b"\x49\x04\x02" + b"OSEVB682R2-D0000" + b"37805-RBB-J530\0\0", 16) == ["OSEVB682R2-D0000", "37805-RBB-J530"]
    assert obd.texts(b"\x49\x0a\x01ECM\0-EngineControl\0\0", 20) == ["ECM?-EngineControl"]
    assert obd.texts(b"\x49\x02\x01" + b"\xff" * 17, 17) == [""]
    assert obd.texts(b"\x49\x04\0", 16) == []
    for wrong in b"\x49\x02", b"\x49\x02\x01WVW", b"\x49\x02\x02WVWZZZE1ZMP000123":
        with raises(Failure):
            obd.texts(wrong, 17)
