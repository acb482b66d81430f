"""The worked example of docs/decoder.md: a batch taken apart by the reference decoder itself, which is watched while it reads.

`python tests/host/decoder_example.py` (with tests/host on the path) writes it into the page anew; a test says when it must be.
"""

import importlib.util
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from batch_encoder import Encoder

from host_tools.paths import ROOT
from host_tools.signals.pack import identity, pack
from host_tools.signals.profile import Message, Profile, Signal

PAGE = ROOT / "docs" / "decoder.md"
BEGIN, END = "<!-- example: made by tests/host/decoder_example.py -->\n```\n", "```\n<!-- end of the example -->"

PROFILE = Profile(
    "example", "1", "none",
    (
        Message(0x100, False, "", (Signal("Speed", 0, 16, scale=0.5, unit="km/h", period_ms=100),)),
        Message(0x200, False, "", (
            Signal("Torque", 0, 16, is_signed=True, unit="Nm", period_ms=100),
            Signal("Soc", 16, 8, unit="%", period_ms=200),
            Signal("Gear", 24, 3, labels={3: "D"}),
        )),
    ),
)  # fmt: skip
HEADER = (
    "format version", "flags: clock ntp, stream 2 (telemetry)", "profile hash", "configuration version", "consent version",
    "boot", "first sequence", "start: grid tick 20, that is 2 s", "first row", "UTC of boot in ms", "reserved: no bytes", "",
)  # fmt: skip
PART = (
    "count of samples", "ticks", "rows of the tick after", "bytes of V", "bytes of Q", "bytes of P", "bytes of E",
    "provisional: so many of the last bytes of V, Q, P", "V", "Q", "P", "E",
)  # fmt: skip


def load_decoder() -> ModuleType:
    """A copy of the reference decoder of its own, which may be changed."""
    spec = importlib.util.spec_from_file_location("reference_decoder", ROOT / "docs" / "decoder" / "decoder.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def batch() -> bytes:
    """Speed rises, torque is -3 for long, its message stays away at one tick, a gear is engaged."""
    encoder = Encoder(PROFILE, identity(pack(PROFILE)), boot=7, first=100, start=20, ticks=8, clock=2, utc_ms=1_767_225_600_000)
    for tick, speed in enumerate((100, 102, 104, 106, 109, 111, 113, 115), 20):
        encoder.readings[tick, 0] = speed
        if tick != 23:
            encoder.readings[tick, 1] = -3 if tick < 27 else -1
        if tick % 2 == 0:
            encoder.readings[tick, 2] = 80
    encoder.events = [(3, 2050, 3)]
    return encoder.encode()


def example() -> str:
    """The text between BEGIN and END."""
    decoder, payload = load_decoder(), batch()
    lines = [payload.hex(" ", 1)[at : at + 96].rstrip() for at in range(0, 3 * len(payload), 96)]
    source = watched_bytes(decoder, payload)
    header = decoder.Header(source)
    lines += ["", "the header", *named(source.taken, HEADER)]
    source.taken.clear()
    parts = decoder.Parts(source)
    lines += ["", "the part", *named(source.taken, PART)]
    lines += ["", "the walk: section and bits of each presence symbol and value", *walk(decoder, header, parts)]
    lines += ["", "E", *told(decoder, header, parts.e), "", "the samples"]
    plain = load_decoder()
    _, samples = plain.decode(plain.Profile(pack(PROFILE)), payload)
    lines += [f"{s['sequence']}  {s['time_ms']} ms  {s['name']:7}{s['value']:g} {s['unit']}".rstrip() for s in samples]
    return "\n".join(lines) + "\n"


def watched_bytes(decoder: ModuleType, data: bytes) -> Any:
    """The decoder's `Bytes` that keep what each of its calls took."""

    class Watched(decoder.Bytes):  # type: ignore[name-defined, misc]
        taken: list[tuple[bytes, Any]] = []  # noqa: RUF012  # the one object is all there is

        def _keep(self, name: str, *arguments: int) -> Any:
            begin, inner = self.at, len(self.taken)
            value = getattr(super(), name)(*arguments)
            self.taken[inner:] = [(self.data[begin : self.at], value)]
            return value

        def take(self, size: int) -> Any:
            return self._keep("take", size)

        def uint(self, size: int) -> Any:
            return self._keep("uint", size)

        def varint(self) -> Any:
            return self._keep("varint")

    return Watched(data)


def named(taken: list[tuple[bytes, Any]], names: tuple[str, ...]) -> Iterator[str]:
    for (data, value), name in zip(taken, names, strict=True):
        if name:
            number = f"  {value}" if isinstance(value, int) and ":" not in name else ""
            yield f"{data.hex(' ') or '-':24}{name}{number}"


def walk(decoder: ModuleType, header: Any, parts: Any) -> Iterator[str]:
    """A line for each symbol and each value of the periodic sections."""
    lines: list[str] = []
    bits: list[tuple[str, str]] = []  # taken since the last line
    sections = iter("VQP")  # in the order in which the decoder opens them

    class Bits(decoder.Bits):  # type: ignore[name-defined, misc]
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            self.name = next(sections)

        def bit(self) -> int:
            bit: int = super().bit()
            bits.append((self.name, str(bit)))
            return bit

    class Runs(decoder.Runs):  # type: ignore[name-defined, misc]
        def zero(self) -> bool:
            is_new = self.zeros is None
            is_zero: bool = super().zero()
            length = (self.zeros or 0) + is_zero
            if self.bits.name == "P":
                meaning = ("as before" if is_zero else "changed") + (f"; a run of {length} began" if is_new else "")
                line("presence", meaning)
            return is_zero

    class Predictor(decoder.Predictor):  # type: ignore[name-defined, misc]
        def __init__(self, field: Any, v: Any) -> None:
            super().__init__(field, v)
            self.name = field.signal["name"]
            line(self.name, f"{self.x1}, the first value")

        def next(self, v: Any, q: Any) -> int:
            mean, lead, by, before = self.mean, self.lead, "line" if self.lead < 0 else "last", self.x1
            guess = decoder.int32(2 * self.x1 - self.x2) if lead < 0 else before
            x: int = super().next(v, q)
            state = f"mean {mean}{' (quiet)' if mean < 6 else ''}, lead {lead}"
            line(self.name, f"{x} = {guess} ({by}) {x - guess:+d}, with {state}")
            return x

    def line(what: str, meaning: str) -> None:
        names = "".join(dict.fromkeys(name for name, _ in bits)) or "-"
        lines.append(f"{what:9} {names} {''.join(bit for _, bit in bits) or '-':20} {meaning}")
        bits.clear()

    def ticks(*arguments: Any) -> Iterator[tuple[int, int, int]]:
        for tick, first_row, end_row in plain_ticks(*arguments):
            if first_row < end_row:
                lines.append(f"tick {tick}")
            yield tick, first_row, end_row

    plain_ticks, decoder.ticks = decoder.ticks, ticks  # type: ignore[attr-defined]
    decoder.Bits, decoder.Runs, decoder.Predictor = Bits, Runs, Predictor  # type: ignore[attr-defined]
    decoder.periodic(decoder.Profile(pack(PROFILE)), header, parts)
    return iter(lines)


def told(decoder: ModuleType, header: Any, section: bytes) -> Iterator[str]:
    for _, field, time_ms, raw in decoder.events(decoder.Profile(pack(PROFILE)), header, section):
        after_ms = time_ms - header.start * PROFILE.grid_ms
        yield f"{section.hex(' '):24}{field.index} × 4 + 0, {after_ms} ms after start, {field.signal['name']} {raw}"


def main() -> None:
    """Writes the example into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + example() + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
