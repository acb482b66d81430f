"""A virtual device with the demo car on a broker that may come and go; `pigtail sim` would end with it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from littlefs import LittleFS

from host_tools.reader.connection import Address
from host_tools.signals import pack
from host_tools.sim import access_point, drive, image, sntp
from host_tools.sim.board import VirtualBoard, compiled, facts
from host_tools.sim.car import VirtualCar
from tests.sim.drives import demo_car

SPEED = 2.0


class Device:
    """A running one; `configure` starts it anew with another configuration."""

    def __init__(self, board: VirtualBoard, fixed: dict[str, object]) -> None:
        self.board = board
        self._fixed = fixed

    async def configure(self, config: dict[str, object]) -> None:
        """Puts /config.json on its flash while it has no power."""
        self.board.cut_power()
        while self.board.pid is not None:
            await asyncio.sleep(0.05)
        path = self.board.folder / "flash.img"
        content = path.read_bytes()
        flash = LittleFS(block_size=image.BLOCK_SIZE, block_count=len(content) // image.BLOCK_SIZE, mount=False)
        flash.context.buffer[:] = content
        flash.mount()
        with flash.open("/config.json", "wb") as file:
            file.write(json.dumps(self._fixed | config).encode())
        path.write_bytes(bytes(flash.context.buffer))
        self.board.restore_power()


@contextlib.asynccontextmanager
async def device(folder: Path, broker: Address, config: dict[str, object], silent: frozenset[int]) -> AsyncIterator[Device]:
    """The device "car1"; messages with an id of `silent` never come."""
    profile = demo_car()
    firmware, modules = compiled()
    known = frozenset(message.key for message in profile.messages)
    frames = (frame for frame in drive.frames() if frame.arbitration_id not in silent)
    car = VirtualCar(frames, known, SPEED)
    async with contextlib.AsyncExitStack() as stack:
        clock = await stack.enter_async_context(sntp.start(lambda: asyncio.get_running_loop().time() + 1_700_000_000))
        ap = await stack.enter_async_context(access_point.start((broker.host, broker.port), ("127.0.0.1", clock.port)))
        port = await car.start()
        stack.push_async_callback(car.stop)
        fixed = {"device": "car1", "mqtt.port": ap.port, "clock.host": "127.0.0.1", "clock.port": ap.sntp_port}
        image.make(folder / "flash.img", int(str(facts()["flash_size"])), firmware, pack.pack(profile), fixed | config)
        image.blank(folder / "outbox.img", int(str(facts()["outbox_size"])))
        board = VirtualBoard(folder, "car1", port, "128k", SPEED, modules)
        running = asyncio.ensure_future(board.run())
        try:
            yield Device(board, fixed)
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
