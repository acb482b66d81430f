"""Sizes: the order in which modules are charged, and that all of the firmware is in the table."""

import shutil
from pathlib import Path

import pytest

from host_tools.paths import BUILD
from host_tools.toolchain import build, micropython, size, tls_size


def test_imports_are_read_from_the_source(tmp_path: Path) -> None:
    tree = {
        "main.py": "import pigtail.app",
        "pair.py": "import struct",
        "pigtail/uptime.py": "",
        "pigtail/can/bus.py": "from pigtail import uptime\nfrom micropython import const",
        "pigtail/app.py": "def f():\n    import pigtail.can.bus\nfrom pair import Pair",
    }
    for name, text in tree.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert size.imports_of(tmp_path) == {
        "pair": {"struct"},
        "pigtail.uptime": set(),
        "pigtail.can.bus": {"pigtail.uptime", "micropython"},
        "pigtail.app": {"pigtail.can.bus", "pair"},
    }


def test_every_module_has_bytes_for_both_boards_and_takes_heap() -> None:
    rows = size.sizes()
    assert {row.name for row in rows} >= {"asyncio", "umqtt.simple", "pair", "pigtail.app"}
    for row in rows[1:]:
        assert row.simulator and row.device and row.heap > 0, row


@pytest.mark.skipif(not shutil.which("openssl"), reason="certificates are made by openssl, which is not here")
def test_tls_takes_heap_and_more_of_the_process() -> None:
    interpreter = micropython.find()
    tree = build.firmware(BUILD / "size" / interpreter.mpy_arch, interpreter.mpy_arch)
    cost = tls_size.measure(interpreter, tree)
    assert 0 < cost.module < 8192
    assert 0 < cost.connection < 8192
    assert cost.process > cost.connection


def test_sizes_are_told_where_tls_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host_tools.sim.certificates.shutil.which", lambda name: None)
    assert size._tls() == "TLS: not measured, this machine has no openssl"
