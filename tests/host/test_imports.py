"""The arrows of the firmware: who may import whom, that nobody transmits, and that nobody knows of the simulator.

`can -> signals -> diag -> sources -> policy -> outbox -> uplink -> control`: a folder imports itself and what stands before it.
Leaves (`config`, `health`, `power` and single modules such as `uptime`) import nothing of pigtail but leaves. Only `app` and
`assembly`, which makes its parts, see all. What `once.call` names is imported.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.paths import FIRMWARE

FLOW = [{"can"}, {"signals"}, {"diag"}, {"sources"}, {"policy"}, {"outbox"}, {"uplink"}, {"control"}]
LEAVES = {"config", "health", "power"}
SEES_ALL = {"app", "assembly"}
BY_NAME = "once"  # imports what it is told
SIMULATOR = re.compile(r"simulat|getenv|environ|PIGTAIL_SIM", re.IGNORECASE)


def arrow_faults(firmware: Path) -> list[str]:
    """Imports that go against the flow, as lines `file:line: what`."""
    return [
        f"{path.relative_to(firmware)}:{line}: {part} must not import {target}"
        for path in modules(firmware)
        for part in [path.relative_to(firmware / "pigtail").with_suffix("").parts[0]]
        if part not in SEES_ALL
        for target, line in imports(firmware, path)
        if target != part and target not in allowed(firmware, part)
    ]


def allowed(firmware: Path, part: str) -> set[str]:
    """The parts of pigtail that `part` may import besides itself."""
    leaves = LEAVES | {path.stem for path in (firmware / "pigtail").glob("*.py")} - SEES_ALL
    stage = next((n for n, names in enumerate(FLOW) if part in names), None)
    if stage is not None:
        return leaves.union(*FLOW[:stage])
    assert part in leaves, f"firmware/pigtail/{part} has no place in the flow: give it one here"
    return leaves


def imports(firmware: Path, path: Path) -> Iterator[tuple[str, int]]:
    """(part of pigtail, line) of every import in the file, inside functions too, absolute and relative."""
    package = list(path.relative_to(firmware).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "once.call") and path.stem != BY_NAME:
            names = [ast.literal_eval(node.args[0])]
        for name in names:
            words = name.split(".")
            if words[0] == "pigtail" and len(words) > 1:
                yield words[1], node.lineno


def transmit_faults(firmware: Path) -> list[str]:
    """References to `send` in can and signals, and on anything that is called a bus or a CAN controller elsewhere."""
    faults = []
    for path in [*modules(firmware), *firmware.glob("*.py")]:
        near_the_bus = bool({"can", "signals"} & set(path.relative_to(firmware).parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if (isinstance(node, ast.Attribute) and node.attr == "send") or _getattr_send(node):
                owner = ast.unparse(node.value if isinstance(node, ast.Attribute) else node)
                if near_the_bus or re.search(r"\b_?(bus|can|controller)\b", owner, re.IGNORECASE):
                    faults.append(f"{path.relative_to(firmware)}:{node.lineno}: {owner} transmits")
    return faults


def _getattr_send(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and "'send'" in ast.unparse(node)
    )


def simulator_faults(firmware: Path) -> list[str]:
    """Lines of code that know of the simulator or read the environment; the firmware is the same on a real board."""
    return [
        f"{path.relative_to(firmware)}:{number}: {line.strip()}"
        for path in [*modules(firmware), *sorted(firmware.glob("*.py"))]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SIMULATOR.search(line)
    ]


def modules(firmware: Path) -> list[Path]:
    return sorted((firmware / "pigtail").rglob("*.py"))


def test_imports_follow_the_flow() -> None:
    assert modules(FIRMWARE)
    assert arrow_faults(FIRMWARE) == []


def test_nothing_transmits_but_the_gate() -> None:
    faults = transmit_faults(FIRMWARE)
    assert [fault.split(":")[0] for fault in faults] == ["pigtail/can/tx_guard.py"], faults


def test_nothing_knows_of_the_simulator() -> None:
    assert simulator_faults(FIRMWARE) == []


def plant(tmp_path: Path, name: str, code: str) -> Path:
    """A firmware tree whose one odd module is `name`."""
    for path in ("pigtail/app.py", "pigtail/uptime.py", "pigtail/can/bus.py", name):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / name).write_text(code)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pigtail/can/bus.py", "from pigtail.uplink.mqtt import Client"),
        ("pigtail/can/bus.py", "def late():\n    import pigtail.signals.table"),
        ("pigtail/can/bus.py", "from ..policy import sampling"),
        ("pigtail/can/bus.py", "from pigtail import outbox"),
        ("pigtail/signals/table.py", "import pigtail.diag.isotp"),
        ("pigtail/outbox/ring.py", "__import__('pigtail.uplink.mqtt')"),
        ("pigtail/outbox/ring.py", "once.call('pigtail.uplink.mqtt', 'Client')"),
        ("pigtail/config/store.py", "from pigtail.can.bus import Bus"),
        ("pigtail/uptime.py", "import pigtail.health.x, pigtail.app"),
    ],
)
def test_import_against_the_flow_is_caught(tmp_path: Path, name: str, code: str) -> None:
    assert len(arrow_faults(plant(tmp_path, name, code))) == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (
            "pigtail/uplink/session.py",
            "from pigtail.outbox import ring\nfrom pigtail import uptime\nimport pigtail.can.bus",
        ),
        ("pigtail/app.py", "from pigtail.uplink import mqtt\nimport pigtail.can.bus"),
        (
            "pigtail/can/bus.py",
            "import machine\nfrom pigtail.can import rates\nfrom pigtail.config import store",
        ),
    ],
)
def test_import_with_the_flow_passes(tmp_path: Path, name: str, code: str) -> None:
    assert arrow_faults(plant(tmp_path, name, code)) == []


def test_folder_without_a_place_is_caught(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="has no place"):
        arrow_faults(plant(tmp_path, "pigtail/extra/thing.py", "import pigtail.can.bus"))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pigtail/can/bus.py", "def f(controller):\n    controller.send(1, b'')"),
        ("pigtail/signals/table.py", "def f(x):\n    g = x.send\n    g(1)"),
        ("pigtail/app.py", "def f(self):\n    self._can.send(1, b'')"),
        ("pigtail/uplink/mqtt.py", "def f(bus):\n    getattr(bus, 'send')(1)"),
        ("main.py", "bus.send(1)"),
    ],
)
def test_transmission_is_caught(tmp_path: Path, name: str, code: str) -> None:
    assert len(transmit_faults(plant(tmp_path, name, code))) == 1


def test_sending_to_the_network_passes(tmp_path: Path) -> None:
    assert (
        transmit_faults(plant(tmp_path, "pigtail/uplink/mqtt.py", "def f(self):\n    self._sock.send(b'')"))
        == []
    )


@pytest.mark.parametrize("code", ["SIM = simulator()", "import os\nx = os.getenv('X')", "PIGTAIL_SIM = 1"])
def test_knowledge_of_the_simulator_is_caught(tmp_path: Path, code: str) -> None:
    assert len(simulator_faults(plant(tmp_path, "pigtail/can/bus.py", code))) == 1
