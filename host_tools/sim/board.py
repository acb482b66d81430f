"""The virtual board: the firmware's own process, started from its flash image and started again when it dies.

In the run's folder lie the chips `flash.img` and perhaps `outbox.img`, and what the firmware sees only through its board:
`link` (the Wi-Fi, `1` or `0`), `senses` (ignition and 12 V, see boards/unix/board.py), `names` (what the name server does, see
boards/unix/socket.py) and `wire` (what ails the bus for a device that sends, see boards/unix/_wire.py); and what it does not see:
`taken.bin` and `acked.bin` (the witness), `asleep` (what is to wake it), `meter.bin` (what the controller saw), `*.wear` (what
the chips went through), `device.log` (the console), `board` (its modules).
"""

import asyncio
import contextlib
import math
import os
import signal
import struct
import subprocess
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from host_tools.errors import SimError
from host_tools.paths import BOARDS, BUILD, FIRMWARE
from host_tools.sim import trace
from host_tools.sim.child import bound
from host_tools.sim.serial_port import SerialPort
from host_tools.sim.trace import Trace
from host_tools.toolchain import build, micropython, names

ASLEEP = "deep_sleep"
# 42, 44, 45: boards/unix/machine.py; 43: boards/unix/_boot.py
_DEATHS = {-signal.SIGKILL: "power_cut", -signal.SIGALRM: "watchdog", 42: "reset", 43: "recovery", 44: "bootloader", 45: ASLEEP}
_POWER_ON, _HARD, _WATCHDOG, _DEEP_SLEEP = 1, 2, 3, 4
_ASLEEP_TURN_S = 0.005  # real seconds between two looks at what may wake it
_OWN = (*build.LEAN, "-X", "emit=native")  # what a chip has in C takes none of its heap; so its stand-in takes less
QUICK = 4.0  # speed up to which the stalls of this machine are short in device time; beyond it the queue grows with the speed
_DEATHS_BEFORE_THE_BUS = 3  # in a row: it will not come back


class Meter(NamedTuple):
    """boards/unix/_meter.py: frame counts, time of the last look in 0.1 ms since the bus was opened, bytes, ms.
    Of the heap, the stand-ins' part is taken off."""

    arrived: int = 0
    received: int = 0
    overrun: int = 0
    filtered: int = 0
    looked: int = 0
    heap_peak: int = 0
    boot_ms: int = 0
    answered: int = 0  # of the arrived, answers to the device's own frames


@dataclass
class Life:
    """One run of the process: from power-on to its end."""

    cause: int
    started: float  # monotonic, s
    ended: float | None = None
    death: str = ""  # power_cut, watchdog, reset, recovery, bootloader, deep_sleep or crash
    meter: Meter = field(default_factory=Meter)
    trace: Trace = field(default_factory=Trace)
    said_from: int = 0  # where its words begin on the console


def facts() -> dict[str, object]:
    """boards/unix/board.toml."""
    return tomllib.loads((BOARDS / "unix" / "board.toml").read_text())


STAND_INS, REPL = int(str(facts()["stand_ins"])), int(str(facts()["repl"]))


def in_bytes(heap: str) -> int:
    """A heap size with k or m as bytes."""
    units = {"k": 10, "m": 20}
    return int(heap.rstrip("kKmM")) << units.get(heap[-1].lower(), 0)


def compiled() -> tuple[Path, Path]:
    """(firmware tree, folder of the board's own and of frozen modules), compiled for the interpreter of this machine."""
    arch = micropython.find().mpy_arch
    firmware = build.firmware(BUILD / "unix" / "firmware", arch)
    modules = BUILD / "unix" / "board"
    modules.mkdir(parents=True, exist_ok=True)
    sources = sorted([*(BOARDS / "unix").glob("*.py"), *(FIRMWARE / "frozen").glob("*.py")])
    texts = names.shortened({source: source.read_text(encoding="utf-8") for source in sources}, FIRMWARE.rglob("*.py"))
    for source, text in texts.items():
        is_script = source.name == "_boot.py"  # MicroPython starts a script only as text
        target = modules / (source.name if is_script else source.with_suffix(".mpy").name)
        content = (source if is_script else build.module(source, source.stem, arch, _OWN, text)).read_bytes()
        if not target.exists() or target.read_bytes() != content:  # others may be reading it
            target.write_bytes(content)
    return firmware, modules


class VirtualBoard:
    """One board in `folder`, which holds its flash.img. `can_port` is where the virtual car listens, `wire_port` where its ECUs
    do; `rtc` and `ticks` as in a scenario. With a `port` its console is there, and a firmware that does not start leaves the
    REPL."""

    def __init__(
        self, folder: Path, device: str, can_port: int, heap: str, speed: float, modules: Path,
        rtc: int | None = None, ticks: int | None = None, bitrate: int = 0, tells_heap: bool = False,
        wire_port: int = 0, port: SerialPort | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self._port = port
        self.lives: list[Life] = []
        self._heap = heap
        self._whole_heap = str(in_bytes(heap) + STAND_INS + (REPL if port else 0))
        self._ticks = ticks
        self._speed = speed
        self._modules = folder / "board"  # a path that is as long wherever this tree lies: the firmware's heap has it
        self._modules.unlink(missing_ok=True)
        self._modules.symlink_to(modules)
        self._environment = {
            "PIGTAIL_SIM": str(folder),
            "PIGTAIL_BOARD": str(self._modules),
            "PIGTAIL_CAN": str(can_port),
            "PIGTAIL_WIRE": str(wire_port or ""),
            "PIGTAIL_CAN_BITRATE": str(bitrate),
            "PIGTAIL_SPEED": f"{speed:g}",
            "PIGTAIL_RX_QUEUE": str(int(str(facts()["rx_queue"])) * max(1, int(speed / QUICK))),
            "PIGTAIL_DEVICE": device,
            "PIGTAIL_RTC": "" if rtc is None else str(rtc),
            "PIGTAIL_TELLS_HEAP": "1" if tells_heap else "",
            "PIGTAIL_CONSOLE": "friendly" if port else "",
        }
        self.asleep = False
        self.bus_stirs: Callable[[float], bool] = lambda since: False  # whether there was a frame since then (monotonic)
        self._process: asyncio.subprocess.Process | None = None
        self._powered = asyncio.Event()
        self._powered.set()
        self._cuts = 0
        self.link(True)
        self._ignition: bool | None = True
        (self.folder / "senses").write_bytes(b"1\0\0")
        (self.folder / "names").write_bytes(b"1")
        (self.folder / "wire").write_bytes(bytes(2))

    def link(self, up: bool) -> None:
        """Puts the Wi-Fi up or down, as the firmware sees it."""
        fresh = self.folder / "link.new"
        fresh.write_bytes(b"1" if up else b"0")
        fresh.replace(self.folder / "link")

    def ignition(self, on: bool | None) -> None:
        """Turns the ignition on or off, as the firmware may sense it, None: it cannot; power is another matter."""
        self._ignition = on
        with (self.folder / "senses").open("r+b") as senses:  # in place: the firmware has it mapped
            senses.write({True: b"1", False: b"0", None: b"?"}[on])

    def battery(self, mv: int | None) -> None:
        """The 12 V as the firmware measures it, None: it cannot."""
        with (self.folder / "senses").open("r+b") as senses:
            senses.seek(1)
            senses.write(struct.pack("<H", mv or 0))

    def names(self, state: str) -> None:
        """What the name server does: knows every name ("1") or none ("0"), or says nothing ("?")."""
        with (self.folder / "names").open("r+b") as level:
            level.write(state.encode())

    def wire(self, ails: int) -> None:
        """What ails the bus for a device that sends: nothing (0), nobody acknowledges (1), it is error-passive (2)."""
        with (self.folder / "wire").open("r+b") as state:
            state.write(bytes([ails]))

    def throw_off_the_bus(self) -> None:
        """Its controller goes bus-off, unless it is in a silent mode."""
        with (self.folder / "wire").open("r+b") as state:
            times = state.read(2)[1]
            state.seek(1)
            state.write(bytes([(times + 1) & 0xFF]))

    def cut_power(self) -> None:
        """Ends the process at once; it stays away until `restore_power`."""
        self._powered.clear()
        self._cuts += 1
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self.pid, signal.SIGKILL)

    def restore_power(self) -> None:
        """Lets it start again."""
        self._powered.set()

    async def run(self) -> None:
        """Keeps the process alive until cancelled. Raises SimError when the firmware does not get as far as the bus."""
        cause = _POWER_ON
        try:
            while True:
                await self._powered.wait()
                await self._live(cause)
                if self._port is None:
                    self._check_boots()
                elif self.lives[-1].death == "bootloader":
                    self._powered.clear()
                cause = _WATCHDOG if self.lives[-1].death == "watchdog" else _POWER_ON
                if self.lives[-1].death in ("reset", "crash"):
                    cause = _HARD
                if self.lives[-1].death == ASLEEP and await self._sleep():
                    cause = _DEEP_SLEEP
        finally:
            await self._end()

    async def _sleep(self) -> bool:
        """Until what the firmware has named wakes it; False when its power was cut meanwhile."""
        ms, on_bus, on_ignition = struct.unpack("<IBB", (self.folder / "asleep").read_bytes())
        until = time.monotonic() + ms / 1000 / self._speed if ms else math.inf
        since, cuts, self.asleep = time.monotonic(), self._cuts, True
        try:
            while cuts == self._cuts:
                if time.monotonic() >= until or (on_ignition and self._ignition) or (on_bus and self.bus_stirs(since)):
                    return True
                await asyncio.sleep(_ASLEEP_TURN_S)
            return False
        finally:
            self.asleep = False

    async def _live(self, cause: int) -> None:
        cuts = self._cuts
        argv, extra = micropython.find().argv([str(self._modules / "_boot.py")], self._whole_heap, self._speed, self._ticks)
        environment = {**self._environment, **extra, "PIGTAIL_RESET_CAUSE": str(cause)}
        for witness in "meter.bin", "taken.bin":
            (self.folder / witness).unlink(missing_ok=True)
        with (self.folder / "device.log").open("ab") as log:
            said_from = log.tell()
            self._process = await self._start(bound(argv), environment, log)
        if cuts != self._cuts:
            self._process.kill()  # power went while it was being started
        life = Life(cause, time.monotonic(), said_from=said_from)
        self.lives.append(life)
        with contextlib.suppress(PermissionError, ProcessLookupError):
            # a chip has its processor to itself; without the right to that it takes its turn with the others here
            os.sched_setscheduler(self._process.pid, os.SCHED_RR, os.sched_param(1))
        if self._port:
            with (self.folder / "device.log").open("ab") as log:
                await self._port.serve(self._process, log)
        status = await self._process.wait()
        self._close(life, status)

    async def _start(self, argv: list[str], environment: dict[str, str], log: BinaryIO) -> asyncio.subprocess.Process:
        if self._port is None:
            return await asyncio.create_subprocess_exec(*argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._port.switched_on()
        return await asyncio.create_subprocess_exec(
            *argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def _close(self, life: Life, status: int) -> None:
        life.ended = time.monotonic()
        life.meter = self.meter()
        life.trace = self.trace()
        life.death = _DEATHS.get(status, "crash")

    def _check_boots(self) -> None:
        if self.lives[-1].death == "recovery":
            said = self.console(self.lives[-1].said_from).strip().removeprefix("recovery: ")
            raise SimError(f"the board is in recovery mode, see docs/outbox.md: {said}")
        own = [life for life in self.lives if life.death not in ("power_cut", ASLEEP)][-_DEATHS_BEFORE_THE_BUS:]
        if not own or any(life.meter.boot_ms for life in own):
            return
        said = self.console(own[-1].said_from)
        if "MemoryError" in said:
            raise SimError(f"the firmware does not fit into a heap of {self._heap}: give a larger --heap (128k is what it needs)")
        if len(own) >= _DEATHS_BEFORE_THE_BUS:
            last = [line for line in said.strip().splitlines() if not line.startswith("{")][-1:] or ["it said nothing"]
            raise SimError(f"the firmware does not start ({last[0]})")

    async def _end(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
            self.lives[-1].meter = self.meter()

    @property
    def pid(self) -> int | None:
        """Process id of the running firmware."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def meter(self) -> Meter:
        """What the meter of the present life shows."""
        try:
            row = (self.folder / "meter.bin").read_bytes()
        except FileNotFoundError:
            return Meter()
        if len(row) != 32:
            return Meter()
        meter = Meter(*struct.unpack("<8I", row))
        return meter._replace(heap_peak=max(0, meter.heap_peak - STAND_INS))

    def trace(self) -> Trace:
        """What the present life has taken."""
        return trace.read(self.folder / "taken.bin")

    def traces(self) -> list[Trace]:
        """What each life has taken, in order."""
        return [life.trace if life.ended else self.trace() for life in self.lives]

    def console(self, start: int = 0) -> str:
        """What the firmware printed, from that byte on."""
        return (self.folder / "device.log").read_bytes()[start:].decode(errors="replace")
