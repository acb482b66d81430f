"""Faults that need a network of the test's own: packets dropped and rejected by nftables, a name server that lies or hangs."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from host_tools.sim.board import VirtualBoard
from tests.mosquitto import namespace as namespaces
from tests.mosquitto.broker import Mosquitto
from tests.mosquitto.drives import Act, Scene, assert_all_came, drive
from tests.mosquitto.names import ANSWER, DENY, FAIL, HANG, NameServer

Make = Callable[..., Mosquitto]
HOST = "broker.test"


@pytest.fixture
def nft(namespace: None) -> list[str]:
    return namespaces.nft()


@pytest.fixture
def own_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board asks the machine's resolver, not the simulator's own."""
    make = VirtualBoard.__init__

    def made(self: VirtualBoard, *args: object, **named: object) -> None:
        make(self, *args, **named)  # type: ignore[arg-type]
        (self.folder / "names").unlink()

    monkeypatch.setattr(VirtualBoard, "__init__", made)


def rule(nft: list[str], what: str) -> Act:
    """From now on this happens to what the device sends to the broker and gets from it."""

    def act(scene: Scene) -> None:
        port = scene.device.port
        script = f"""
        table inet faults {{
          chain in {{ type filter hook input priority 0;
            tcp dport {port} {what}
            tcp sport {port} {what}
          }}
        }}"""
        subprocess.run([*nft, "-f", "-"], input=script, text=True, check=True)

    return act


def flush(nft: list[str]) -> Act:
    return lambda scene: subprocess.run([*nft, "delete", "table", "inet", "faults"], check=True) and None


@pytest.mark.parametrize("what", ["drop", "reject with tcp reset", "reject"])
def test_fault_21_packets_dropped_and_rejected_for_a_while(mosquitto: Make, nft: list[str], what: str) -> None:
    report, scene = drive(mosquitto(), 60.0, at={8.0: rule(nft, what), 40.0: flush(nft)}, speed=6.0)
    assert_all_came(report)
    assert scene.device.connections >= 2


def test_fault_21_every_fifth_packet_dropped(mosquitto: Make, nft: list[str]) -> None:
    report, _ = drive(mosquitto(), 40.0, at={5.0: rule(nft, "numgen random mod 5 0 drop"), 35.0: flush(nft)})
    assert_all_came(report)


@pytest.mark.parametrize("fault", [DENY, FAIL, HANG], ids=["that_does_not_exist", "whose_server_fails", "whose_server_hangs"])
@pytest.mark.usefixtures("namespace", "own_resolver")
def test_fault_27_name(mosquitto: Make, tmp_path: Path, fault: int) -> None:
    names = NameServer(tmp_path, timeout_s=15)
    names.does = fault

    def heal(scene: Scene) -> None:
        names.does = ANSWER

    report, scene = drive(mosquitto(), 60.0, at={25.0: heal}, speed=5.0, config={"mqtt.host": HOST})
    assert_all_came(report)
    assert names.asked >= 2 and scene.device.connections == 1
    link = scene.simulation.status["link"]
    assert isinstance(link, dict) and link["last_failure"].startswith(f"{HOST}: unreachable, ") and report.restarts == 0


@pytest.mark.usefixtures("namespace", "own_resolver")
def test_fault_27_address_that_changes_is_found_anew(mosquitto: Make, tmp_path: Path) -> None:
    names = NameServer(tmp_path, timeout_s=5)

    def move(scene: Scene) -> None:
        names.address = "127.0.0.2"
        scene.device.shut()

    report, scene = drive(mosquitto(), at={10.0: move}, moved_to="127.0.0.2", config={"mqtt.host": HOST})
    assert_all_came(report)
    assert scene.moved and scene.moved.connections == scene.device.connections == 1


@pytest.mark.usefixtures("namespace", "own_resolver")
def test_fault_27_hanging_names_later_on_leave_the_connection_alone(mosquitto: Make, tmp_path: Path) -> None:
    names = NameServer(tmp_path, timeout_s=5)

    def hang(scene: Scene) -> None:
        names.does = HANG

    report, scene = drive(mosquitto(), at={6.0: hang}, config={"mqtt.host": HOST})
    assert_all_came(report)
    assert scene.device.connections == 1


@pytest.mark.usefixtures("namespace", "own_resolver")
def test_fault_27_hanging_name_of_the_clock_keeps_nobody_from_the_broker_s(mosquitto: Make, tmp_path: Path) -> None:
    names = NameServer(tmp_path, timeout_s=30)
    names.silent_on = "clock"
    config = {"mqtt.host": HOST, "clock.host": "clock.test"}
    report, scene = drive(mosquitto(), at={10.0: lambda scene: scene.device.reset()}, config=config)
    assert_all_came(report)
    assert names.asked > 2 and scene.device.connections == 2
