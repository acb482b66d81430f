"""What `firmware/pigtail/diag/room.py` says of the heap is what the compiled firmware takes of it."""

import os
import subprocess

import pytest

from host_tools.paths import BOARDS, BUILD
from host_tools.toolchain import build, micropython

# A device that has started, as far as its modules and all their names go, which stay; then who asks two ECUs, by a schedule where
# there are requests.
TAKEN = """
import gc
import pigtail.app, pigtail.assembly, pigtail.control.commands, pigtail.control.listing, pigtail.uplink.subscriber
import pigtail.config.schema, pigtail.config.store, pigtail.health.crashes, pigtail.outbox.boots, pigtail.outbox.mounting
import pigtail.signals.asking, pigtail.signals.aside, pigtail.signals.guards, pigtail.signals.in_force, pigtail.signals.loading
import pigtail.signals.quality
from pigtail import once

class Bus:
    taps, muted, bus_offs = [], False, 0

def tester(count):
    from pigtail.diag.tester import Tester

    told = [dict(name="battery", tx_id=0x7E4, rx_id=0x7EC), dict(name="motor", tx_id=0x7E2, rx_id=0x7EA)]
    requests = [
        ("battery", bytes((0x22, 1, n)), 1000 + n, 0, states, (0x800 + 2 * n, 3, 0x801 + 2 * n, 11)) for n in range(count)
    ]
    senses = None, None, 11800, 13200
    tester = Tester(Bus, None, (told, {}, requests), "", senses, print, print)
    once.shed(tester, tester.guard, tester.poller, *tester.parts())
    return tester

def console():
    from pigtail.control.console import Console

    console = Console(None, None, None, None, None)
    once.shed(console)
    return console

def used():
    gc.collect()
    return gc.mem_alloc()

states = ("awake",)
before = used()
made = %s
print(used() - before)
"""
NEEDED = "from pigtail.diag import room\nprint(room.%s)"
MOST_SPARE = 1024  # bytes that may be told too many


def said(script: str) -> int:
    interpreter = micropython.find()
    tree = build.firmware(BUILD / "size" / interpreter.mpy_arch, interpreter.mpy_arch)
    argv, clock = interpreter.argv(["-c", script], "512k")
    environment = os.environ | clock | {"MICROPYPATH": f"{BOARDS / 'unix'}:{tree / 'slot'}:{tree / 'root'}:.frozen"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stdout + done.stderr
    return int(done.stdout)


@pytest.mark.skipif(micropython.find().bits != 32, reason="the figures are those of 32 bits")
@pytest.mark.parametrize(
    ("made", "told", "spare"),
    [(f"tester({count})", f"needed([None] * {count})", MOST_SPARE + 16 * count) for count in (0, 1, 40)]
    + [("console()", "CONSOLE", MOST_SPARE)],
)
def test_asking_takes_as_much_of_the_heap_as_is_said(made: str, told: str, spare: int) -> None:
    taken, needed = said(TAKEN % made), said(NEEDED % told)
    assert needed - spare <= taken <= needed, f"{taken} bytes are taken, room.py says {needed}"
