"""A mosquitto for each test that asks for one, and a reader that is soon back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_tools.reader import stream
from host_tools.sim import run
from tests.mosquitto import namespace as namespaces
from tests.mosquitto.broker import Mosquitto, bring


@pytest.fixture(scope="session")
def brought() -> None:
    bring()


@pytest.fixture
def mosquitto(brought: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Mosquitto]]:
    """Makes a broker that runs."""
    monkeypatch.setattr(stream, "FIRST_DELAY_S", 0.1)
    monkeypatch.setattr(stream, "LAST_DELAY_S", 0.2)
    made: list[Mosquitto] = []

    def make(**settings: object) -> Mosquitto:
        broker = Mosquitto(tmp_path / f"broker{len(made)}", **settings)  # type: ignore[arg-type]
        made.append(broker)
        broker.start()
        return broker

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def soon_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation does not wait long for what will not come."""
    monkeypatch.setattr(run, "DRAIN_S", 20.0)
    monkeypatch.setattr(run, "DRAIN_REAL_S", 5.0)


@pytest.fixture
def namespace() -> None:
    """The test runs in network and mount namespaces of its own, where it may do anything; it is skipped where none can be had."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if "namespace" not in pyfuncitem.fixturenames:
        return None
    if namespaces.is_inside():
        namespaces.prepare()
        return None
    namespaces.run(pyfuncitem.nodeid)
    return True
