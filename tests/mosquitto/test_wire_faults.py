"""Faults in what comes from the broker: PUBACKs that are missing, late, doubled or made up, packets that are none."""

from collections.abc import Callable, Iterator

import pytest

from tests.mosquitto.broker import Mosquitto
from tests.mosquitto.drives import Scene, assert_all_came, drive
from tests.mosquitto.faulty import Tamper

Make = Callable[..., Mosquitto]
PUBACK = 0x40
CONNACK_SIZE = 4


class Pubacks(Tamper):
    """Whole packets of the broker (all are short); `change` makes of each PUBACK what the device gets."""

    def __init__(self, change: Callable[[bytes], bytes]) -> None:
        self._change = change
        self._rest = b""

    def down(self, data: bytes) -> bytes:
        self._rest += data
        return b"".join(self._change(packet) if packet[0] == PUBACK else packet for packet in self._packets())

    def _packets(self) -> Iterator[bytes]:
        while len(self._rest) >= 2 and len(self._rest) >= 2 + self._rest[1]:
            packet, self._rest = self._rest[: 2 + self._rest[1]], self._rest[2 + self._rest[1] :]
            yield packet


def every(n: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """`change` for every n-th packet, the others as they are."""
    count = 0

    def counted(packet: bytes) -> bytes:
        nonlocal count
        count += 1
        return packet if count % n else change(packet)

    return counted


def late() -> Callable[[bytes], bytes]:
    """Each waits until three more have come, and then they come in the opposite order."""
    kept: list[bytes] = []

    def change(packet: bytes) -> bytes:
        kept.append(packet)
        if len(kept) < 4:
            return b""
        turned = b"".join(reversed(kept))
        kept.clear()
        return turned

    return change


def made_up(packet: bytes) -> bytes:
    """Acknowledges one that was never sent, and 0, which none can have."""
    return b"\x40\2\xff\xfe" + packet + b"\x40\2\0\0"


CASES: dict[str, tuple[Callable[[], Callable[[bytes], bytes]], bool]] = {  # and whether a new connection must come of it
    "missing": (lambda: every(9, lambda packet: b""), True),
    "out_of_order": (late, False),
    "duplicated": (lambda: lambda packet: packet + packet, False),
    "unknown": (lambda: made_up, False),
    "all_missing": (lambda: lambda packet: b"", True),
}


@pytest.mark.parametrize("case", CASES)
def test_fault_24_pubacks_are(mosquitto: Make, case: str) -> None:
    make, breaks = CASES[case]

    def prepare(scene: Scene) -> None:
        scene.device.tamper = lambda: Pubacks(make())

    report, scene = drive(
        mosquitto(), 60.0, at={50.0: lambda scene: setattr(scene.device, "tamper", Tamper)}, prepare=prepare, speed=6.0,
        config={"batch_ms": 500},
    )  # fmt: skip
    assert_all_came(report)
    assert (scene.device.connections > 1) == breaks
    link = scene.simulation.status["link"]
    assert isinstance(link, dict) and (int(link["unknown_pubacks"]) > 10) == (case in ("duplicated", "unknown"))


class Then(Tamper):
    """After the CONNACK come other bytes, and then the broker's: who lets them pass keeps its connection."""

    def __init__(self, other: bytes) -> None:
        self._other = other

    def down(self, data: bytes) -> bytes:
        other, self._other = self._other, b""
        return data[:CONNACK_SIZE] + other + data[CONNACK_SIZE:]


MALFORMED = (
    b"\x30\xff\xff\xff\x7f" + bytes(9000),  # 268 MB are to come
    b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
    b"\x30\x0a\xff\xfftopic..",  # a topic longer than its packet
    b"\x36\x07\0\1t\0\1ab",  # QoS 3
    b"\0\0",
    b"\xf0\0",
    b"\x40\x03\0\1\1",
    b"\x30\xfe\x1f\0\1t" + bytes(4091),  # just too long
    b"\x30\xfd\x1f\0\1t" + bytes(4091) + b"\x21\0",  # drained, and then a bad one
)


def test_fault_25_malformed_and_oversized_packets_each_end_a_connection_and_nothing_else(mosquitto: Make) -> None:
    left = list(MALFORMED)

    def prepare(scene: Scene) -> None:
        scene.device.tamper = lambda: Then(left.pop(0)) if left else Tamper()

    report, scene = drive(mosquitto(), 120.0, prepare=prepare, speed=10.0)
    assert_all_came(report)
    assert not left and report.restarts == 0
    assert scene.device.connections == len(MALFORMED) + 1


class WebPage(Tamper):
    """A captive portal in place of the broker."""

    def down(self, data: bytes) -> bytes:
        return b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n" + bytes(2000)


def test_fault_29_captive_portal_is_told_and_the_data_kept(mosquitto: Make) -> None:
    report, scene = drive(
        mosquitto(), prepare=lambda scene: setattr(scene.device, "tamper", WebPage),
        at={12.0: lambda scene: setattr(scene.device, "tamper", Tamper)},
    )  # fmt: skip
    assert_all_came(report)
    link = scene.simulation.status["link"]
    assert isinstance(link, dict) and link["last_failure"].endswith("portal, a web server answers")
