"""The simulated board's `machine`: reset, watchdog, identity and pins as the firmware knows them from an ESP32."""

import signal
from pathlib import Path

from on_device import TIME_LIMIT_S, process, run

from host_tools.sim.board import STAND_INS

PRELUDE = """
import os, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
import machine
from time import sleep_ms
"""


def test_stand_ins_take_of_the_heap_what_board_toml_says() -> None:
    script = """
import gc
gc.collect()
before = gc.mem_alloc()
import _map, _meter, _trace, time, select, socket, network, machine, _flash, board
gc.collect()
print(gc.mem_alloc() - before)
"""
    assert 0 <= int(run(["-c", script])) - STAND_INS < 1024


def test_reset_ends_the_process_at_once(tmp_path: Path) -> None:
    device = process(["-c", PRELUDE + "machine.reset(); print('still here')"], RUN=tmp_path)
    output, _ = device.communicate(timeout=TIME_LIMIT_S)
    assert (device.returncode, output) == (42, "")


def test_watchdog_that_is_not_fed_bites_a_loop_that_hangs(tmp_path: Path) -> None:
    device = process(["-c", PRELUDE + "machine.WDT(timeout=100)\nwhile True: pass"], RUN=tmp_path)
    device.communicate(timeout=TIME_LIMIT_S)
    assert device.returncode == -signal.SIGALRM


def test_watchdog_that_is_fed_stays_quiet(tmp_path: Path) -> None:
    script = "w = machine.WDT(timeout=100)\nfor _ in range(15): sleep_ms(200); w.feed()\nprint('alive')"
    assert run(["-c", PRELUDE + script], RUN=tmp_path).strip() == "alive"


def test_cause_of_the_reset_and_identity_come_from_the_run(tmp_path: Path) -> None:
    script = "print(machine.reset_cause() == machine.WDT_RESET, machine.unique_id().decode())"
    said = run(["-c", PRELUDE + script], RUN=tmp_path, PIGTAIL_RESET_CAUSE=3, PIGTAIL_DEVICE="dev7")
    assert said.split() == ["True", "dev7"]
    said = run(["-c", PRELUDE + "print(machine.reset_cause() == machine.PWRON_RESET)"], RUN=tmp_path)
    assert said.strip() == "True"


def test_pin_remembers_its_level(tmp_path: Path) -> None:
    script = """
p = machine.Pin(2, machine.Pin.OUT)
levels = [p.value()]; p.on(); levels.append(p.value()); p.off(); levels.append(p.value()); p.value(1); levels.append(p.value())
print(levels)
"""
    assert run(["-c", PRELUDE + script], RUN=tmp_path).strip() == "[0, 1, 0, 1]"
