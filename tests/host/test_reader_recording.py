"""Recordings: what was written comes back; cut anywhere, changed anywhere, made of nothing but false beginnings."""

import io
import random

import pytest

from host_tools.errors import InputError
from host_tools.reader.recording import MARK, Damage, Message, Recorder, messages, record

SENT = [("pigtail/v1/kona/status", b"{}"), ("pigtail/v1/\u00e9/telemetry", bytes(range(256))), ("t", b"")]


def written() -> bytes:
    return b"".join(record(*message) for message in SENT)


class Reluctant(io.RawIOBase):
    """Takes at most three bytes at a time."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data) -> int:
        self.data += bytes(data[:3])
        return min(3, len(data))


def test_recorder_writes_all():
    file = Reluctant()
    for message in SENT:
        Recorder(file).write(*message)
    assert file.data == written()


def sound(data: bytes) -> list[tuple[str, bytes]]:
    return [found[:2] for found in messages(data) if isinstance(found, Message)]


def test_messages_come_back_and_recordings_can_be_joined():
    assert sound(written() + written()) == SENT * 2


def test_bytes_written_by_hand():
    assert record("a/b", b"\x01\x02") == b"PTM1\x03\x00\x02\x00\x00\x00a/b\x01\x02" + bytes.fromhex("dcc89145")


def test_cut_anywhere_gives_the_records_before_it():
    whole = written()
    ends = [len(b"".join(record(*message) for message in SENT[:count])) for count in range(len(SENT) + 1)]
    for size in range(len(whole)):
        found = list(messages(whole[:size]))
        complete = max(count for count, end in enumerate(ends) if end <= size)
        assert [message[:2] for message in found[:complete]] == SENT[:complete]
        rest = found[complete:]
        assert rest == ([] if size in ends else [Damage(ends[complete], size - ends[complete], True)])


def test_flipped_byte_loses_the_record_hit_and_says_so():
    whole = written()
    first = len(record(*SENT[0]))
    second = first + len(record(*SENT[1]))
    for at in range(first, second):
        changed = bytearray(whole)
        changed[at] ^= 0x10
        assert sound(bytes(changed)) == [SENT[0], SENT[2]]
        assert Damage(first, second - first, False) in list(messages(bytes(changed)))


def test_damaged_record_at_the_end_is_not_taken_for_a_cut_one():
    end = len(written())
    assert list(messages(written() + b"Q" + record(*SENT[1])[1:-1]))[-1] == Damage(end, len(record(*SENT[1])) - 1, False)


def test_file_of_something_else_is_one_damage():
    assert list(messages(b"what is this" * 9)) == [Damage(0, 108, False)]
    assert list(messages(b"")) == []


def test_file_of_false_beginnings_does_not_hang():
    beginning = MARK + (0).to_bytes(2, "little") + (1 << 20).to_bytes(4, "little")
    with pytest.raises(InputError, match="damaged from byte 0 on"):
        list(messages(beginning * 200_000))


@pytest.mark.parametrize("seed", range(20))
def test_mutated_bytes_never_raise(seed):
    chance = random.Random(seed)
    for _ in range(100):
        changed = bytearray(written() * 3)
        for _ in range(chance.randint(1, 5)):
            changed[chance.randrange(len(changed))] = chance.choice([0, 0xFF, chance.randrange(256)])
        found = list(messages(bytes(changed)))
        sizes = [len(record(*item[:2])) if isinstance(item, Message) else item.size for item in found]
        assert sum(sizes) == len(changed)
        assert set(sound(bytes(changed))) <= set(SENT)
