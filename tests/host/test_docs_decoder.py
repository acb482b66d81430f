"""The reference decoder in docs/ says what the project's own says, of sound batches and of forged ones; its page is true."""

import json
import random
import subprocess
import sys
from typing import Any

import pytest
from decoder_example import BEGIN, END, PAGE, batch, example, load_decoder
from decoder_example import PROFILE as EXAMPLE
from test_reader_batch import full, random_encoder

from host_tools.errors import InputError
from host_tools.reader import Sample, decode
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Profile

DECODER = load_decoder()


def projects(payload: bytes, profile: Profile) -> list[dict[str, Any]] | None:
    """What the project's decoder makes of a batch, in the reference decoder's words; None when it refuses."""
    try:
        found = decode(payload, profile)
    except InputError:
        return None
    samples = []
    for one in found.records:
        utc_ms = None if one.utc is None else round(one.utc * 1000)
        sample = {"sequence": one.sequence, "utc_ms": utc_ms, "time_ms": one.time_ms, "name": one.name, "value": one.value}
        if isinstance(one, Sample):
            sample |= {"raw": one.raw, "unit": one.unit, "label": one.label, "quality": one.quality, "source": one.source}
        samples.append(sample)
    return samples


def references(payload: bytes, packed: Any) -> list[dict[str, Any]] | None:
    try:
        samples: list[dict[str, Any]] = DECODER.decode(packed, payload)[1]
    except ValueError as error:
        assert str(error)
        return None
    return samples


def mutated(chance: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(6, len(data))] = chance.choice([0, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    return bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data))])])


@pytest.mark.parametrize("seed", range(60))
def test_reference_decoder_says_what_the_projects_does(seed):
    chance = random.Random(seed)
    encoder = random_encoder(chance) if seed else full()
    encoder.profile_hash = identity(pack(encoder.profile))
    packed = DECODER.Profile(pack(encoder.profile))
    payload = encoder.encode()
    assert references(payload, packed) == projects(payload, encoder.profile) is not None
    for _ in range(40):
        other = mutated(chance, payload)
        assert references(other, packed) == projects(other, encoder.profile), other.hex()


def test_profile_that_is_damaged():
    packed = pack(EXAMPLE)
    for wrong in (b"", packed[:40], packed[:-1], packed[:-1] + b"\0", b"X" + packed[1:]):
        with pytest.raises(ValueError, match="profile"):
            DECODER.Profile(wrong)


def test_it_runs_by_itself(tmp_path):
    (tmp_path / "car.bin").write_bytes(pack(EXAMPLE))
    (tmp_path / "batch.bin").write_bytes(batch())
    command = [sys.executable, "-I", "-S", DECODER.__file__, "car.bin", "batch.bin"]  # -S: nothing that was installed
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    assert [sample | {"boot": 7} for sample in projects(batch(), EXAMPLE) or []] == samples


def test_page_shows_the_example_as_it_is():
    _, _, rest = PAGE.read_text().partition(BEGIN)
    assert rest.partition(END)[0] == example(), "run: PYTHONPATH=.:tests/host python tests/host/decoder_example.py"


def test_example_shows_every_way_to_write_a_value():
    text = example()
    for what in ("the first value", "(last)", "(line)", "(quiet)", "changed", "a run of"):
        assert what in text
    assert all(f" {section} " in text for section in "VQP")
