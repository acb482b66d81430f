"""`pigtail listen --share`: collectors side by side divide the telemetry; what is missing is told where their recordings meet."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from batch_encoder import Encoder

from host_tools.errors import InputError
from host_tools.reader import listen
from host_tools.reader.connection import Connection
from host_tools.reader.inbox import Inbox
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal
from host_tools.sim import broker
from host_tools.toolchain import mosquitto

if not mosquitto.find():
    pytest.skip("no mosquitto: `make setup` brings one", allow_module_level=True)

HANGS_S = 120
PROFILE = Profile("test", "1", "none", (Message(0x100, False, "A", (Signal("speed", 0, 16, period_ms=100),)),))
PACKED = pack(PROFILE)
PROFILE_TOPIC = f"pigtail/v1/kona/profile/{identity(PACKED):08x}"
PIGTAIL = [sys.executable, "-c", "from host_tools.cli import main; main()"]
BATCHES = 40


def batch(first: int) -> bytes:
    """Two samples."""
    encoder = Encoder(PROFILE, identity(PACKED), start=1, ticks=2, readings={(1, 0): first, (2, 0): 1}, first=first)
    return encoder.encode()


async def collector(url: str, *arguments: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *PIGTAIL, "listen", "--broker", url, "--format", "jsonl", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr
    while b"profile test" not in (line := await process.stderr.readline()):
        assert line, "it ended"
    return process


async def ended(process: asyncio.subprocess.Process) -> tuple[list[int], str]:
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    return [json.loads(line)["sequence"] for line in out.splitlines()], err.decode()


def collect(folder: Path, count: int, *shared: str) -> list[tuple[list[int], str]]:
    """What so many collectors got of a device that sends one batch twice and never another."""

    async def main() -> list[tuple[list[int], str]]:
        async with broker.start(None, directory=folder) as running, Connection(running.address) as device:
            await device.publish(PROFILE_TOPIC, PACKED, qos=1, retain=True)
            await device.publish("pigtail/v1/kona/status", b'{"state": "online"}', qos=1, retain=True)
            processes = [
                await collector(running.url, *shared, "--raw", str(folder / f"{number}.rec")) for number in range(count)
            ]
            for number in [*range(10), *range(9, BATCHES // 2), *range(BATCHES // 2 + 1, BATCHES)]:
                await device.publish("pigtail/v1/kona/telemetry", batch(2 * number), qos=1)
            await asyncio.sleep(1.0)  # all have been sent on: nothing here waits for them
            return [await ended(process) for process in processes]

    return asyncio.run(asyncio.wait_for(main(), HANGS_S))


def test_collectors_divide_the_telemetry_and_judge_it_together(tmp_path: Path) -> None:
    got = collect(tmp_path, 2, "--share", "fleet")
    sent = sorted(n for n in [*range(2 * BATCHES), 18, 19] if n // 2 != BATCHES // 2)
    assert sorted(got[0][0] + got[1][0]) == sent
    for sequences, err in got:
        assert len(sequences) > 5  # none of them was left out
        assert " missing" not in err and " duplicates" not in err
        assert err.splitlines()[-1].startswith(f"{len(sequences)} samples by share fleet")
        assert "status" in err  # retained, and so not by the share

    async def decode() -> tuple[bytes, bytes]:
        files = str(tmp_path / "0.rec"), str(tmp_path / "1.rec")
        process = await asyncio.create_subprocess_exec(*PIGTAIL, "decode", *files, stdout=-1, stderr=-1)
        return await process.communicate()

    out, err = asyncio.run(asyncio.wait_for(decode(), HANGS_S))
    assert sorted(json.loads(line)["sequence"] for line in out.splitlines()) == sorted(set(sent))
    stream = json.loads(out.splitlines()[0])["stream"]
    gone = f"kona: 2 samples of boot 1, stream {stream}, from {BATCHES} on are missing"
    assert err.decode().splitlines() == [gone, f"{len(set(sent))} samples, 2 duplicates, 0 lost, 2 missing"]


def test_without_a_share_each_gets_all_of_it_once(tmp_path: Path) -> None:
    for sequences, err in collect(tmp_path, 2):
        assert sequences == sorted(n for n in range(2 * BATCHES) if n // 2 != BATCHES // 2)
        assert f"{len(sequences)} samples, 2 duplicates, 0 lost, 2 missing" in err.splitlines()


@pytest.mark.parametrize("share", ["", "a/b", "+", "#", "a\0"])
def test_share_that_cannot_be_one_is_bad_input(share: str) -> None:
    with pytest.raises(InputError, match="cannot be a share"):
        listen("mqtt://broker", share=share)


def test_only_what_is_not_retained_is_shared() -> None:
    filters = Inbox("kona", share="fleet").filters
    assert [f.removeprefix("$share/fleet/").removeprefix("pigtail/v1/kona/") for f in filters if f.startswith("$share")] == [
        "gap", "telemetry",
    ]  # fmt: skip
