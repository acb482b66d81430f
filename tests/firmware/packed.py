"""Profiles and frames for the tests, packed from SPEC section 1 alone and as plainly as can be."""

import struct
from binascii import crc32

EXTENDED = 0x20000000


class Signal:
    """`length` bits from bit `start`, which counts in the byte-swapped word when `big`; period 0 is on change, -1 unsampled.
    `low`: the next signal is its high half; `stream`: its stream id, purpose × 4 + class; `most`: the codec's greatest error."""

    def __init__(self, start, length, period_ms=100, signed=False, big=False, low=False, stream=2, most=0):
        crosses = start < 32 < start + length
        self.period_ms = period_ms
        self.big = big
        self.low = low
        self.stream = stream
        self.most = most
        self.size = 8 - start // 8 if big else (start + length + 7) // 8
        s = start % 32
        self.descriptor = bytes([
            32 - length - (0 if crosses else s),
            32 - length,
            8 + 4 * (start >= 32) + 8 * big,
            (32 | s if crosses else 0) | 64 * signed,
        ])  # fmt: skip


def wide(start, length, period_ms=100, signed=False, big=False):
    """A signal of more than 32 bits: both halves."""
    return [Signal(start, 32, period_ms, big=big, low=True), Signal(start + 32, length - 32, period_ms, signed, big)]


class Branch:
    """`signals` that come when `selector`, an index in the row before that is `parent` (-1 is the message's own, 0 its first
    branch), has a value in one of `ranges`."""

    def __init__(self, selector, ranges, signals, parent=-1):
        self.selector = selector
        self.ranges = ranges
        self.signals = signals
        self.parent = parent


def pack(messages, text=b"", limits=(), rules=()):
    """Bytes of a profile; `messages`: (id, with bit 29 when it has 29 bits; [Signal]; perhaps [Branch]) in the order of the
    ids; `limits`: (index, kind, least, greatest, deadband); `rules`: (message, counter, step, modulo, checksum, kind)."""
    everything = [s for m in messages for s in _all_signals(m)]
    periods = sorted({s.period_ms for s in everything} - {0, -1})
    streams = []  # in the order in which signals name them
    for s in everything:
        if s.period_ms >= 0 and s.stream not in streams:
            streams.append(s.stream)
    rows, descriptors, classes, conditions, quanta = b"", b"", b"", b"", b""
    firsts = []  # of each row
    link = len(messages)
    plan = []
    for message in messages:
        branches = message[2] if len(message) > 2 else []
        aside = (6 if branches else 0) | (10 if any([rule[0] == len(plan) for rule in rules]) else 0)
        plan.append((None, message[0], message[1], aside, link if branches else 0))
        link += len(branches)
    for i, message in enumerate(messages):
        branches = message[2] if len(message) > 2 else []
        base = plan[i][4]
        for k, branch in enumerate(branches):
            parent = i if branch.parent < 0 else base + branch.parent
            plan.append((branch, parent, branch.signals, 16 * (k == len(branches) - 1), parent))
    for branch, ident, signals, flags, reserved in plan:
        firsts.append(len(classes))
        if branch:
            ident = firsts[ident] + branch.selector | len(conditions) // 8 << 16
            conditions += b"".join([struct.pack("<II", low, high) for low, high in branch.ranges])
        flags |= any([s.big for s in signals]) | any([not s.period_ms for s in signals]) << 1
        size = max([s.size for s in signals])
        rows += struct.pack("<IHHBBH", ident, len(classes), len(signals), size, flags, reserved)
        for s in signals:
            descriptors += s.descriptor[:3] + bytes([s.descriptor[3] | 128 * (s is signals[-1])])
            c = periods.index(s.period_ms) if s.period_ms > 0 else 9 if s.period_ms else 8
            quanta += struct.pack("<HH", len(classes), s.most) if s.most else b""
            classes += bytes([c | 16 * s.low | (streams.index(s.stream) << 5 if c < 9 else 0)])
    head = struct.pack("<4sBBHHHI", b"PTPF", 2, 0, len(messages), len(classes), _grid(periods), len(text))
    head += struct.pack("<8I", *(periods + [0] * (8 - len(periods))))
    head += struct.pack("<4H", len(plan) - len(messages), len(conditions) // 8, len(limits), len(rules))
    head += bytes(streams + [255] * (8 - len(streams))) + struct.pack("<HH", len(quanta) // 4, 0)
    tables = rows + descriptors + classes + bytes(-len(classes) % 4) + conditions + _guards(limits, rules) + quanta
    return sealed(head + tables + text)


def _guards(limits, rules):
    table = b"".join([struct.pack("<HHiiI", *limit) for limit in limits])
    return table + b"".join([struct.pack("<5HBB", *rule, 0) for rule in rules])


def _all_signals(message):
    branches = message[2] if len(message) > 2 else []
    return list(message[1]) + [s for branch in branches for s in branch.signals]


def sealed(body):
    return body + struct.pack("<I", crc32(body))


def _grid(periods):
    grid = 0
    for period in periods:
        while period:
            grid, period = period, grid % period
    return grid or 1000


def text(names):
    """The text of a profile whose signals have these names."""
    return described(['{"name": "%s"}' % name for name in names])


def described(signals, head='{"name": "made for a test"}'):
    """The text of a profile with these lines of JSON: zlib, not compressed."""
    lines = ("\n".join([head] + signals) + "\n").encode()
    a, b = 1, 0
    for byte in lines:
        a = (a + byte) % 65521
        b = (b + a) % 65521
    head = struct.pack("<BBBHH", 0x28, 0x15, 1, len(lines), len(lines) ^ 0xFFFF)
    return head + lines + struct.pack(">HH", b, a)


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


def get(path):
    with open(path, "rb") as f:
        return f.read()


def load(messages, text=b"", limits=(), rules=()):
    """The Profile of these messages, from a file."""
    from pigtail.signals.profile import Profile

    put("/profile.bin", pack(messages, text, limits, rules))
    return Profile("/profile.bin")


def slots(*frames):
    """What the bus makes of frames (id, data, tick): see can/bus."""
    return b"".join([struct.pack("<II8s", ident, len(data) << 28 | tick, data) for ident, data, tick in frames])


def told(table, data):
    """Every change told for the slots in `data`, taken in one drain, as (index, tick, raw)."""
    found = []
    i, aside = 0, table.decode(data, len(data) // 16)
    while i < aside:
        i = table.aside.follow(data, i, aside)
        for k in range(table.aside.changed):
            found.append(tuple(table.aside.events[4 * k : 4 * k + 3]))
    return found
