"""The batch codec's other side, written from firmware/SPEC.md alone and as plainly as can be: for tests only."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from host_tools.signals.profile import Profile

TOP = 1 << 20


def varint(value: int) -> bytes:
    out = []
    while value > 0x7F:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def wrapped(value: int) -> int:
    """Into -2^31 … 2^31 - 1, as a 32-bit register wraps."""
    value %= 1 << 32
    return value - (1 << 32) if value >= 1 << 31 else value


def bits(value: int, width: int) -> str:
    return f"{value:0{width}b}" if width else ""


def rice(value: int, k: int, escape: int) -> str:
    if value >> k < 16:
        return "1" * (value >> k) + "0" + bits(value % (1 << k), k)
    return "1" * 16 + bits(value, escape)


def gamma(value: int) -> str:
    """Of value + 1."""
    return "0" * ((value + 1).bit_length() - 1) + f"{value + 1:b}"


class RunWriter:
    """A bit stream with runs; `settled` is what no later symbol changes, `now` has the run under way as well."""

    def __init__(self) -> None:
        self.settled, self.zeros, self.state = "", 0, 32

    @property
    def now(self) -> str:
        return self.settled + (self._code() if self.zeros else "")

    def one(self) -> None:
        self.settled += self._code()
        self.state += (8 * self.zeros - self.state) // 4
        self.zeros = 0

    def _code(self) -> str:
        return rice(self.zeros, (self.state // 16).bit_length(), 20)


class Coder:
    """The three bit streams of a batch, as they grow."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.v, self.q, self.p = "", RunWriter(), RunWriter()
        self.absent: dict[tuple[int, int], bool] = {}
        self.known: dict[int, dict[str, int]] = {}

    def presence(self, group: tuple[int, int], is_absent: bool) -> None:
        if is_absent != self.absent.get(group, False):
            self.p.one()
        else:
            self.p.zeros += 1
        self.absent[group] = is_absent

    def value(self, index: int, raw: int) -> None:
        one = self.profile.fields[index]
        if index not in self.known:
            self.v += gamma(zigzag(raw) if one.bits.is_signed else raw % (1 << 32))
            self.known[index] = {"x1": raw, "x2": raw, "mean": 16, "lead": 0}
            return
        s, n = self.known[index], one.signal.quantum
        line = 2 * s["x1"] - s["x2"]
        p = line if s["lead"] < 0 else s["x1"]
        d = (wrapped(raw - p) + n) // (2 * n + 1)
        x = wrapped(p + d * (2 * n + 1))
        self.residual(s["mean"], d)
        s["mean"] += (min(16 * min(abs(d), TOP), 8 * s["mean"] + 256) - s["mean"]) // 4
        m1, m2 = (min(abs(wrapped(x - guess)), TOP) for guess in (s["x1"], line))
        s["lead"] += m2 - m1 - s["lead"] // 8
        s["x2"], s["x1"] = s["x1"], x

    def residual(self, mean: int, d: int) -> None:
        if mean >= 6:
            self.v += rice(zigzag(d), (mean // 16).bit_length(), 32)
        elif d == 0:
            self.q.zeros += 1
        else:
            self.q.one()
            self.q.settled += ("1" if d < 0 else "0") + rice(abs(d) - 1, 0, 32)


def packed(text: str) -> bytes:
    return b"".join(int(text[i : i + 8].ljust(8, "0"), 2).to_bytes(1, "big") for i in range(0, len(text), 8))


@dataclass
class Encoder:
    """Fields of the header, and what happened: readings by (tick, index of the field); events as (index, time_ms, raw),
    (index, time_ms, quality, source), or ("text" | "alert" | "dtc" | "position", time_ms, ...) with what SPEC says.
    Raw values as SPEC: 32-bit two's complement. `cuts`: (ticks, rows, events) after which a part ends."""

    profile: Profile
    profile_hash: int = 0x11223344
    clock: int = 0
    priority: int = 2
    purpose: int = 0
    configuration: int = 1
    consent: int = 1
    boot: int = 1
    first: int = 0
    start: int = 0
    first_row: int = 0
    utc_ms: int = 0
    reserved: bytes = b""
    ticks: int = 0  # how many grid ticks from `start` the periodic sections cover
    rows: int = 0  # and how many rows of the tick after
    readings: dict[tuple[int, int], int] = field(default_factory=dict)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    cuts: list[tuple[int, int, int]] = field(default_factory=list)

    def groups(self, ticks: int | None = None, rows: int | None = None) -> Iterator[tuple[int, int, list[int]]]:
        """(tick, row, indices of the fields due), in the order of the walk."""
        ticks, rows = self.ticks if ticks is None else ticks, self.rows if rows is None else rows
        for tick in range(self.start, self.start + ticks + 1):
            for number, row in enumerate(self.profile.rows):
                if (tick == self.start and number < self.first_row) or (tick == self.start + ticks and number >= rows):
                    continue
                due = []
                for index, one in enumerate(row.fields, row.first):
                    period_ms = one.signal.period_ms
                    if period_ms > 0 and tick * self.profile.grid_ms % period_ms == 0 and self.is_own(index):
                        due.append(index)
                yield tick, number, due

    def is_own(self, index: int) -> bool:
        return self.profile.stream(self.profile.fields[index].signal) == 4 * self.purpose + self.priority

    def slots(self) -> list[tuple[int, int]]:
        """Every (tick, index) at which a sample can be."""
        return [(tick, index) for tick, _, due in self.groups() for index in due]

    def period(self, index: int) -> int:
        return self.profile.fields[index].signal.period_ms

    def mates(self, index: int) -> list[int]:
        """The fields that are present or absent together with this one."""
        (row,) = [row for row in self.profile.rows if row.first <= index < row.first + len(row.fields)]
        return [
            i
            for i in range(row.first, row.first + len(row.fields))
            if self.period(i) == self.period(index) and self.is_own(i)
        ]

    def samples(self, ticks: int | None = None, rows: int | None = None, events: int | None = None) -> list[tuple[int, int, int]]:
        """(index, time_ms, raw) of each sample of a signal in the order of its sequence; -1 for what is no signal's."""
        grid = self.profile.grid_ms
        slots = [(tick, index) for tick, _, due in self.groups(ticks, rows) for index in due]
        found = [(i, k * grid, self.readings[k, i]) for k, i in slots if (k, i) in self.readings]
        for index, time_ms, *what in self.events[:events]:
            if isinstance(index, str):
                found.append((-1, time_ms, 0))
            elif len(what) == 1:
                found.append((index, time_ms, what[0]))
        return found

    def coded(self, ticks: int, rows: int) -> Coder:
        coder = Coder(self.profile)
        for tick, row, due in self.groups(ticks, rows):
            seen = set()
            for index in due:
                mates = [(tick, mate) in self.readings for mate in self.mates(index)]
                assert len(set(mates)) == 1, "a row's signals of one period are present or absent together"
                if self.period(index) not in seen:
                    coder.presence((row, self.period(index)), not mates[0])
                    seen.add(self.period(index))
                if mates[0]:
                    coder.value(index, self.readings[tick, index])
        return coder

    def event_bytes(self, events: int) -> bytes:
        out, then = b"", self.start * self.profile.grid_ms
        previous: dict[int, int] = {}
        for index, time_ms, *what in self.events[:events]:
            kind = {"text": (0, 2), "alert": (0, 3), "dtc": (1, 3), "position": (2, 3)}.get(index, (index, len(what) - 1))
            out += varint(kind[0] * 4 + kind[1]) + varint(zigzag(time_ms - then))
            then = time_ms
            if kind[1] == 0:
                out += varint(zigzag(wrapped(what[0] - previous.get(index, 0))))
                previous[index] = what[0]
            elif kind[1] == 1:
                out += bytes([what[0] + 16 * what[1]])
            elif index == "text":
                out += sized(what[0]) + sized(what[1])
            elif index == "alert":
                out += varint(what[0]) + sized(what[1])
            elif index == "dtc":
                out += varint(what[0]) + what[1] + bytes([what[2]])
            else:
                out += b"".join(varint(zigzag(number)) for number in what[:3]) + varint(what[3])
        return out

    def encode(self, count: int | None = None) -> bytes:
        head = bytes([2, self.clock + 4 * self.priority + 16 * self.purpose])
        head += self.profile_hash.to_bytes(4, "little")
        numbers = self.configuration, self.consent, self.boot, self.first, self.start, self.first_row
        head += b"".join(map(varint, numbers))
        if self.clock:
            head += self.utc_ms.to_bytes(6, "little")
        return head + varint(len(self.reserved)) + self.reserved + b"".join(self.parts(count))

    def parts(self, count: int | None = None) -> Iterator[bytes]:
        settled = [0, 0, 0, 0]  # bytes of each section that the parts before have for good
        for ticks, rows, events in [*self.cuts, (self.ticks, self.rows, len(self.events))]:
            coder = self.coded(ticks, rows)
            e = self.event_bytes(events)
            sections = [packed(coder.v), packed(coder.q.now), packed(coder.p.now), e]
            final = [len(coder.v) // 8, len(coder.q.settled) // 8, len(coder.p.settled) // 8, len(e)]
            again = [len(section) - done for section, done in zip(sections, final, strict=True)]
            new = [section[done:] for section, done in zip(sections, settled, strict=True)]
            number = len(self.samples(ticks, rows, events)) if count is None else count
            yield b"".join(map(varint, (number, ticks, rows, *map(len, new)))) + bytes(
                [again[0] + 2 * again[1] + 16 * again[2]]
            ) + b"".join(new)
            settled = final


def sized(text: str) -> bytes:
    return varint(len(text.encode())) + text.encode()


def raw_range(length: int, is_signed: bool) -> tuple[int, int]:
    """Least and greatest raw value of a signal."""
    return (-(1 << length - 1), (1 << length - 1) - 1) if is_signed else (0, (1 << length) - 1)
