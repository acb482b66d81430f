"""Dumps of the outbox's partition: batches in parts, across segments and around the ring; damaged, torn, forged, erased."""

import random
import struct
import zlib
from pathlib import Path

import pytest
from on_device import run
from test_decode import NOW, PACKED, batch, decode, rows  # noqa: F401  # a fixture

from host_tools.reader.flash import SEGMENT, batches, is_dump

TABLE, MORE, LAST = 0xFF, 0x40, 0x80


class Partition:
    """`count` segments; `put` writes records one after the other, from segment `number` on, around the ring."""

    def __init__(self, count: int = 4, number: int = 1) -> None:
        self.data = bytearray(b"\xff" * SEGMENT * count)
        self.count = count
        self.number = number - 1
        self.at = SEGMENT

    def put(self, stream: int, payload: bytes, start: int = 0, count: int = 0, part: int = 0, boot: int = 1) -> int:
        """Writes a record, at the beginning of a segment behind a table; gives its place in the dump."""
        if self.at + 20 + len(payload) > SEGMENT:
            self.number += 1
            self.at = 0
            place = self.number % self.count * SEGMENT
            self.data[place : place + SEGMENT] = b"\xff" * SEGMENT
            self.put(TABLE, bytes(10), start=self.number, part=LAST)
        head = struct.pack("<HBBIII", len(payload), stream, part, boot, start, count)
        crc = zlib.crc32(head + payload, zlib.crc32(b"", self.number))
        place = self.number % self.count * SEGMENT + self.at
        self.data[place : place + 20 + len(payload)] = head + crc.to_bytes(4, "little") + payload
        self.at += 20 + len(payload) + 3 & ~3
        return place

    def found(self) -> list[bytes]:
        return [kept.payload for kept in batches(bytes(self.data))]


def test_parts_are_joined_and_streams_do_not_mix():
    partition = Partition()
    partition.put(2, b"one ", 0, 5, 0)
    partition.put(6, b"other", 0, 9, LAST)
    partition.put(2, b"two ", 5, 5, 1)
    partition.put(2, b"three", 10, 1, 2 | LAST)
    partition.put(2, b"next", 11, 1, LAST)
    assert partition.found() == [b"one two three", b"next", b"other"]
    assert is_dump(bytes(partition.data))


def test_part_that_is_split_between_segments():
    partition = Partition()
    partition.put(2, bytes(3900), 0, 5, 0)
    partition.put(2 | MORE, b"be", 5, 0, 1)
    partition.put(2, b"ginning" * 50, 5, 7, 2 | LAST)
    assert partition.found() == [bytes(3900) + b"be" + b"ginning" * 50]


def test_part_that_is_not_whole_is_left_out():
    partition = Partition()
    partition.put(2, b"whole ", 0, 5, 0)
    partition.put(2 | MORE, b"half", 5, 0, 1)
    partition.put(2, b"next", 0, 5, LAST, boot=2)
    partition.put(6 | MORE, b"half", 0, 0, 0)
    assert partition.found() == [b"whole ", b"next"]


def test_batch_that_lacks_a_record_in_its_middle_ends_before_it():
    partition = Partition()
    for part in range(4):
        at = partition.put(2, b"part%d" % part, part, 1, part)
        if part == 2:
            partition.data[at + 21] ^= 1
    assert partition.found() == [b"part0part1"]


def test_batch_that_lacks_its_beginning_is_left_out():
    partition = Partition()
    partition.data[partition.put(2, b"part0", 0, 1, 0)] ^= 1
    partition.put(2, b"part1", 1, 1, 1)
    partition.put(2, b"next", 2, 1, LAST)
    assert partition.found() == [b"next"]


def test_order_is_that_of_the_log_and_not_of_the_places():
    partition = Partition(count=4, number=6)
    for number in range(20):
        partition.put(2, b"%04d" % number + bytes(900), number, 1, LAST)
    numbers = [int(payload[:4]) for payload in partition.found()]
    assert numbers == list(range(numbers[0], 20)) and numbers[0] > 0


def test_segment_whose_table_is_damaged_is_read_by_its_neighbours():
    partition = Partition(count=6)
    for number in range(12):
        partition.put(2, b"%04d" % number + bytes(900), number, 1, LAST)
    whole = partition.found()
    assert len(whole) == 12
    for place in 1, 2, 3:
        partition.data[place * SEGMENT + 22] ^= 1
        assert partition.found() == whole
        partition.data[place * SEGMENT + 22] ^= 1


def test_record_of_an_older_use_of_its_place_is_none():
    partition = Partition(count=2)
    for number in range(8):
        partition.put(2, b"%04d" % number + bytes(900), number, 1, LAST)
    left = bytes(partition.data)
    partition.put(2, b"new", 8, 1, LAST)
    at = partition.number % 2 * SEGMENT + partition.at
    partition.data[at : at // SEGMENT * SEGMENT + SEGMENT] = left[at : at // SEGMENT * SEGMENT + SEGMENT]
    assert len(partition.found()) == len(set(partition.found())) and partition.found()[-1] == b"new"


def test_flipped_byte_loses_what_it_hits_and_invents_nothing():
    partition = Partition(count=2)
    for number in range(9):
        partition.put(2, b"%04d" % number * 5, number, 1, LAST)
    whole = partition.found()
    for at in [*range(260), *range(260, SEGMENT, 97)]:
        place = SEGMENT + at
        partition.data[place] ^= 0x55
        found = partition.found()
        assert set(found) <= set(whole) and len(found) >= len(whole) - (1 if at >= 32 else len(whole))
        partition.data[place] ^= 0x55


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_dump(seed):
    noise = random.Random(seed).randbytes(8 * SEGMENT)
    assert not is_dump(noise) and list(batches(noise)) == []
    assert not is_dump(noise[:-1])


def test_decode_reads_a_dump(tmp_path, decode):  # noqa: F811
    partition = Partition()
    partition.put(2, batch(10), 10, 3, LAST)
    partition.put(2, batch(20, clock=2, utc_ms=NOW), 20, 3, LAST)
    partition.put(2, batch(20, clock=2, utc_ms=NOW), 20, 3, LAST)
    (tmp_path / "kona.flash").write_bytes(partition.data)
    (tmp_path / "car.bin").write_bytes(PACKED)
    out, err = decode(tmp_path / "kona.flash", "--profile", tmp_path / "car.bin")
    assert [(r["device"], r["sequence"], r["clock"]) for r in rows(out)] == [
        ("kona", number, "ntp") for number in (10, 11, 12, 20, 21, 22)
    ]
    assert err.splitlines() == [
        "kona: 7 samples of boot 1, stream 2, from 13 on are missing",
        "6 samples, 3 duplicates, 0 lost, 7 missing",
    ]


WRITER = """
import random
import sys
sys.path[:0] = [{chip!r}]
from nor import Nor
from pigtail.outbox.outbox import Outbox
from sources import Source, long
nor = Nor(26)
for boot in 1, 2, 3:
    random.seed(boot)
    outbox = Outbox(boot, (0, 1, 2, 6), nor, 3000, (3, 3))
    sources = [Source(outbox, boot, stream) for stream in (0, 2, 6)]
    for turn in range(40):
        for source in sources:
            long(source, random.randrange(4), 5, random.choice((40, 300, 1100)))
            source.take(1, 0)
            source.close(200)
        outbox.tidy(100000 * turn)
    if boot == 2:
        outbox.flush_all()
outbox.flush_all()
outbox.rewind()
with open({image!r}, "wb") as dump:
    dump.write(nor.data)
while batch := outbox.next():
    print(batch.boot, batch.stream, batch.first, "".join(["%02x" % byte for piece in batch.chunks() for byte in piece]))
"""


def test_dump_that_the_firmware_wrote_gives_every_batch_that_it_would_send(tmp_path):
    image = tmp_path / "outbox.bin"
    chip = Path(__file__).parent.parent / "firmware"
    said = run(["-c", WRITER.format(chip=str(chip), image=str(image))], heap="8m").split("\n")
    sent = {bytes.fromhex(line.split()[3]) for line in said if line}
    assert is_dump(image.read_bytes())
    found = [kept.payload for kept in batches(image.read_bytes())]
    assert len(sent) > 30 and sent <= set(found) and len(found) == len(set(found))
    assert max(map(len, sent)) > SEGMENT / 2
