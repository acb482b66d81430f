"""signals: no file crashes the loader, and no frame, whatever the profile that got through, writes beside its place."""

# heap: 256k

import random
import struct
from array import array
from packed import EXTENDED, Branch, Signal, pack, put, sealed, slots, text, wide
from pigtail.outbox.batch import Batch
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import Profile, ProfileError
from pigtail.signals.reschedule import scheduled
from pigtail.signals.table import Table
from pigtail.signals.values import Values

CANARY = 0x5A
MESSAGES = [
    (
        0x10,
        [Signal(0, 8, -1), Signal(8, 8, 0), Signal(60, 4, -1)],
        [
            Branch(0, [(1, 1)], [Signal(8, 8, -1)] + wide(16, 40, 0)),
            Branch(0, [(0, 3), (7, 90)], [Signal(16, 16, 100, big=True)]),
            Branch(0, [(0, 9)], [Signal(24, 8, signed=True)], parent=0),
        ],
    ),
    (0x20, [Signal(0, 4, -1), Signal(8, 8, -1)] + wide(16, 48) + [Signal(4, 4, 0)]),
    (0x30 | EXTENDED, [Signal(28, 12, 100, True), Signal(0, 32, 500, big=True), Signal(5, 3, 0)]),
]
LIMITS = [(1, 1, -100, 100, 5), (9, 0, -5, 5, 0)]
RULES = [(0, 0, 1, 200, 2, 6), (1, 3, 1, 16, 4, 4)]
NAMES = ["s%d" % i for i in range(13)]
HEADER = 56


def _base():
    return pack(MESSAGES, text(NAMES), LIMITS, RULES)


def _load(data):
    put("/fuzz", data)
    try:
        return Profile("/fuzz")
    except ProfileError:
        return None


def _guarded(owner, name, form):
    """Puts canaries on both sides of a buffer."""
    size = len(getattr(owner, name))
    whole = array(form, [CANARY] * 4 + [0] * size + [CANARY] * 4)
    setattr(owner, name, memoryview(whole)[4 : 4 + size])
    return name, whole


def _run(profile, frames):
    """Random frames through all that reads the tables."""
    values = Values(profile)
    parts = ("raw", "i"), ("ticks", "I"), ("dirty", "B"), ("quality", "B")
    guards = [_guarded(values, name, form) for name, form in parts]
    table = Table(profile, values)
    own = [(table, name, form) for name, form in (("_marked", "H"), ("_counts", "i"), ("_swapped", "B"))]
    if table.aside:
        own += [(table.aside, name, form) for name, form in (("_verdicts", "B"), ("_taken", "B"), ("events", "i"))]
    guards += [_guarded(*place) for place in own]
    if table.aside:
        table.aside._marked, table.aside._counts, table.aside._swapped = table._marked, table._counts, table._swapped
        table.aside._at = table.aside._addresses()
    table._at = table._addresses()
    batch = Batch(profile, values, 512)
    parts = ("_previous", "i"), ("_told", "B"), ("_events", "B"), ("_out", "B"), ("_marks", "i")
    guards += [_guarded(batch, name, form) for name, form in parts]
    batch._view = memoryview(batch._out)
    sampler = Sampler(profile, batch, lambda ms: ms & 0x3FFFFFFF, 2000, lambda: batch.close(1, 0, 0, (0, 0)))
    sampler.start(0)
    for frame in frames:
        i, aside = 0, table.decode(frame, len(frame) // 16)
        while i < aside:
            i = table.aside.follow(frame, i, aside)
            sampler.changes(table.aside.events, table.aside.changed)
        while not (batch.silences(random.getrandbits(28)) and batch.take(255, 1)):
            sampler._close()
    for name, whole in guards:
        assert [int(x) for x in whole[:4]] + [int(x) for x in whole[-4:]] == [CANARY] * 8, name


def _frames(idents, count):
    return [slots(*[_frame(random.choice(idents)) for _ in range(64)]) for _ in range(count)]


def _frame(ident):
    data = bytes([random.getrandbits(8) if random.getrandbits(1) else random.getrandbits(2) for _ in range(8)])
    return ident, data[: random.choice((8, 8, 8, random.getrandbits(3)))], random.getrandbits(28)


def _mutated(data, begin, end):
    body = bytearray(data[:-4])
    for _ in range(1 + random.getrandbits(2)):
        at = random.randrange(begin, end)
        body[at] = random.choice((0, 1, 0xFF, body[at] ^ 1 << random.getrandbits(3), random.getrandbits(8)))
    return sealed(body)


def test_random_files():
    random.seed(1)
    for _ in range(300):
        junk = bytes([random.getrandbits(8) for _ in range(random.randrange(400))])
        assert _load(junk) is None
        assert _load(b"PTPF\1\0" + junk) is None


def test_random_tables_of_the_right_size():
    random.seed(2)
    loaded = 0
    for _ in range(300):
        messages, signals, branches = random.randrange(1, 4), random.randrange(1, 9), random.randrange(3)
        counts = branches, random.randrange(3), random.randrange(2), random.randrange(2)
        head = struct.pack("<4sBBHHHI8I4H", b"PTPF", 1, 0, messages, signals, 100, 0, 100, 0, 0, 0, 0, 0, 0, 0, *counts)
        size = 12 * (messages + branches) + 4 * signals + (signals + 3 & ~3) + 8 * counts[1] + 16 * counts[2] + 12 * counts[3]
        body = bytes([random.getrandbits(random.choice((1, 2, 8))) for _ in range(size)])
        loaded += _load(sealed(head + body)) is not None
    assert loaded < 300


def test_mutated_files_are_refused_or_harmless():
    random.seed(3)
    good = _base()
    tables_end = len(good) - 4 - len(text(NAMES))
    loaded = 0
    for n in range(1500):
        profile = _load(_mutated(good, 6 if n & 1 else HEADER, tables_end))
        if profile and loaded < 150:
            loaded += 1
            idents = [profile.message_id(m) for m in range(profile.messages)]
            _run(profile, _frames(idents, 2))
    assert loaded == 150


def test_random_frames_stay_in_their_slots():
    random.seed(4)
    profile = _load(_base())
    idents = [0x10, 0x10, 0x10, 0x20, 0x20, 0x30 | EXTENDED, 0x7FF, EXTENDED, 0x1FFFFFFF | EXTENDED, 0]
    _run(profile, _frames(idents, 100))


def test_mutated_text_makes_no_other_error_than_a_profile_error():
    random.seed(5)
    good = _base()
    begin = len(good) - 4 - len(text(NAMES))
    refused = 0
    for _ in range(200):
        put("/fuzz", _mutated(good, begin, len(good) - 4))
        try:
            scheduled("/fuzz", {"s1": 200})
        except ProfileError:
            refused += 1
    assert refused
