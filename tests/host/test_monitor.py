"""`pigtail logs` and `pigtail monitor` over MQTT, in processes of their own, ended with Ctrl-C."""

import asyncio
import json
import os
import pty
import signal
import subprocess
from pathlib import Path

from host_tools.reader.connection import Connection
from host_tools.sim import broker
from tests.host.test_listen import HANGS_S, PIGTAIL, publish, until
from tests.host.test_reader_overview import GOOD

HAPPENED = {"boot": 1, "number": 3, "uptime_ms": 1500, "kind": "clock_set", "text": "ntp"}
FRAMES = {"boot": 1, "frames": 9, "from_ms": 100, "to_ms": 200, "reason": "overrun"}


async def speak(running: broker.Broker) -> None:
    """A device's status, batches, a gap, lost frames, and last an event."""
    async with Connection(running.address) as device:
        await device.publish("pigtail/v1/kona/status", json.dumps(GOOD), qos=1, retain=True)
    await publish(running)
    async with Connection(running.address) as device:
        await device.publish("pigtail/v1/kona/gap", json.dumps(FRAMES), qos=1)
        await device.publish("pigtail/v1/kona/event", json.dumps(HAPPENED), qos=1)


def logged(directory: Path, *words: str) -> tuple[list[str], int | None]:
    async def main() -> tuple[list[str], int | None]:
        async with broker.start(None, directory=directory) as running:
            process = await asyncio.create_subprocess_exec(
                *PIGTAIL, "logs", "--broker", running.url, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            await until(process.stderr, "listening to")
            await speak(running)
            lines = []
            assert process.stdout is not None
            while not lines or "clock_set" not in lines[-1]:
                lines.append((await process.stdout.readline()).decode())
                assert lines[-1], "it ended"
            process.send_signal(signal.SIGINT)
            return lines, await process.wait()

    return asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_logs_are_events_gaps_and_lost_frames_as_json(tmp_path: Path) -> None:
    lines, status = logged(tmp_path, "--json")
    told = [json.loads(line) for line in lines]
    assert status == 0 and all(line.pop("time").endswith("Z") for line in told)
    assert [line["told"] for line in told] == ["gap", "frames_lost", "event"]
    assert (told[0]["count"], told[0]["reason"]) == (5, "flash_full")
    assert told[1] == {"told": "frames_lost", "device": "kona", **FRAMES}
    assert told[2] == {"told": "event", "device": "kona", **HAPPENED}


def test_logs_are_lines_for_people(tmp_path: Path) -> None:
    lines, _ = logged(tmp_path, "--device", "kona")
    assert "kona: clock_set: ntp (1.5 s after power-on, boot 1)" in lines[-1]


def screen(directory: Path) -> tuple[str, int | None]:
    """What `pigtail monitor` draws on a terminal until all has come; its status after Ctrl-C."""

    async def main() -> tuple[str, int | None]:
        async with broker.start(None, directory=directory) as running:
            master, slave = pty.openpty()
            environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
            process = await asyncio.create_subprocess_exec(
                *PIGTAIL, "monitor", "--broker", running.url, stdin=slave, stdout=slave, stderr=slave, env=environment
            )
            os.close(slave)
            drawn = bytearray()
            has_come = asyncio.Event()
            asyncio.get_running_loop().add_reader(master, lambda: (drawn.extend(os.read(master, 65536)), has_come.set()))

            async def shows(words: str) -> None:
                while words not in drawn.decode(errors="replace"):
                    has_come.clear()
                    await has_come.wait()

            await shows("listening")
            await speak(running)
            await shows("clock_set")
            process.send_signal(signal.SIGINT)
            await process.wait()
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            return drawn.decode(errors="replace"), process.returncode

    return asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_monitor_draws_health_values_and_events_on_a_terminal(tmp_path: Path) -> None:
    drawn, status = screen(tmp_path)
    assert status == 0
    for words in "waiting for a device", "16 of 16 messages heard", "21 km/h", "driving/telemetry", "9 frames of the bus":
        assert words in drawn, words
