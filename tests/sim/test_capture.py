"""A raw capture in the middle of a drive: the frames that the car sent, none of them twice, and the books balance."""

import asyncio
import itertools

import can
import pytest

from host_tools.control.capture import capture
from host_tools.reader.connection import parse
from host_tools.sim import scenario
from host_tools.sim.run import Simulation
from tests.sim.drives import assert_books_balance, drive

KEY = "5a" * 32


@pytest.mark.parametrize("profile", ["/profile.bin", "/none.bin"], ids=["profile", "none"])
def test_captured_frames_are_those_that_the_car_sent(profile: str) -> None:
    taken: list[can.Message] = []
    dropped: list[int] = []
    tasks: list[asyncio.Task[None]] = []
    drawn = list(itertools.islice(scenario.frames(()), 20_000))  # a minute
    ids = sorted({frame.arbitration_id for frame in drawn})[:2]

    async def look(simulation: Simulation) -> None:
        address = parse(simulation.broker_url)
        async for chunk in capture(address, simulation.device, bytes.fromhex(KEY), ids, 4.0, 1000, wait_s=30):
            taken.extend(chunk.frames)
            dropped.append(chunk.dropped)

    def begin(simulation: Simulation) -> None:
        tasks.append(asyncio.get_running_loop().create_task(look(simulation)))

    report, _, _ = drive(24.0, at={6.0: begin}, speed=2.0, config={"command.key": KEY, "profile": profile})
    assert_books_balance(report)
    assert tasks[0].done() and not tasks[0].exception() and dropped[-1] == 0
    for ident in ids:
        sent = [bytes(frame.data) for frame in drawn if frame.arbitration_id == ident]
        came = [bytes(frame.data) for frame in taken if frame.arbitration_id == ident]
        assert len(came) > 10
        assert any(sent[i : i + len(came)] == came for i in range(len(sent))), hex(ident)
