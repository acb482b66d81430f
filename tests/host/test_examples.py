"""The examples in docs/examples run, against a broker that brings what the first version recorded."""

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_v1 import expected, recorded

from host_tools.reader.connection import Connection
from host_tools.sim import broker

ROOT = Path(__file__).parents[2]
DEVICE = next(row["device"] for row in expected() if row["device"].startswith("sim-"))
ROWS = [row for row in expected() if row["device"] == DEVICE]
HANGS_S = 120
PAUSE_S = 0.2


async def run(folder: Path, name: str, arguments: list[str], is_done: Callable[[bytes], bool]) -> bytes:
    """What an example prints; the messages of DEVICE are published again and again until it is done."""
    messages = [one for one in recorded() if one.topic.startswith(f"pigtail/v1/{DEVICE}/")]
    async with broker.start(None, directory=folder) as running, Connection(running.address) as device:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "docs/examples" / name), running.url, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout
        said = b""
        try:
            while not is_done(said):
                for one in messages:
                    retain = "/profile/" in one.topic or one.topic.endswith("/status")
                    await device.publish(one.topic, one.payload, qos=1, retain=retain)
                try:
                    said += await asyncio.wait_for(process.stdout.read(1 << 16), PAUSE_S)
                except TimeoutError:
                    continue
                assert process.returncode is None and b"Traceback" not in said, said.decode()
        finally:
            process.kill()
            await process.wait()
    return said


def of(folder: Path, name: str, arguments: list[str], is_done: Callable[[bytes], bool]) -> list[str]:
    return asyncio.run(asyncio.wait_for(run(folder, name, arguments, is_done), HANGS_S)).decode().splitlines()


@pytest.mark.parametrize("arguments", [[], [DEVICE]])
def test_print_speed_prints_every_speed_once(tmp_path: Path, arguments: list[str]) -> None:
    speeds = [f"{DEVICE}  {r['value']:.1f} km/h" for r in ROWS if r["name"] == "Vehicle.Speed" and r["quality"] == "valid"]
    lines = of(tmp_path, "print_speed.py", arguments, lambda said: said.count(b"\n") >= len(speeds))
    assert sorted(line[10:] for line in lines) == sorted(speeds)
    assert len(speeds) > 10


def test_to_sqlite_keeps_every_sample_and_every_gap_once(tmp_path: Path) -> None:
    path = tmp_path / "cars.db"

    def rows(table: str) -> list[tuple[object, ...]]:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(f"SELECT * FROM {table}").fetchall()
        except sqlite3.OperationalError:
            return []  # it has not made the table yet
        finally:
            database.close()

    gaps = [one for one in recorded() if one.topic == f"pigtail/v1/{DEVICE}/gap"]

    def is_done(said: bytes) -> bool:
        return path.exists() and len(rows("sample")) >= len(ROWS) and len(rows("gap")) >= len(gaps)

    for _ in range(2):  # the second time nearly everything is there already
        assert of(tmp_path, "to_sqlite.py", [str(path)], is_done) == []
        kept = {(d, b, s, n): (p, v, u, source, q) for d, b, s, n, _, p, v, u, source, q in rows("sample")}
        assert kept == {
            (r["device"], r["boot"], r["stream"], r["sequence"]): (r["name"], r["value"], r["unit"], r["source"], r["quality"])
            for r in ROWS
        }
        assert len(rows("gap")) == len(gaps) > 0
        with sqlite3.connect(path) as database:
            for table, number in ("sample", "sequence"), ("gap", "first"):
                database.execute(f"DELETE FROM {table} WHERE {number} = (SELECT max({number}) FROM {table})")
