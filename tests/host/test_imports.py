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
# What leads to a controller that sends, and who has which of it: the bus its controller, whoever makes the bus that of the board,
# the gate its `send`, and the protocols the gate's. Sockets are written to with `write`.
CONTROL = {"send", "_can", "make_can", "CAN", "MCP2515"}
REACHES = {
    "pigtail/can/bus.py": {"self._can"},
    "pigtail/can/tx_guard.py": {"can.send"},
    "pigtail/diag/isotp.py": {"self._guard.send"},
    "pigtail/diag/uds.py": {"self._guard.send"},
    "pigtail/assembly.py": {"board.make_can"},
    "pigtail/once.py": {"getattr"},  # of a module, by the name of its function
}
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
    """Whatever could lead to a controller's `send` in a module that has no business with it, under whichever name."""
    return [
        f"{name}:{line}: {what}"
        for path in sorted(firmware.rglob("*.py"))
        for name in [path.relative_to(firmware).as_posix()]
        for line, what in reaches(ast.parse(path.read_text()))
        if what not in REACHES.get(name, ())
    ]


def reaches(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) of each attribute, name, import or text that is in CONTROL, and of each `getattr` that takes any name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CONTROL:
            yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in CONTROL:
            yield node.lineno, node.id
        elif isinstance(node, ast.alias) and node.name.split(".")[-1] in CONTROL:
            yield node.lineno, f"import {node.name}"
        elif isinstance(node, ast.Constant) and node.value in CONTROL:
            yield node.lineno, repr(node.value)
        elif isinstance(node, ast.Name) and node.id == "getattr" and not has_plain_name(tree, node):
            yield node.lineno, "getattr"


def has_plain_name(tree: ast.AST, getter: ast.Name) -> bool:
    """Whether this `getattr` is called with a name that is written there."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.func is getter]
    return bool(calls) and len(calls[0].args) > 1 and isinstance(calls[0].args[1], ast.Constant)


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
    assert transmit_faults(FIRMWARE) == []
    found = {path: {what for _, what in reaches(ast.parse((FIRMWARE / path).read_text()))} for path in REACHES}
    assert found == REACHES


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
        ("pigtail/diag/poller.py", "def f(self, b):\n    driver = b.controller\n    driver.send(1, b'')"),
        ("pigtail/diag/uds.py", "def f(mcp):\n    mcp.send(1, b'')"),
        ("pigtail/can/capture.py", "def f(self):\n    mcp.send(1, b'')"),
        ("pigtail/diag/poller.py", "import board\nmake = board.make_can"),
        ("pigtail/assembly.py", "from board import make_can"),
        ("pigtail/sources/near.py", "from machine import CAN as Other"),
        ("pigtail/sources/near.py", "def f(b, name):\n    return getattr(b, name)"),
        ("pigtail/app.py", "def f(b):\n    return getattr(b, 'se' + 'nd')"),
        ("pigtail/app.py", "get = getattr"),
        ("frozen/recovery.py", "bus.send(1)"),
    ],
)
def test_transmission_is_caught(tmp_path: Path, name: str, code: str) -> None:
    faults = transmit_faults(plant(tmp_path, name, code))
    assert len({fault.split(":")[1] for fault in faults}) == 1, faults


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("driver = b._can; driver.send(1, b'')", ["b._can", "driver.send"]),
        ("mcp.send(1, b'')", ["mcp.send"]),
        ("board.make_can(500000).send(1, b'')", ["board.make_can(500000).send", "board.make_can"]),
    ],
)
def test_transmission_under_another_name_is_caught(tmp_path: Path, code: str, caught: list[str]) -> None:
    faults = transmit_faults(plant(tmp_path, "pigtail/diag/poller.py", code))
    assert sorted(faults) == sorted(f"pigtail/diag/poller.py:1: {what}" for what in caught)


def test_writing_to_the_network_passes(tmp_path: Path) -> None:
    code = "def f(self):\n    self._sock.write(b'send')\n    return getattr(self.ssl, 'check', None)"
    assert transmit_faults(plant(tmp_path, "pigtail/uplink/mqtt.py", code)) == []


@pytest.mark.parametrize("code", ["SIM = simulator()", "import os\nx = os.getenv('X')", "PIGTAIL_SIM = 1"])
def test_knowledge_of_the_simulator_is_caught(tmp_path: Path, code: str) -> None:
    assert len(simulator_faults(plant(tmp_path, "pigtail/can/bus.py", code))) == 1
