"""signals: no file crashes the loader, and no frame, whatever the profile that got through, writes beside its place."""

# heap: 1m

import random
import struct
from array import array
from packed import EXTENDED, Branch, Signal, pack, put, sealed, slots, text, wide
from pigtail.outbox.batch import batches
from pigtail.policy.sampling import Sampler
from pigtail.signals.profile import BRANCHES, LAST, Profile, ProfileError
from pigtail.signals.reschedule import scheduled
from pigtail.signals.table import Table
from pigtail.signals.values import Values
from reading import Read

CANARY = 0x5A
MESSAGES = [
    (
        0x10,
        [Signal(0, 8, -1), Signal(8, 8, 0), Signal(60, 4, -1)],
        [
            Branch(0, [(1, 1)], [Signal(8, 8, -1)] + wide(16, 40, 0)),
            Branch(0, [(0, 3), (7, 90)], [Signal(16, 16, 100, big=True)]),
            Branch(0, [(0, 9)], [Signal(24, 8, signed=True, stream=6, most=2)], parent=0),
        ],
    ),
    (0x20, [Signal(0, 4, -1), Signal(8, 8, -1)] + wide(16, 48) + [Signal(4, 4, 0)]),
    (0x30 | EXTENDED, [Signal(28, 12, 100, True), Signal(0, 32, 500, big=True, stream=6), Signal(5, 3, 0, stream=5)]),
]
LIMITS = [(1, 1, -100, 100, 5), (9, 0, -5, 5, 0)]
RULES = [(0, 0, 1, 200, 2, 6), (1, 3, 1, 16, 4, 4)]
NAMES = ["s%d" % i for i in range(13)]
HEADER = 68


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
    streams = batches(profile, values)
    for batch in streams:
        guards += [_guarded(batch, name, "B") for name in ("_bits", "_others", "_presence")]
        batch._address()
    if streams:
        shared = streams[0].shared
        guards += [_guarded(shared, *place) for place in (("told", "B"), ("states", "i"), ("marks", "i"), ("record", "B"))]
        shared.at = shared.addresses()
    for batch in streams:
        batch.open(0, 0)

    def deliver(batch):
        found[0] += Read(bytes(batch.close(1, 0, 0, (0, 0))), profile).count

    found, now = [0], 0
    sampler = Sampler(profile, values, streams, lambda ms: random.getrandbits(28), 2000, deliver)
    sampler.start(0)
    for frame in frames:
        i, aside = 0, table.decode(frame, len(frame) // 16)
        while i < aside:
            i = table.aside.follow(frame, i, aside)
            sampler.changes(table.aside.events, table.aside.changed)
        now += 5 * profile.grid_ms
        sampler.run(now)
    sampler.start(now)
    assert found[0] == sum([batch.sequence for batch in streams])
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
        assert _load(b"PTPF\2\0" + junk) is None


def test_random_tables_of_the_right_size():
    random.seed(2)
    for _ in range(300):
        messages, signals, branches = random.randrange(1, 4), random.randrange(1, 9), random.randrange(3)
        counts = branches, random.randrange(3), random.randrange(2), random.randrange(2)
        head = struct.pack("<4sBBHHHI8I4H", b"PTPF", 2, 0, messages, signals, 100, 0, 100, 0, 0, 0, 0, 0, 0, 0, *counts)
        quanta = random.randrange(2)
        head += b"\2\6" + b"\xff" * 6 + struct.pack("<HH", quanta, 0)
        size = 12 * (messages + branches) + 4 * signals + (signals + 3 & ~3)
        size += 8 * counts[1] + 16 * counts[2] + 12 * counts[3] + 4 * quanta
        body = bytes([random.getrandbits(random.choice((1, 2, 8))) for _ in range(size)])
        profile = _load(sealed(head + body))
        if profile:
            _run(profile, _frames([profile.message_id(m) for m in range(profile.messages)], 2))


def _descriptor(is_last):
    """Four bytes that make sense more often than not."""
    length = random.choice((1, 4, 8, 12, 16, 32, 1 + random.getrandbits(5)))
    start = random.getrandbits(6)
    crosses = 32 | start % 32 if start < 32 < start + length else 0
    left = 32 - length - (0 if crosses else start % 32)
    word = random.choice((8, 12, 16, 20)) if not crosses else random.choice((8, 16))
    return bytes([max(0, left), 32 - length, word, crosses | random.getrandbits(1) << 6 | (is_last << 7)])


def _plausible():
    """A profile made of random parts that mostly fit together."""
    n = random.randrange(1, 5)
    idents = sorted({random.getrandbits(11) if random.getrandbits(1) else EXTENDED | random.getrandbits(29) for _ in range(n)})
    rows, descriptors, first = b"", b"", 0
    for ident in idents:
        count = random.randrange(1, 6)
        size, flags = random.choice((8, 8, 1 + random.getrandbits(3))), random.choice((0, 1, 1, 2, 3))
        rows += struct.pack("<IHHBBH", ident, first, count, size, flags, 0)
        descriptors += b"".join([_descriptor(s == count - 1) for s in range(count)])
        first += count
    classes = bytes([random.choice((0, 0, 8, 9, 32, 40)) for _ in range(first)]) + bytes(-first & 3)
    head = struct.pack("<4sBBHHHI8I4H", b"PTPF", 2, 0, len(idents), first, 100, 0, 100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    streams = b"\2\6" + b"\xff" * 6 + bytes(4)
    return sealed(head + streams + rows + descriptors + classes)


def test_random_profiles_are_refused_or_harmless():
    random.seed(6)
    loaded = tried = 0
    while loaded < 60:
        tried += 1
        assert tried < 1000
        data = _plausible()
        profile = _load(_mutated(data, HEADER, len(data) - 4) if random.getrandbits(1) else data)
        if profile:
            loaded += 1
            _run(profile, _frames([profile.message_id(m) for m in range(profile.messages)], 2))
    assert tried > 60  # some were refused


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


def _own(profile, ident):
    """Which rows and which signals a frame with this id may write."""
    rows = [m for m in range(profile.messages) if profile.message_id(m) == ident]
    if rows and profile.flags(rows[0]) & BRANCHES:
        row = profile.link(rows[0])
        while not profile.flags(row) & LAST:
            rows.append(row)
            row += 1
        rows.append(row)
    return rows, [s for row in rows for s in range(profile.first(row), profile.first(row) + profile.count(row))]


def _changed(before, after, own):
    """Indices that differ, those of `own` left out."""
    return [i for i in range(len(before)) if before[i] != after[i] and i not in own]


def _check_slots(profile, rounds):
    """A frame changes what belongs to its own message, and nothing else; what belongs to others is random."""
    values = Values(profile)
    table = Table(profile, values)
    idents = [profile.message_id(m) for m in range(profile.messages)] + [0x7FF, EXTENDED]
    for _ in range(rounds):
        for i in range(profile.signals):
            values.raw[i] = random.getrandbits(30) - 0x20000000
            values.quality[i] = random.choice((0, 1, 3, 4))
        ident = random.choice(idents)
        frame = slots(_frame(ident))
        rows, signals = _own(profile, ident)
        parts = (values.raw, signals), (values.quality, signals), (values.ticks, rows), (values.dirty, rows)
        before = [list(part) for part, _ in parts]
        i, aside = 0, table.decode(frame, 1)
        while i < aside:
            i = table.aside.follow(frame, i, aside)
            for e in range(table.aside.changed):
                assert table.aside.events[4 * e] in signals
        for k, (part, own) in enumerate(parts):
            assert _changed(before[k], part, own) == []


def test_random_frames_write_only_the_signals_of_their_own_message():
    random.seed(7)
    _check_slots(_load(_base()), 600)
    good, checked = _base(), 0
    while checked < 40:
        profile = _load(_mutated(good, HEADER, len(good) - 4 - len(text(NAMES))))
        if profile:
            checked += 1
            _check_slots(profile, 20)


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
