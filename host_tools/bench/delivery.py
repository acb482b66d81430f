"""Delivery: QoS 1 messages a second of the firmware's client and of plain umqtt.simple, in turn, through a proxy that delays."""

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from host_tools.bench.process import output
from host_tools.bench.row import Row
from host_tools.config import firmware as device
from host_tools.sim import board, broker
from host_tools.sim.broker import HOST
from host_tools.toolchain import micropython

COMMAND = "make bench"
WINDOW: int = device.KEYS["mqtt.window"][1]  # as shipped
ROUNDS = 3  # of each, in turn; the medians are compared
ROUND_TRIPS_MS = (0, 50)
PAYLOADS = (100, 1024)  # bytes
MESSAGES = {0: (2000, 2000), 50: (900, 40)}  # by round trip: of ours and of umqtt.simple, a few seconds each
_PRELUDE = """
import os, socket, time, vfs
vfs.mount(vfs.VfsPosix(os.getenv("RUN")), "/run")
port, size, count, window = [int(os.getenv(name)) for name in ("PORT", "SIZE", "COUNT", "WINDOW")]
payload = bytes(size)
"""
_OURS = _PRELUDE + """
import asyncio
from pigtail.uplink.mqtt import Client
acknowledged = 0
def acknowledge(packet_id):
    global acknowledged
    acknowledged += 1
async def main():
    client = Client("bench", "127.0.0.1", port)
    client.on_puback = acknowledge
    await client.open(socket.getaddrinfo("127.0.0.1", port)[0][-1], 10000)
    began, sent = time.ticks_us(), 0
    while acknowledged < count:
        client.step()
        while client.writable and sent < count and sent - acknowledged < window:
            client.publish("pigtail/v1/bench/telemetry", payload, False, 1)
            sent += 1
        await asyncio.sleep_ms(client.idle_ms)
    print(count * 1e6 / time.ticks_diff(time.ticks_us(), began))
asyncio.run(main())
"""
_PLAIN = _PRELUDE + """
from umqtt.simple import MQTTClient
client = MQTTClient("bench", "127.0.0.1", port)
client.connect()
client.sock.setsockopt(6, 1, b"\\1\\0\\0\\0")  # TCP_NODELAY: without it the delayed acknowledgements would be measured
began = time.ticks_us()
for _ in range(count):
    client.publish("pigtail/v1/bench/telemetry", payload, False, 1)
print(count * 1e6 / time.ticks_diff(time.ticks_us(), began))
"""


def rows() -> Iterator[Row]:
    """All figures of delivery."""
    return iter(asyncio.run(_measure()))


async def _measure() -> list[Row]:
    result = []
    with tempfile.TemporaryDirectory(prefix="pigtail-") as name:
        folder = Path(name)
        (folder / "link").write_text("1")
        async with broker.start(None, directory=folder) as server:
            for round_trip_ms in ROUND_TRIPS_MS:
                async with _proxy(server.address.port, round_trip_ms / 2000) as port:
                    for size in PAYLOADS:
                        result += await _compare(folder, port, round_trip_ms, size)
    return result


async def _compare(folder: Path, port: int, round_trip_ms: int, size: int) -> list[Row]:
    ours: list[float] = []
    plain: list[float] = []
    for _ in range(ROUNDS):
        for script, count, rates in zip((_OURS, _PLAIN), MESSAGES[round_trip_ms], (ours, plain), strict=True):
            rates.append(await _run(script, folder, port, size, count))
    rate, ratio = statistics.median(ours), statistics.median(ours) / statistics.median(plain)
    what = f"{size} B, {round_trip_ms} ms round trip"
    goal = "≥ 15" if round_trip_ms else None
    return [
        Row(f"QoS 1, ours ÷ umqtt.simple, {what}", round(ratio, 2), "", goal, COMMAND),
        Row(f"QoS 1, window {WINDOW}, {what}", round(rate), "messages/s", None, COMMAND),
    ]


async def _run(script: str, folder: Path, port: int, size: int, count: int) -> float:
    """Messages a second of one run. Raises SimError when it fails."""
    firmware, modules = board.compiled()
    argv, extra = micropython.find().argv(["-c", script])
    facts = {"RUN": str(folder), "PORT": str(port), "SIZE": str(size), "COUNT": str(count), "WINDOW": str(WINDOW)}
    path = f"{modules}:{firmware / 'slot'}:{firmware / 'root'}:.frozen"
    environment = {**os.environ, **extra, **facts, "MICROPYPATH": path}
    return float(await output(argv, f"QoS 1 of {count} messages", environment))


@asynccontextmanager
async def _proxy(broker_port: int, delay_s: float) -> AsyncIterator[int]:
    """A proxy to the broker that hands on everything `delay_s` later, in both directions; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(HOST, broker_port)
        await asyncio.gather(_hand_on(reader, to_writer, delay_s), _hand_on(to_reader, writer, delay_s))

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    while data := await reader.read(65536):
        if delay_s:
            loop.call_later(delay_s, writer.write, data)
        else:
            writer.write(data)
    loop.call_later(delay_s, writer.close)
