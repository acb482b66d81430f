"""The batch codec's other side, written from firmware/SPEC.md alone and as plainly as can be: for tests only."""

from dataclasses import dataclass, field

from host_tools.signals.profile import Profile


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


@dataclass
class Encoder:
    """Fields of the header, and what happened: readings by (tick, index), events as (index, time_ms, raw)
    or (index, time_ms, quality, source). Raw values as SPEC: 32-bit two's complement."""

    profile: Profile
    profile_hash: int = 0x11223344
    clock: int = 0
    priority: int = 0
    purpose: int = 0
    configuration: int = 1
    consent: int = 1
    boot: int = 1
    first: int = 0
    start: int = 0
    first_signal: int = 0
    utc_ms: int = 0
    reserved: bytes = b""
    ticks: int = 0  # how many grid ticks from `start` the periodic section covers
    readings: dict[tuple[int, int], int] = field(default_factory=dict)
    events: list[tuple[int, ...]] = field(default_factory=list)

    def slots(self) -> list[tuple[int, int]]:
        """Every (tick, index) that the periodic section has a varint for."""
        return [
            (tick, index)
            for tick in range(self.start, self.start + self.ticks)
            for index, field in enumerate(self.profile.fields)
            if field.signal.period_ms > 0
            and tick * self.profile.grid_ms % field.signal.period_ms == 0
            and (tick > self.start or index >= self.first_signal)
        ]

    def samples(self) -> list[tuple[int, int, int]]:
        """(index, time_ms, raw) of each sample in the order of its sequence."""
        grid = self.profile.grid_ms
        found = [(i, k * grid, self.readings[k, i]) for k, i in self.slots() if (k, i) in self.readings]
        return found + [(event[0], event[1], event[2]) for event in self.events if len(event) == 3]

    def encode(self, count: int | None = None) -> bytes:
        count = len(self.samples()) if count is None else count
        previous = dict.fromkeys(range(len(self.profile.fields)), 0)
        periodic = b""
        for slot in self.slots():
            raw = self.readings.get(slot)
            if raw is None:
                periodic += b"\0"
            else:
                periodic += varint(zigzag(wrapped(raw - previous[slot[1]])) + 1)
                previous[slot[1]] = raw
        events, then = b"", self.start * self.profile.grid_ms
        for index, time_ms, *what in self.events:
            events += varint(index * 2 + len(what) - 1) + varint(zigzag(time_ms - then))
            then = time_ms
            if len(what) == 1:
                events += varint(zigzag(wrapped(what[0] - previous[index])))
                previous[index] = what[0]
            else:
                events += bytes([what[0] + 16 * what[1]])
        head = bytes([1, self.clock + 4 * self.priority + 16 * self.purpose])
        head += self.profile_hash.to_bytes(4, "little")
        numbers = self.configuration, self.consent, self.boot, self.first, count, self.start, self.first_signal
        head += b"".join(map(varint, numbers))
        if self.clock:
            head += self.utc_ms.to_bytes(6, "little")
        return head + varint(len(self.reserved)) + self.reserved + varint(len(periodic)) + periodic + events


def raw_range(length: int, is_signed: bool) -> tuple[int, int]:
    """Least and greatest raw value of a signal."""
    return (-(1 << length - 1), (1 << length - 1) - 1) if is_signed else (0, (1 << length) - 1)


