"""A scenario's script: what is done to the link, the board and the broker while it drives, each at its time in device seconds."""

import asyncio
from collections.abc import Awaitable, Sequence

from host_tools.sim.access_point import AccessPoint
from host_tools.sim.board import VirtualBoard
from host_tools.sim.car import VirtualCar
from host_tools.sim.faults import Fault, Faults
from host_tools.sim.scenario import Scenario

CUT_S = 0.2  # device seconds that power stays away
HOLD_UP_S = 2.0  # device seconds of power after the ignition's warning
HOLD_UP_REAL_S = 0.25  # and real ones at least: the host's jitter is not the chip's
OFF_S = 5.0  # device seconds from the end of that power until the ignition is on again


class Script:
    """Runs by the clock of `car`, from the moment on that a device is attached to it."""

    def __init__(self, scenario: Scenario, car: VirtualCar, board: VirtualBoard, ap: AccessPoint) -> None:
        self._scenario = scenario
        self._car = car
        self._board = board
        self._ap = ap
        self.link_up = True

    def jobs(self, faults: Faults) -> Sequence[Awaitable[None]]:
        """All that is to be done, at the same time; each ends when its last is done."""
        strikes = [self._strike(faults, fault) for fault in self._scenario.faults]
        return [self._weather(), self._power_cuts(), self._ignition(), self._senses(), *strikes]

    async def _strike(self, faults: Faults, fault: Fault) -> None:
        await self._car.attached.wait()
        await faults.strike(fault, self._sleep_until)

    async def _weather(self) -> None:
        """Cuts and restores the link as the scenario says."""
        await self._car.attached.wait()
        for start, end in sorted(self._scenario.outages):
            await self._sleep_until(start)
            self.link_up = False
            self._board.link(False)
            self._ap.cut()
            await self._sleep_until(end)
            self._ap.restore()
            self._board.link(True)
            self.link_up = True

    async def _power_cuts(self) -> None:
        """Kills the firmware as the scenario says; it starts again at once."""
        await self._car.attached.wait()
        for at in self._scenario.power_cuts:
            await self._sleep_until(at)
            self._board.cut_power()
            await self._sleep(CUT_S)
            self._board.restore_power()

    async def _ignition(self) -> None:
        """Turns the ignition off as the scenario says: a warning, then the end of power, and after some time both are back."""
        await self._car.attached.wait()
        for at in self._scenario.ignition_offs:
            await self._sleep_until(at)
            self._board.ignition(False)
            await asyncio.sleep(max(HOLD_UP_S / self._scenario.speed, HOLD_UP_REAL_S))
            self._board.cut_power()
            await self._sleep(OFF_S)
            self._board.ignition(True)
            self._board.restore_power()

    async def _senses(self) -> None:
        """Plays ignition and 12 V as the scenario says."""
        for moment in self._scenario.power:
            if moment.at:
                await self._car.attached.wait()
                await self._sleep_until(moment.at)
            self._board.ignition(moment.ignition)
            self._board.battery(moment.battery_mv)

    async def _sleep(self, device_s: float) -> None:
        await asyncio.sleep(device_s / self._scenario.speed)

    async def _sleep_until(self, device_s: float) -> None:
        await self._sleep(max(0.0, device_s - self._car.now))
