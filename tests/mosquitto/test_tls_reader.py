"""A reader and a mosquitto that speaks TLS: who is trusted, who is not, and one line that says why."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from host_tools.errors import BrokerError, InputError
from host_tools.reader import Subscribed, Trust, listen
from host_tools.reader.connection import Connection, parse
from host_tools.sim import broker
from host_tools.sim.certificates import Authority, Certificate
from host_tools.toolchain import mosquitto

if not mosquitto.find():
    pytest.skip("no mosquitto: `make setup` brings one", allow_module_level=True)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(ca: Authority) -> Certificate:
    return ca.issue("good", "IP:127.0.0.1")


def first_event(folder: Path, certificate: Certificate, trust: Trust, client_ca: Path | None = None, user: str = "") -> object:
    """What a listener gets first from a mosquitto with that certificate."""

    async def main() -> object:
        async with broker.start(None, directory=folder, certificate=certificate, client_ca=client_ca) as running:
            listener = listen(f"mqtts://{user}127.0.0.1:{running.device_port}", trust=trust)
            try:
                return await anext(listener)
            finally:
                await listener.aclose()

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_broker_of_a_ca_that_is_named_is_listened_to(tmp_path: Path, ca: Authority, good: Certificate) -> None:
    event = first_event(tmp_path, good, Trust(ca.certificate), user="me:secret@")
    assert isinstance(event, Subscribed) and str(event.address).startswith("mqtts://127.0.0.1:")


@pytest.mark.parametrize("case", ["no CA named", "another CA", "another host", "expired"])
def test_fault_28_reader_refuses_a_broker_that_it_cannot_trust(
    tmp_path: Path, ca: Authority, good: Certificate, case: str
) -> None:
    own = Authority(tmp_path / "other") if case == "another CA" else ca
    trust = Trust() if case == "no CA named" else Trust(own.certificate)
    shown = good
    if case == "another host":
        shown = ca.issue("elsewhere", "DNS:elsewhere.example")
    elif case == "expired":
        shown = ca.issue("expired", "IP:127.0.0.1", first=timedelta(days=-9), last=timedelta(days=-1))
    with pytest.raises(BrokerError, match=r": its certificate is not trusted \(.+\); name its CA with --ca") as error:
        first_event(tmp_path, shown, trust)
    assert "\n" not in str(error.value)


def test_broker_that_asks_for_a_certificate_gets_it(tmp_path: Path, ca: Authority, good: Certificate) -> None:
    own = ca.issue("reader")
    trust = Trust(ca.certificate, own.certificate, own.key)
    assert isinstance(first_event(tmp_path, good, trust, client_ca=ca.certificate), Subscribed)


def test_broker_that_asks_for_a_certificate_and_gets_none_is_one_line(tmp_path: Path, ca: Authority, good: Certificate) -> None:
    with pytest.raises(BrokerError, match=r"no connection to a broker at mqtts://") as error:
        first_event(tmp_path, good, Trust(ca.certificate), client_ca=ca.certificate)
    assert "\n" not in str(error.value)


def test_plain_text_where_tls_is_spoken_and_the_other_way_round(tmp_path: Path, ca: Authority, good: Certificate) -> None:
    async def main() -> None:
        async with broker.start(None, directory=tmp_path, certificate=good) as running:
            for url in f"mqtt://127.0.0.1:{running.device_port}", f"mqtts://127.0.0.1:{running.address.port}":
                trust = Trust(ca.certificate) if url.startswith("mqtts") else None
                with pytest.raises(BrokerError, match=r"no connection to a broker") as error:
                    async with Connection(parse(url, trust), timeout=3):
                        raise AssertionError("connected")
                assert "\n" not in str(error.value)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize(
    ("trust", "says"),
    [
        (Trust(Path("/nowhere.pem")), "--ca /nowhere.pem: cannot be read"),
        (Trust(Path(__file__)), "no PEM that can be used"),
        (Trust(None, Path("/nowhere.pem"), Path("/nowhere.key")), "--cert /nowhere.pem with --key /nowhere.key: cannot be read"),
        (Trust(None, Path("/nowhere.pem")), "--cert and --key belong together"),
        (Trust(None, None, Path("/nowhere.pem")), "--cert and --key belong together"),
    ],
)
def test_files_that_cannot_be_used_are_bad_input(trust: Trust, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse("mqtts://broker", trust)


def test_key_of_another_certificate_is_bad_input(ca: Authority, good: Certificate) -> None:
    other = ca.issue("other")
    with pytest.raises(InputError, match="the key is another's"):
        parse("mqtts://broker", Trust(ca.certificate, good.certificate, other.key))


def test_files_for_a_broker_in_plain_text_are_bad_input(ca: Authority) -> None:
    with pytest.raises(InputError, match="name the broker as mqtts://"):
        parse("mqtt://broker", Trust(ca.certificate))
