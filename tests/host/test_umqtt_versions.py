"""What the firmware's client takes from umqtt.simple is in both: 1.3.4, and the newer one that ESP32 builds freeze."""

import ast
from pathlib import Path

import pytest

from host_tools.paths import CACHE, FIRMWARE, ROOT
from host_tools.toolchain import umqtt

NEWER = CACHE / "stubs" / "umqtt" / "simple.pyi"  # of the package with the ESP32's stubs: signatures, and the attributes
USED = {"client_id", "server", "port", "user", "pswd", "keepalive", "ssl", "sock", "pid", "cb"}
LAST_WILL = {"lw_topic", "lw_msg", "lw_qos", "lw_retain"}


def client(path: Path) -> ast.ClassDef:
    if not path.exists():
        pytest.skip(f"{path.name} is not here: make lint brings it")
    return next(n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef) and n.name == "MQTTClient")


def arguments(of: ast.ClassDef, method: str) -> list[str]:
    function = next(n for n in of.body if isinstance(n, ast.FunctionDef) and n.name == method)
    return [argument.arg for argument in function.args.args]


def attributes(of: ast.ClassDef) -> set[str]:
    """Those that a stub declares, or that the constructor sets."""
    declared = {n.target.id for n in of.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return declared | {n.attr for n in ast.walk(of) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}


@pytest.fixture(params=["1.3.4", "newer"])
def base(request: pytest.FixtureRequest) -> ast.ClassDef:
    return client(umqtt.find() if request.param == "1.3.4" else NEWER)


def test_constructor_and_last_will_take_what_ours_hands_on(base: ast.ClassDef) -> None:
    ours = next(
        n for n in ast.parse((FIRMWARE / "pigtail/uplink/mqtt.py").read_text()).body
        if isinstance(n, ast.ClassDef) and n.name == "Client"
    )  # fmt: skip
    assert arguments(ours, "__init__") == [*arguments(base, "__init__"), "size"]
    assert arguments(base, "set_last_will") == ["self", "topic", "msg", "retain", "qos"]


def test_subscribing_has_umqtt_s_words(base: ast.ClassDef) -> None:
    ours = next(n for n in ast.parse((FIRMWARE / "pigtail/uplink/subscriber.py").read_text()).body if isinstance(n, ast.ClassDef))
    assert arguments(ours, "subscribe") == arguments(base, "subscribe")
    assert len(arguments(base, "set_callback")) == 2


def test_attributes_that_ours_reads_are_there(base: ast.ClassDef) -> None:
    assert attributes(base) >= USED | LAST_WILL


def test_stand_in_of_the_firmware_s_tests_is_the_newer_one_s_like() -> None:
    stand_in = client(ROOT / "tests" / "firmware" / "umqtt_newer.py")
    for method in "__init__", "set_last_will", "set_callback":
        assert arguments(stand_in, method) == arguments(client(NEWER), method)
    assert attributes(stand_in) == attributes(client(NEWER))
