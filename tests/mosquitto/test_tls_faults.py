"""Fault 28 against a mosquitto with TLS: what must not be trusted is refused with its reason and hears nothing; data wait."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from uplink_on_device import outcome

from host_tools.sim.certificates import Authority
from tests.mosquitto.broker import HOST, Mosquitto
from tests.mosquitto.drives import Scene, assert_all_came, drive

if not shutil.which("openssl"):
    pytest.skip("certificates are made by openssl, which is not here", allow_module_level=True)

Make = Callable[..., Mosquitto]
DAY = timedelta(days=1)
LOCAL = "IP:127.0.0.1"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_certificate_of_the_ca_is_trusted(mosquitto: Make, tmp_path: Path, ca: Authority) -> None:
    broker = mosquitto(tls=ca.issue("good", LOCAL))
    assert outcome(tmp_path, broker.port, ca=ca.certificate) == ["online", "", "ca", [1]]
    assert "Received PUBLISH from dev" in broker.log()


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("wrong_ca", "not signed by the CA"),
        ("expired", "expired"),
        ("not_yet_valid", "not yet valid"),
        ("wrong_host", "of another host"),
    ],
)
def test_fault_28_certificate_is(mosquitto: Make, tmp_path: Path, ca: Authority, case: str, reason: str) -> None:
    times = {"expired": {"first": -10 * DAY, "last": -DAY}, "not_yet_valid": {"first": DAY, "last": 9 * DAY}}.get(case, {})
    host = "DNS:other.example" if case == "wrong_host" else LOCAL
    broker = mosquitto(tls=ca.issue(case, host, **times))
    trusted = Authority(tmp_path / "other") if case == "wrong_ca" else ca
    told = outcome(tmp_path, broker.port, ca=trusted.certificate)
    assert told == ["untrusted", f"{HOST}: untrusted, certificate {reason}", "ca", []]
    assert " as dev " not in broker.log()


@pytest.mark.parametrize("commands", [False, True])
def test_fault_28_expired_certificate_keeps_the_data_until_it_is_renewed(mosquitto: Make, ca: Authority, commands: bool) -> None:
    broker = mosquitto(tls=ca.issue("old", LOCAL, first=-10 * DAY, last=-DAY))
    good = ca.issue("new", LOCAL)

    def give_ca(scene: Scene) -> None:
        shutil.copyfile(ca.certificate, scene.simulation.board.folder / "ca.pem")

    def renew(scene: Scene) -> None:
        scene.device.shut()  # until the reader has subscribed again
        scene.broker.restart(good)

    acts = {0.0: give_ca, 16.0: renew, 20.0: lambda scene: scene.device.open()}
    own: dict[str, object] = {} if commands else {"command.key": ""}
    report, scene = drive(broker, at=acts, config={"mqtt.tls": 1, "mqtt.ca_file": "/run/ca.pem", **own})
    assert_all_came(report)
    told = scene.simulation.status
    assert "certificate expired" in str(told["link"]) and told["broker"] == {"state": "online", "host": HOST, "trust": "ca"}
