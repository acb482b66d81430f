"""What a batch says of itself, and its parts joined to four sections (firmware/SPEC.md, section 2): all that needs no profile."""

from dataclasses import dataclass

from host_tools.errors import InputError
from host_tools.reader.cursor import Cursor
from host_tools.signals.profile import CLASSES, PRIORITIES

FORMAT_VERSION = 2
CLOCKS = ("none", "rtc", "ntp", "gnss")
MOST_BYTES = 1 << 20  # of a batch
MOST_SAMPLES = 65_535
MOST_SYMBOLS = (1 << 20) - 1  # of presence
_MAX_U32 = 0xFFFFFFFF
_MOST_PROVISIONAL = 6  # bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What a batch says of itself; readable without its profile."""

    profile_hash: int  # CRC-32 of the packed profile
    clock: str  # one of CLOCKS: what the device's UTC rests on
    priority: int  # index in PRIORITIES
    purpose: int  # index in the profile's purposes
    configuration: int
    consent: int
    boot: int  # from 1
    first: int  # sequence of the first sample in this boot and stream, from 0
    count: int  # samples
    start: int  # grid tick of the first periodic sample
    first_row: int  # at which that tick begins
    boot_utc_ms: int | None  # UTC of boot in ms since 1970; None while the clock is not set

    @property
    def stream(self) -> int:
        """The id of the stream in which the samples are numbered."""
        return self.purpose * CLASSES + self.priority


@dataclass(frozen=True, slots=True)
class Coded:
    """The joined parts: how far the grid is coded, and the sections."""

    ticks: int
    rows: int  # of the tick after those
    values: bytes  # V
    quiet: bytes  # Q
    presence: bytes  # P
    events: bytes  # E


def read_header(payload: bytes) -> Header:
    """The header of a batch, without its profile. Raises InputError for bytes that are no batch."""
    return read_parts(payload)[0]


def read_parts(payload: bytes) -> tuple[Header, Coded]:
    """The header of a batch and its joined parts. Raises InputError for bytes that are no batch."""
    if len(payload) > MOST_BYTES:
        raise InputError(f"batch: {len(payload)} bytes; a batch has at most {MOST_BYTES}")
    cursor = Cursor(payload, "header")
    version, flags = cursor.uint(1), cursor.uint(1)
    if version != FORMAT_VERSION:
        raise InputError(f"batch: format version {version}; this reader knows version {FORMAT_VERSION}")
    profile_hash = cursor.uint(4)
    configuration, consent, boot, first, start, first_row = (cursor.varint() for _ in range(6))
    boot_utc_ms = cursor.uint(6) if flags & 3 else None
    cursor.take(cursor.varint())  # reserved
    count, coded = _joined(cursor)
    clock, priority, purpose = flags & 3, flags >> 2 & 3, flags >> 4
    if boot == 0 or priority >= len(PRIORITIES):
        raise InputError(f"batch: of boot {boot} and priority class {priority}; it was forged")
    if count > MOST_SAMPLES or start + coded.ticks > _MAX_U32:
        raise InputError(f"batch: {count} samples in {coded.ticks} ticks from {start} on; it was forged")
    header = Header(
        profile_hash, CLOCKS[clock], priority, purpose,
        configuration, consent, boot, first, count, start, first_row, boot_utc_ms,
    )  # fmt: skip
    return header, coded


def _joined(cursor: Cursor) -> tuple[int, Coded]:
    """Count and sections of all parts; each one takes back the provisional bytes of the part before."""
    cursor.part = "last part"
    sections = [bytearray() for _ in range(4)]
    again = [0, 0, 0, 0]
    while True:
        count, ticks, rows, *sizes = (cursor.varint() for _ in range(7))
        provisional = cursor.uint(1)
        for section, size, old in zip(sections, sizes, again, strict=True):
            del section[len(section) - old :]
            section += cursor.take(size)
        again = [provisional & 1, provisional >> 1 & 7, provisional >> 4, 0]
        if any(old > min(size, _MOST_PROVISIONAL) for old, size in zip(again, sizes, strict=True)):
            raise InputError("batch: a part calls more bytes provisional than it may; it was forged")
        if not len(cursor):
            return count, Coded(ticks, rows, *map(bytes, sections))
