"""Drives of the real firmware against a real mosquitto; the device and the reader each go through a faulty proxy."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from host_tools.sim import scenario
from host_tools.sim.report import Report
from host_tools.sim.run import Simulation
from host_tools.sim.scenario import Scenario
from tests.mosquitto.broker import HOST, Mosquitto
from tests.mosquitto.faulty import Proxy
from tests.sim.drives import assert_books_balance, demo_car


@dataclass
class Scene:
    """What a fault may be done to: the proxies before the device and before the reader, and all the rest."""

    broker: Mosquitto
    device: Proxy
    reader: Proxy
    simulation: Simulation
    moved: Proxy | None = None  # before the device, on another address


Act = Callable[[Scene], None]


def drive(
    broker: Mosquitto, seconds: float = 30.0, at: Mapping[float, Act] | None = None, *, prepare: Act = lambda scene: None,
    speed: float = 4.0, narrow: bool = False, moved_to: str = "", account: str = "",
    config: Mapping[str, object] | None = None, **settings: object,
) -> tuple[Report, Scene]:  # fmt: skip
    """A generated drive with a batch every second; `at` says what is done at which device second, `prepare` what is before.
    `account` is the reader's, as `user:password@`; on the address `moved_to` the broker can be had as well, on the same port."""

    async def run() -> tuple[Report, Scene]:
        async with AsyncExitStack() as stack:
            device = await stack.enter_async_context(Proxy(broker.port, narrow).serve())
            reader = await stack.enter_async_context(Proxy(broker.plain_port).serve())
            moved = await stack.enter_async_context(Proxy(broker.port).serve(moved_to, device.port)) if moved_to else None
            own = {"mqtt.port": device.port, "batch_ms": 1000, **(config or {})}
            url = f"mqtt://{account}{HOST}:{reader.port}"
            s = Scenario(demo_car(), scenario.frames(()), speed, seconds, broker=url, config=own, **settings)  # type: ignore[arg-type]
            scene = Scene(broker, device, reader, Simulation(s), moved)
            prepare(scene)
            left = dict(sorted((at or {}).items()))

            def tick() -> None:
                if left and scene.simulation.car.now >= (due := next(iter(left))):
                    left.pop(due)(scene)

            report = await scene.simulation.run(tick)
            assert not left, "the run ended before everything was done to it"
            return report, scene

    return asyncio.run(run())


def assert_all_came(report: Report) -> None:
    """Every sample taken came, once."""
    assert_books_balance(report)
    assert report.samples_delivered == report.samples_taken > 1000


def assert_only_the_broker_lost(report: Report) -> None:
    """The books balance with what the broker lost after it had acknowledged it."""
    assert report.samples_missing == report.duplicates == 0 and not report.undecodable
    assert report.samples_taken == report.samples_delivered + report.samples_accounted_lost + report.lost_after_ack


def together(*acts: Act) -> Act:
    """One after the other, at the same time."""

    def act(scene: Scene) -> None:
        for each in acts:
            each(scene)

    return act
