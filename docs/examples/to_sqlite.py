"""Keeps every sample once, and every gap, in a database: python docs/examples/to_sqlite.py mqtt://127.0.0.1:1883 cars.db

It may be stopped and started again, run twice, or fed with what came long ago: a sample's identity is its primary key. A gap may
cover samples that came all the same (firmware/SPEC.md, section 5): what came counts.
"""

import asyncio
import sqlite3
import sys
from contextlib import closing, suppress

from host_tools.reader import BatchEvent, Gap, listen, readings

TABLES = """
CREATE TABLE IF NOT EXISTS sample (
    device TEXT, boot INTEGER, stream INTEGER, sequence INTEGER,
    utc TEXT, path TEXT, value REAL, unit TEXT, source TEXT, quality TEXT,
    PRIMARY KEY (device, boot, stream, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gap (
    device TEXT, boot INTEGER, stream INTEGER, first INTEGER, count INTEGER, reason TEXT,
    PRIMARY KEY (device, boot, stream, first, count)) WITHOUT ROWID;
"""


async def main(url: str, path: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(TABLES)
        async for event in listen(url, reconnect=True):
            with database:  # one transaction for each batch
                if isinstance(event, BatchEvent):
                    database.executemany(
                        "INSERT OR IGNORE INTO sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        [
                            (
                                r.device, r.boot, r.stream, r.sequence,
                                r.time.isoformat() if r.time else None, r.path, r.value, r.unit, r.source, r.quality,
                            )
                            for r in readings(event)
                        ],
                    )  # fmt: skip
                elif isinstance(event, Gap):
                    gap = event.device, event.boot, event.stream, event.first, event.count, event.reason
                    database.execute("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?, ?)", gap)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*sys.argv[1:]))
