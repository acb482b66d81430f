"""`pigtail listen` as a user runs it: in a process of its own, against a broker, ended with Ctrl-C."""

import asyncio
import csv
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from batch_encoder import Encoder

from host_tools.commands.listen import _recorder, describe
from host_tools.reader import FramesLost, recording
from host_tools.reader.connection import Connection
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.sim import broker

HANGS_S = 120  # nothing here takes as long, however busy the machine is
SPEED = Signal("speed", 0, 16, scale=0.5, unit="km/h", period_ms=100, purpose="driving")
GEAR = Signal("gear", 16, 3, labels={3: "D"}, purpose="driving")
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (SPEED, GEAR)),))
PACKED = pack(PROFILE)
PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]


def batch(**fields: int) -> bytes:
    """Two samples of speed (20 and 21 km/h), one of gear."""
    encoder = Encoder(PROFILE, identity(PACKED), start=1, ticks=2, readings={(1, 0): 40, (2, 0): 42}, **fields)
    encoder.events = [(1, 250, 3)]
    return encoder.encode()


async def publish(running: broker.Broker, **fields: int) -> None:
    """A device's birth, a batch twice, one with a gap before it, and what the device says of the gap."""
    async with Connection(running.address) as device:
        await device.publish(f"pigtail/v1/kona/profile/{identity(PACKED):08x}", PACKED, qos=1, retain=True)
        for first in (0, 0, 10):
            await device.publish("pigtail/v1/kona/telemetry", batch(first=first, **fields), qos=1)
        gap = {"boot": 1, "stream": 2, "first": 3, "count": 5, "reason": "flash_full"}
        await device.publish("pigtail/v1/kona/gap", json.dumps(gap).encode(), qos=1)


@asynccontextmanager
async def listening(
    running: broker.Broker, *arguments: str, stdout: int = subprocess.PIPE
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *PIGTAIL, "listen", "--broker", running.url, *arguments, stdout=stdout, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(stream: asyncio.StreamReader | None, text: str) -> None:
    assert stream is not None
    while text not in (line := (await stream.readline()).decode()):
        assert line, f"it ended without {text!r}"


def listen_to(directory: Path, *arguments: str, **fields: int) -> tuple[str, str, int | None]:
    """stdout, what came on stderr after the gap, and the status of a run that is ended with Ctrl-C."""

    async def main() -> tuple[str, str, int | None]:
        async with broker.start(None, directory=directory) as running, listening(running, *arguments) as process:
            await until(process.stderr, "listening to")
            await publish(running, **fields)
            await until(process.stderr, "are lost (flash_full)")
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            return out.decode(), err.decode(), process.returncode

    return asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_jsonl_each_sample_once_and_a_summary(tmp_path):
    out, err, status = listen_to(tmp_path, "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [(r["sequence"], r["name"], r["value"], r["label"]) for r in records] == [
        (0, "speed", 20.0, None), (1, "speed", 21.0, None), (2, "gear", 3.0, "D"),
        (10, "speed", 20.0, None), (11, "speed", 21.0, None), (12, "gear", 3.0, "D"),
    ]  # fmt: skip
    assert err.splitlines() == [
        "6 samples, 3 duplicates, 5 lost (flash_full 5), 2 missing",
        "kona: 2 samples of boot 1, stream 2, from 8 on are missing",
    ]
    assert status == 0


def test_csv_into_a_file(tmp_path):
    out, _, status = listen_to(tmp_path, "--format", "csv", "--out", str(tmp_path / "it.csv"), clock=2, utc_ms=10**12)
    assert (out, status) == ("", 0)
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sequence"] for row in rows] == ["0", "1", "2", "10", "11", "12"]
    assert rows[2] == {
        "device": "kona", "boot": "1", "stream": "2", "sequence": "2", "time_ms": "250", "utc": "2001-09-09T01:46:40.250Z",
        "clock": "ntp",
        "name": "gear", "value": "3.0", "unit": "", "raw": "3", "source": "broadcast", "quality": "valid", "label": "D",
        "purpose": "driving", "priority": "telemetry",
    }  # fmt: skip


@pytest.mark.parametrize(("form", "head"), [("jsonl", 0), ("csv", 1)])
def test_session_goes_on_in_the_file_of_its_last_run_and_others_begin_anew(tmp_path, form, head):
    lines = []
    for session in ["--session", "archive"], ["--session", "archive"], []:
        listen_to(tmp_path, "--format", form, "--out", str(tmp_path / "all"), *session)
        lines.append((tmp_path / "all").read_text().splitlines())
    assert len(lines[0]) > head and lines[1] == lines[0] + lines[0][head:] and lines[2] == lines[0]


def test_raw_messages_are_recorded_as_they_come(tmp_path):
    path = tmp_path / "it.rec"
    for _ in range(2):  # the second run goes on where the first one ended
        assert listen_to(tmp_path, "--raw", str(path))[2] == 0
    found = list(recording.messages(path.read_bytes()))
    assert all(isinstance(message, recording.Message) for message in found)
    telemetry = [message[1] for message in found if message[0] == "pigtail/v1/kona/telemetry"]
    assert telemetry == [batch(first=0), batch(first=0), batch(first=10)] * 2
    assert (f"pigtail/v1/kona/profile/{identity(PACKED):08x}", PACKED) in [message[:2] for message in found]


def test_nothing_is_appended_to_what_is_no_recording(tmp_path, pigtail):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    status, out, err = pigtail("listen", "--broker", "mqtt://127.0.0.1:9", "--raw", path)
    assert (status, out) == (2, "") and err.startswith(f"pigtail: error: {path} is no recording") and err.count("\n") == 1
    assert path.read_text() == "my notes\n"


@pytest.mark.parametrize("held", [b"", recording.MARK[:2], recording.record("a", b"b")])
def test_recording_that_is_empty_or_cut_is_gone_on_with(tmp_path, held):
    path = tmp_path / "it.rec"
    path.write_bytes(held)
    with _recorder(path) as tap:
        tap("a", b"c")
    assert path.read_bytes() == held + recording.record("a", b"c")


@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/it.rec"])
def test_recording_that_cannot_be_written(tmp_path, path):
    async def main() -> tuple[str, int | None]:
        async with broker.start(None, directory=tmp_path) as running, listening(running, "--raw", path) as process:
            if path == "/dev/full":
                await until(process.stderr, "listening to")
                await publish(running)
            _, err = await process.communicate()
            return err.decode(), process.returncode

    err, status = asyncio.run(asyncio.wait_for(main(), HANGS_S))
    assert err.startswith(f"pigtail: error: cannot write {path}: ") and err.endswith("name another file with --raw\n")
    assert err.count("\n") == 1 and status == 2


def test_table_without_a_terminal_is_plain_lines(tmp_path):
    out, _, status = listen_to(tmp_path, "--device", "kona")
    assert out.splitlines()[1:3] == [
        "0.200 s since boot 1  kona  speed 21 km/h  driving/telemetry  broadcast",
        "0.250 s since boot 1  kona  gear D  driving/telemetry  broadcast",
    ]
    assert status == 0


def test_table_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()

    async def main() -> int | None:
        async with (
            broker.start(None, directory=tmp_path) as running,
            listening(running, stdout=theirs) as process,
        ):
            seen = b""
            os.set_blocking(ours, False)
            published = False
            while not (b"gear" in seen and b"km/h" in seen and b"since boot" in seen):
                await asyncio.sleep(0.05)
                try:
                    seen += os.read(ours, 65536)
                except BlockingIOError:
                    continue
                if not published and b"listening to" in seen:
                    await publish(running)
                    published = True
            process.send_signal(signal.SIGINT)
            while process.returncode is None:
                await asyncio.sleep(0.05)
                try:
                    os.read(ours, 65536)
                except BlockingIOError:
                    continue
            return process.returncode

    try:
        assert asyncio.run(asyncio.wait_for(main(), HANGS_S)) == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_reader_of_the_output_that_leaves(tmp_path):
    """`pigtail listen | head -1`"""

    async def main() -> bytes:
        async with broker.start(None, directory=tmp_path) as running:
            read, write = os.pipe()
            async with listening(running, "--format", "jsonl", stdout=write) as process:
                os.close(write)
                os.close(read)
                await until(process.stderr, "listening to")
                await publish(running)
                assert process.stderr
                return await process.stderr.read()

    assert b"Traceback" not in asyncio.run(asyncio.wait_for(main(), HANGS_S))


def refused(*arguments: str) -> str:
    """The one line on stderr of a run that ends with status 2."""
    done = subprocess.run([*PIGTAIL, "listen", *arguments], capture_output=True, text=True, timeout=HANGS_S)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_broker_that_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert "no connection to a broker at mqtt://127.0.0.1:" in refused("--broker", f"mqtt://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--broker", "http://x"], "broker URL does not begin with mqtt://"),
        (["--device", "a/b"], "cannot be a device"),
        (["--out", "/no/such/folder/it.csv"], "cannot write /no/such/folder/it.csv: No such file or directory"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_bad_argument(arguments, message):
    assert message in refused(*arguments)


def test_full_disk_is_one_line(tmp_path):
    async def main() -> tuple[str, int]:
        async with (
            broker.start(None, directory=tmp_path) as running,
            listening(running, "--format", "jsonl", "--out", "/dev/full") as process,
        ):
            await until(process.stderr, "listening to")
            await publish(running)
            assert process.stderr
            return (await process.stderr.read()).decode(), await process.wait()

    err, status = asyncio.run(asyncio.wait_for(main(), HANGS_S))
    error = "pigtail: error: cannot write /dev/full: No space left on device; name another file with --out\n"
    assert err.endswith(error) and "Traceback" not in err
    assert status == 2


def test_help_has_an_example():
    text = subprocess.run([*PIGTAIL, "listen", "--help"], capture_output=True, text=True, timeout=HANGS_S).stdout
    assert "pigtail listen --format jsonl --out kona.jsonl" in text


def test_frames_that_were_lost_are_told_with_their_time() -> None:
    told = describe(FramesLost("kona", 3, 17, 1000, 2000, "overrun"))
    assert told == "kona: 17 frames of the bus are lost between 1 and 2 s after power-on, boot 3 (overrun)"
