"""The configuration that a simulation writes for its device is one that the device takes."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from host_tools import cli
from host_tools.config import draft, firmware
from host_tools.reader.connection import parse
from host_tools.sim import scenario
from host_tools.sim.run import Simulation


@pytest.mark.parametrize("url", ["mqtt://127.0.0.1", "mqtt://me@127.0.0.1", "mqtt://me:secret@127.0.0.1"])
def test_device_takes_the_account_of_the_broker_s_url(url: str) -> None:
    profile = scenario.profile((), (), 1000, lambda line: None)
    simulation = Simulation(scenario.Scenario(profile, iter(()), 1.0, 1.0, ()))
    ways = cast(Any, SimpleNamespace(port=1883, sntp_port=123))
    address = parse(url)
    config = firmware.check(simulation._config(address, ways))
    assert (config["mqtt.user"], config["mqtt.password"]) == (address.user or "", address.password or "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("requests.profile=12345678", "12345678"), ("mqtt.user=a=b", "a=b"), ('mqtt.user="a b"', "a b"), ("mqtt.window=4", 4),
        ('state={"*": 1000}', {"*": 1000}), ("requests.profile=1e100000", "1e100000"),
    ],
)  # fmt: skip
def test_settings_are_of_the_type_that_the_key_takes(text: str, value: object) -> None:
    key, _, _ = text.partition("=")
    assert draft.value(text) == (key, value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nope=1", "unknown key 'nope'"),
        ("batch_ms", "give KEY=VALUE"),
        ("batch_ms=5", "batch_ms: 5 is not in"),
    ],
)
def test_settings_that_the_device_would_not_take_are_one_line(
    text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["sim", "--for", "1", "--set", text])
    err = capsys.readouterr().err
    assert (
        ended.value.code == 2 and err.startswith("pigtail: error: ") and said in err and err.count("\n") == 1
    )
