"""How long it takes to make frames into batches, and batches into samples.

The rival of the first: cantools' `decode_message` for every frame, then `json.dumps` for each value that is due, as a program
does it that publishes what it samples. Both are given the same frames of a few seconds and take the same samples. The goal holds
for the capture that the decoder's goals hold for. In the others there are 10 to 20 samples at a time: there it is the sampler's
turn itself, some microseconds of Python on the device, that most of the time is spent on.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from cantools.database.can import Database

from host_tools.bench import encode, workload
from host_tools.bench.decode import COMMAND
from host_tools.bench.row import Row
from host_tools.bench.samples import EPOCH_MS, Window
from host_tools.bench.workload import Workload
from host_tools.reader import batch, bulk
from host_tools.signals import dbc
from host_tools.signals.profile import Message, Profile, Signal

_SECONDS = 4
_ROUNDS = 15
_COPIES = 48  # of the drive's batches: four hours
_DECODING_ROUNDS = 3
_ID_MASK = (1 << 29) - 1


def rows() -> Iterator[Row]:
    """All workloads that there are."""
    if workload.missing():
        print("speed: the recordings are not in ../shared/data; the generated drive only, without a goal")
    else:
        yield from _encoding(workload.kona_dbc(), "≥ 70")
        yield from _encoding(workload.both())
        yield from _encoding(workload.frs())
    yield from _encoding(workload.demo())
    yield from _decoding(workload.demo())


def _encoding(whole: Workload, goal: str | None = None) -> Iterator[Row]:
    end_ms = _SECONDS * 1000
    one = replace(whole, seconds=_SECONDS, frames=tuple(frame for frame in whole.frames if frame[0] <= end_ms))
    ours, decoding, theirs = [], [], []
    with encode.device(one) as (running, folder):
        work = _Rival(one, encode.told(one, encode.records(running, folder, workload.WINDOW_MS)))
        for _ in range(_ROUNDS):
            us, frames, samples = running.ask("whole")
            ours.append(us)
            decoding.append(running.ask("decode")[0])
            theirs.append(work.us())
    spent = min(ours)
    yield Row(f"ring → batch: cantools and json ÷ ours, {one.name}", round(min(theirs) / spent, 1), "", goal, COMMAND)
    yield Row(f"ring → batch, {one.name}", round(spent / frames, 3), "µs/frame", None, COMMAND)
    per_sample = round((spent - min(decoding)) / samples, 3)
    yield Row(f"sampling and encoding, {one.name}", per_sample, "µs/sample", None, COMMAND)


def _decoding(one: Workload) -> Iterator[Row]:
    """The reader's side, by processor time: batch after batch, and many together as `pigtail decode` does it."""
    with encode.device(one) as (running, folder):
        batches = [record.data for record in encode.records(running, folder, workload.WINDOW_MS)]
    work = [(data, one.profile) for data in batches] * _COPIES
    plain = max(_rate(lambda: _one_by_one(work[: len(batches)])) for _ in range(_DECODING_ROUNDS))
    together = max(_rate(lambda: len(bulk.decode_all(work).columns.raw)) for _ in range(_DECODING_ROUNDS))
    yield Row("decoder, plain Python", plain, "samples/s", None, COMMAND)
    yield Row("decoder, many batches with numpy", together, "samples/s", "≥ 1000000", COMMAND)


def _one_by_one(work: list[tuple[bytes, Profile]]) -> int:
    return sum(len(batch.decode(data, profile).samples) for data, profile in work)


def _rate(decode: Callable[[], int]) -> int:
    start = time.process_time()
    samples = decode()
    return round(samples / (time.process_time() - start))


class _Rival:
    """Frames, and between them the samples that are due."""

    def __init__(self, one: Workload, windows: list[Window]) -> None:
        self._decode = _database(one).decode_message
        places = {s.name: _place(message, s) for message in one.profile.messages for s in message.signals}
        samples = [(s.time_ms, window.signal(s).name) for window in windows for s in window.samples]
        self._turns: list[tuple[list[tuple[int, bytes]], float, list[tuple[str, int, str]]]] = []
        frames = deque(one.frames)
        for time_ms, group in groupby(samples, key=lambda sample: sample[0]):
            heard = []
            while frames and frames[0][0] <= time_ms:
                _, key, data = frames.popleft()
                heard.append((key & _ID_MASK, data))
            self._turns.append((heard, (EPOCH_MS + time_ms) / 1000, [(name, *places[name]) for _, name in group]))

    def us(self) -> float:
        """How long it takes."""
        decode = self._decode
        latest: dict[int, Any] = {}
        start = time.perf_counter()
        for frames, utc, samples in self._turns:
            for identity, data in frames:
                latest[identity] = decode(identity, data, decode_choices=False)
            for name, message, signal in samples:
                json.dumps({"name": name, "value": latest[message][signal], "time": utc})
        return (time.perf_counter() - start) * 1e6


def _place(message: Message, signal: Signal) -> tuple[int, str]:
    """Id and name in the DBC: "Message.Signal" here, with the id behind where two cars have that name."""
    return message.arbitration_id, signal.name.removesuffix(f"_{message.arbitration_id:X}").partition(".")[2]


def _database(one: Workload) -> Database:
    return Database([message for path in one.databases for message in dbc.load(path, lambda line: None).messages])
