"""Reads batches in the tests, from SPEC section 2 alone and as plainly as can be."""

ON_CHANGE = 8


class Bits:
    """A section of bits, from its bytes."""

    def __init__(self, data):
        self._data = data
        self._at = 0

    def one(self):
        bit = self._data[self._at >> 3] >> 7 - (self._at & 7) & 1
        self._at += 1
        return bit

    def number(self, n):
        value = 0
        for _ in range(n):
            value = value << 1 | self.one()
        return value

    def ones(self):
        """Ones up to a zero, which is taken too, or sixteen of them."""
        n = 0
        while n < 16 and self.one():
            n += 1
        return n

    def gamma(self):
        n = 0
        while not self.one():
            n += 1
        return 1 << n | self.number(n)

    def end(self):
        left = 8 * len(self._data) - self._at
        assert left < 8 and self.number(left) == 0, "%d bits are left over" % left


class Runs:
    """The runs in a section; nothing asks for the symbol that would end the last of them."""

    def __init__(self, bits):
        self._bits = bits
        self._state = 32
        self._left = None

    def is_over(self):
        """Whether the run is over at this symbol."""
        if self._left is None:
            k = width(self._state >> 4)
            q = self._bits.ones()
            self._left = self._bits.number(20) if q == 16 else q << k | self._bits.number(k)
            self._state += ((self._left << 3) - self._state) >> 2
        if self._left:
            self._left -= 1
            return False
        self._left = None
        return True


def width(n):
    k = 0
    while n >> k:
        k += 1
    return k


def wrapped(n):
    return (n + (1 << 31) & 0xFFFFFFFF) - (1 << 31)


def unzigzag(n):
    return n >> 1 ^ -(n & 1)


def varint(data, at):
    value = shift = 0
    while data[at] > 127:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
    return value | data[at] << shift, at + 1


def varints(data, at, n):
    found = []
    for _ in range(n):
        value, at = varint(data, at)
        found.append(value)
    return found, at


class Read:
    """A batch of one stream of `profile`: its header, `samples` (index, grid tick, raw) in order, and `events` (index, ms, kind,
    what) of kind "sample", "mark", "text" or "occurrence"."""

    def __init__(self, data, profile):
        self.flags = data[1]
        assert data[0] == 2 and int.from_bytes(data[2:6], "little") == profile.identity
        numbers, at = varints(data, 6, 6)
        self.configuration, self.consent, self.boot, self.sequence, self.start, self.first_row = numbers
        self.utc = None
        if self.flags & 3:
            self.utc = int.from_bytes(data[at : at + 6], "little")
            at += 6
        assert data[at] == 0
        self._join(data, at + 1)
        self._profile = profile
        self.samples = []
        self._walk()
        self.events = []
        self._read_events()
        others = [e for e in self.events if e[2] != "mark"]
        assert self.count == len(self.samples) + len(others), (self.count, len(self.samples), len(others))

    def _join(self, data, at):
        self.sections = [b"", b"", b"", b""]
        takes_back = [0, 0, 0, 0]
        self.parts = 0
        while at < len(data):
            (self.count, self.ticks, self.rows, *sizes), at = varints(data, at, 7)
            provisional = data[at]
            at += 1
            for i in range(4):
                kept = len(self.sections[i]) - takes_back[i]
                self.sections[i] = self.sections[i][:kept] + data[at : at + sizes[i]]
                at += sizes[i]
            takes_back = [provisional & 1, provisional >> 1 & 7, provisional >> 4, 0]
            self.parts += 1
        assert at == len(data) and self.parts

    def _walk(self):
        p = self._profile
        number = list(p.streams).index(self.flags >> 2)
        values, quiet, presence = [Bits(section) for section in self.sections[:3]]
        self._values, self._quiet_bits = values, quiet
        self._quiet = Runs(quiet)
        changes = Runs(presence)
        self._near = {}
        for at in range(0, len(p.quanta), 4):
            self._near[p.quanta[at] | p.quanta[at + 1] << 8] = p.quanta[at + 2] | p.quanta[at + 3] << 8
        self._states = {}
        present = {}
        for k in range(self.start, self.start + self.ticks + 1):
            rows = range(self.first_row if k == self.start else 0, p.row_count if k < self.start + self.ticks else self.rows)
            for m in rows:
                seen = []
                for s in range(p.first(m), p.first(m) + p.count(m)):
                    c = p.classes[s] & 15
                    if p.classes[s] >> 5 != number or c >= ON_CHANGE or k * p.grid_ms % p.periods[c]:
                        continue
                    if c not in seen:
                        seen.append(c)
                        present[m, c] = present.get((m, c), True) ^ changes.is_over()
                    if present[m, c]:
                        self.samples.append((s, k, self._value(s)))
        for bits in values, quiet, presence:
            bits.end()

    def _value(self, s):
        if s not in self._states:
            raw = self._values.gamma() - 1
            if self._profile.descriptors[4 * s + 3] & 64:
                raw = unzigzag(raw)
            self._states[s] = wrapped(raw), wrapped(raw), 16, 0
            return wrapped(raw)
        x1, x2, mean, lead = self._states[s]
        linear = 2 * x1 - x2
        d = self._quiet_difference() if mean < 6 else self._difference(width(mean >> 4))
        step = 2 * self._near.get(s, 0) + 1
        x = wrapped((linear if lead < 0 else x1) + d * step)
        mean += (min(min(abs(d), 1 << 20) << 4, 8 * mean + 256) - mean) >> 2
        m1, m2 = [min(abs(wrapped(x - p)), 1 << 20) for p in (x1, linear)]
        self._states[s] = x, x1, mean, lead + m2 - m1 - (lead >> 3)
        return x

    def _quiet_difference(self):
        if not self._quiet.is_over():
            return 0
        negative = self._quiet_bits.one()
        size = self._quiet_bits.ones()
        size = 1 + (self._quiet_bits.number(32) if size == 16 else size)
        return -size if negative else size

    def _difference(self, k):
        q = self._values.ones()
        return unzigzag(self._values.number(32) if q == 16 else q << k | self._values.number(k))

    def _read_events(self):
        data, at, ms, before = self.sections[3], 0, self.start * self._profile.grid_ms, {}
        while at < len(data):
            (head, since), at = varints(data, at, 2)
            ms += unzigzag(since)
            index, kind = head >> 2, head & 3
            if kind < 2:
                what, at = varint(data, at)
                if not kind:
                    what = before[index] = wrapped(before.get(index, 0) + unzigzag(what))
                self.events.append((index, ms, "mark" if kind else "sample", what))
            elif kind == 2:
                path, at = _bytes(data, at)
                value, at = _bytes(data, at)
                self.events.append((index, ms, "text", (path.decode(), value.decode())))
            else:
                what, at = _occurrence(data, at, index)
                self.events.append((index, ms, "occurrence", what))


def _bytes(data, at):
    size, at = varint(data, at)
    return data[at : at + size], at + size


def _occurrence(data, at, which):
    if which == 0:
        code, at = varint(data, at)
        words, at = _bytes(data, at)
        return (code, words.decode()), at
    if which == 1:
        ecu, at = varint(data, at)
        return (ecu, data[at : at + 3], data[at + 3]), at + 4
    (latitude, longitude, altitude, accuracy), at = varints(data, at, 4)
    return (unzigzag(latitude), unzigzag(longitude), unzigzag(altitude), accuracy), at
